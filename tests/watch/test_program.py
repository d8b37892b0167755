"""`llmops watch` as a process: starts light, stays alone, ends cleanly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmops.settings import Settings, StateSettings
from llmops.store import open_store
from llmops.watch import run
from llmops.watching.lock import AlreadyWatched, WatchLock
from tests.notifiers.servers import receiver
from tests.store.events import request, write

START = "import sys; from llmops.settings import load; from llmops.watch import run; sys.exit(run(load().settings))"


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def start(folder: Path, **dials: str) -> subprocess.Popen[str]:
    environment = os.environ | {"LLMOPS_STATE__DIRECTORY": str(folder), "LLMOPS_WATCH__INTERVAL_S": "0.1"}
    environment |= {"LLMOPS_WATCH__SERVE_URL": "http://127.0.0.1:9", "LLMOPS_BENCH__ENABLED": "false"}
    environment |= {"LLMOPS_CANARY__ENABLED": "false"} | dials
    return subprocess.Popen([sys.executable, "-c", START], env=environment, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("written", ["[[objective]]\nid = 7\n", None])
def test_objectives_that_cannot_be_used_stop_it_at_the_start_with_one_sentence(
    tmp_path: Path, processes: list[subprocess.Popen[str]], written: str | None
) -> None:
    path = tmp_path / "objectives.toml"
    if written is not None:
        path.write_text(written)
    processes.append(start(tmp_path / "state", LLMOPS_OBJECTIVES__FILE=str(path)))
    _, errors = processes[0].communicate(timeout=20)
    assert (processes[0].returncode, len(errors.splitlines())) == (2, 1)
    assert str(path) in errors


def test_it_tells_that_serve_is_down_and_ends_with_status_0(
    tmp_path: Path, processes: list[subprocess.Popen[str]]
) -> None:
    write(tmp_path / "journal" / "serve.jsonl", [request(time.time())])
    with receiver(200) as server:
        process = start(tmp_path, LLMOPS_WATCH__WEBHOOK_URL=server.url, LLMOPS_WATCH__SERVE_START_FOR_S="0.3")
        processes.append(process)
        deadline = time.monotonic() + 20
        while not server.bodies:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert server.bodies[0]["rule_id"] == "serve_down"
    assert "PAGE firing: serve is down" in errors
    store = open_store(tmp_path / "llmops.sqlite", read_only=True)
    assert store.totals()["llmops.request"] == 1
    store.close()


def test_a_second_watch_says_who_is_there_already(tmp_path: Path, processes: list[subprocess.Popen[str]]) -> None:
    first = start(tmp_path)
    processes.append(first)
    wait_for(tmp_path / "llmops.sqlite")
    second = start(tmp_path)
    processes.append(second)
    _, errors = second.communicate(timeout=20)
    assert second.returncode == 2
    assert errors == f"Process {first.pid} watches {tmp_path} already: stop it first, or use another state directory.\n"
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=20)
    assert first.returncode == 0


def test_the_lock_ends_with_its_holder(tmp_path: Path) -> None:
    first = WatchLock(tmp_path / "watch.lock")
    with pytest.raises(AlreadyWatched, match=f"Process {os.getpid()} watches"):
        WatchLock(tmp_path / "watch.lock")
    first.release()
    WatchLock(tmp_path / "watch.lock").release()


def test_a_folder_that_cannot_be_used_is_one_sentence_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    settings = Settings(state=StateSettings(directory=tmp_path / "file" / "state"))
    assert run(settings) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_it_starts_without_torch_textual_or_fastapi() -> None:
    heavy = "torch transformers textual fastapi uvicorn"
    asked = f"import sys, llmops.watch; print([name for name in {heavy.split()!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
