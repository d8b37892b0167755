"""The demo, as far as it decides anything itself."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

import pytest

from llmops.demo import alone, dials, parse_duration
from llmops.settings import BadConfiguration, ServeSettings, Settings, StateSettings, load
from llmops.shell.report import print_report
from llmops.store import open_store
from tests.client.small_server import SNAPSHOT, Asked, reply, serving
from tests.route.processes import Box
from tests.store.events import request


@pytest.mark.parametrize(("text", "seconds"), [("60", 60), ("90s", 90), ("1.5m", 90), ("1h", 3600)])
def test_a_duration_is_read_as_written(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "abc", "0s", "-5s", "5d", "s"])
def test_what_is_no_duration_is_one_sentence(text: str) -> None:
    with pytest.raises(BadConfiguration, match="give a duration such as 60s"):
        parse_duration(text)


def test_a_demo_inherits_neither_a_webhook_nor_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "llmops.toml").write_text(
        '[watch]\nwebhook_url = "http://pager.example/x"\n[serve]\nhost = "0.0.0.0"\n'
    )
    monkeypatch.setenv("LLMOPS_WATCH__SERVE_URL", "http://10.0.0.1:8000")
    monkeypatch.setenv("llmops_engine__model", "some/model")
    folder = tmp_path / "demo"
    folder.mkdir()
    with alone(folder):
        settings = load(dials(str(folder), "echo")).settings
        assert "LLMOPS_WATCH__SERVE_URL" not in os.environ
    assert (settings.watch.webhook_url, settings.serve.host) == (None, "127.0.0.1")
    assert settings.watch.serve_url == settings.serve.url
    assert (settings.engine.kind, settings.engine.model) == ("echo", None)
    assert os.environ["LLMOPS_WATCH__SERVE_URL"] == "http://10.0.0.1:8000"
    assert load().settings.watch.webhook_url == "http://pager.example/x"


async def _snapshot(asked: Asked, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reply(writer, 200, json.dumps(SNAPSHOT))


async def test_the_report_counts_the_whole_run_and_nothing_before_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = time.time()
    store = open_store(tmp_path / "llmops.sqlite")
    store.record([request(now - 1200 + 100 * n, duration_s=0.5) for n in range(10)])
    store.record([request(now - 3000, duration_s=9.0)])
    store.close()
    async with serving(_snapshot) as (url, _):
        settings = Settings(
            state=StateSettings(directory=tmp_path), serve=ServeSettings(port=int(url.rpartition(":")[2]))
        )

        def report(asked: int) -> int:
            return print_report(settings, started_at=now - 1300, asked=asked, unanswered=0)

        assert await asyncio.to_thread(report, 10) == 0
        assert await asyncio.to_thread(report, 11) == 1
    assert "11 questions were asked, but 10 answers are on record" in capsys.readouterr().out


@pytest.mark.route
def test_a_headless_demo_prints_what_happened_and_exits_0_when_all_is_well(tmp_path: Path) -> None:
    done = Box(tmp_path).call("demo", "--headless", "--for", "6s", "--engine", "echo", timeout_s=90)
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("success", "P99", "slo latency", "slo availability", "all is well"):
        assert word in done.stdout
