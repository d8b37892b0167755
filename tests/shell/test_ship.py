"""`llmops ship` without a server: what it leaves behind for whoever judges it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from llmops.elastic.report import FILE, last_report
from tests.store.events import request, write


def test_a_shipper_that_is_asked_to_end_while_it_waits_leaves_no_trouble(tmp_path: Path) -> None:
    write(tmp_path / "journal" / "serve.jsonl", [request(time.time())])
    file = tmp_path / "ship" / FILE
    command = [sys.executable, "-m", "llmops", "ship", "--state", str(tmp_path), "--elastic", "http://127.0.0.1:9"]
    environment = os.environ | {"LLMOPS_ELASTIC__POLL_S": "0.1", "LLMOPS_ELASTIC__API_KEY": "key"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 30
        while (report := last_report(file)) is None or report.state != "waiting":
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        assert report.problem
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()
    report = last_report(file)
    assert report is not None
    assert (report.state, report.problem) == ("stopped", None)
