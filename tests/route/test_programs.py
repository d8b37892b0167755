"""Each program as a user starts it: drains, refuses bad dials in one sentence, prints what it says it prints."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.models import random_model
from llmops.store.errors import StoreUnreadable
from tests.route.processes import Box, until

pytestmark = pytest.mark.route


def test_sigterm_lets_the_running_finish_refuses_the_new_and_flushes_the_record(tmp_path: Path) -> None:
    box = Box(tmp_path, engine__echo_tokens_per_s=4)
    answers: list[httpx.Response] = []
    with box.program("serve") as serve:
        box.until_ready()
        asking = threading.Thread(target=lambda: answers.append(box.chat("a b c d e")))
        asking.start()
        until(lambda: httpx.get(f"{box.url}/ops/snapshot").json()["running"] == 1, 10)
        serve.send_signal(signal.SIGTERM)
        until(lambda: httpx.get(f"{box.url}/health/ready").status_code == 503, 5)
        assert box.chat().json()["error"]["code"] == "draining"
        asking.join()
        assert serve.wait(10) == 0
    assert answers[0].json()["choices"][0]["message"]["content"] == "a b c d e"
    outcomes = [event.get("error.type", "success") for event in box.documents("llmops.request")]
    assert sorted(outcomes) == ["draining", "success"]


def test_chat_answers_once_in_the_shell_and_says_what_it_cost(tmp_path: Path) -> None:
    box = Box(tmp_path)
    nobody = box.call("chat", "-m", "hello")
    assert nobody.returncode == 1
    assert "llmops serve" in nobody.stderr
    with box.program("serve"):
        box.until_ready()
        said = box.call("chat", "-m", "hello \x1b[31mred\x1b[0m world")
    assert said.returncode == 0
    assert "\x1b" not in said.stdout
    assert "world" in said.stdout
    assert "tokens/s" in said.stderr


def test_status_tells_ok_degraded_and_unreadable_apart(tmp_path: Path) -> None:
    box = Box(tmp_path, watch__interval_s=0.25)
    nothing = box.call("status", "--json")
    assert nothing.returncode == 2
    with box.program("serve"):
        box.until_ready()
        with box.program("watch"):
            box.chat()
            until(lambda: box.call("status", "--json").returncode == 0, 20)
            status = json.loads(box.call("status", "--json").stdout)
            assert status["health"] == "ok"
            assert box.call("status").returncode == 0
    assert box.call("status").returncode == 1


def test_config_show_says_each_dial_its_value_and_its_origin(tmp_path: Path) -> None:
    (tmp_path / "llmops.toml").write_text("[admission]\nqueue_size = 7\n")
    box = Box(tmp_path)
    shown = json.loads(box.call("config", "show", "--json").stdout)
    assert shown["admission.queue_size"] == {"value": "7", "from": "llmops.toml"}
    assert shown["engine.kind"] == {"value": "echo", "from": "LLMOPS_ENGINE__KIND"}
    assert shown["serve.host"] == {"value": "127.0.0.1", "from": "default"}


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        ("[serve]\nport = 99999\n", "serve.port in llmops.toml is 99999"),
        ("[serve]\nprot = 1\n", "serve.prot in llmops.toml is no dial"),
        ("serve = 3\n", "serve in llmops.toml must be a section"),
        ("[serve\n", "llmops.toml is not TOML"),
    ],
)
def test_a_bad_dial_is_one_sentence_and_exit_code_2(tmp_path: Path, toml: str, sentence: str) -> None:
    box = Box(tmp_path)
    del box.environment["LLMOPS_SERVE__PORT"]
    (tmp_path / "llmops.toml").write_text(toml)
    told = box.call("serve")
    assert told.returncode == 2
    assert sentence in told.stderr
    assert "Traceback" not in told.stderr


def test_sigterm_while_a_model_loads_ends_serve_at_once_and_cleanly(tmp_path: Path) -> None:
    model = random_model("29m", tmp_path / "29m")
    box = Box(tmp_path, engine__kind="transformers", engine__model=model, engine__quantization="nf4")
    with box.program("serve") as serve:
        until(lambda: "loading" in box.log("serve"), 60)
        serve.send_signal(signal.SIGTERM)
        assert serve.wait(15) == 0
    assert "ERROR" not in box.log("serve")
    assert "is ready" not in box.log("serve")


def test_up_gives_up_on_what_cannot_work(tmp_path: Path) -> None:
    box = Box(tmp_path, engine__kind="transformers", engine__model=str(tmp_path / "nowhere"))
    told = box.call("up", timeout_s=120)
    assert told.returncode == 2
    assert "nowhere" in told.stderr
    assert "Traceback" not in told.stderr


def test_up_with_port_0_tells_watch_which_one_it_took(tmp_path: Path) -> None:
    box = Box(tmp_path, serve__port=0, watch__interval_s=0.25, watch__serve_down_for_s=2)
    with box.program("up"):
        until(lambda: "is ready on" in box.log("up"), 30)
        time.sleep(4)
        assert ("serve_down", "firing") not in box.alerts()


@pytest.mark.parametrize(
    ("dials", "sentence"),
    [
        ({"gpu__kind": "nvml"}, "is the NVIDIA driver installed?"),
        ({"state__directory": "/proc/nope"}, "/proc/nope"),
    ],
)
def test_what_serve_cannot_start_with_is_one_sentence(tmp_path: Path, dials: dict[str, str], sentence: str) -> None:
    told = Box(tmp_path, **dials).call("serve")
    assert told.returncode == 2
    assert sentence in told.stderr
    assert "Traceback" not in told.stderr


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    box = Box(tmp_path)
    with box.program("serve"):
        box.until_ready()
        told = box.call("serve")
    assert told.returncode == 2
    assert f"port {box.port}" in told.stderr


def test_scheduled_benchmarks_run_by_themselves_and_bench_compares_with_the_last(tmp_path: Path) -> None:
    box = Box(tmp_path, bench__interval_s=1.5, bench__requests=2, bench__max_tokens=4, watch__interval_s=0.25)
    with box.program("up"):
        box.until_ready()
        until(lambda: len(_runs(box)) >= 2, 30, lambda: box.log("up"))
        assert {event["llmops.benchmark.trigger"] for event in _runs(box)} == {"schedule"}
        until(lambda: _benchmarks(box) >= 1, 10)
        table = box.call("bench")
        assert table.returncode == 0, table.stderr
        for word in ("TTFT", "TPOT", "tokens/s", "P50", "P99"):
            assert word in table.stdout
    last = max(_runs(box), key=lambda event: str(event["@timestamp"]))
    assert "llmops.benchmark.baseline.id" in last


def _runs(box: Box) -> list[dict[str, Any]]:
    """Of the self-benchmark: serve's own measurements of its speed are benchmarks too."""
    return [event for event in box.documents("llmops.benchmark") if event["llmops.benchmark.suite"] != "speed"]


def test_the_canary_asks_a_running_serve_and_users_figures_know_nothing_of_it(tmp_path: Path) -> None:
    dials = {"canary__interval_s": 0.5, "bench__enabled": False, "watch__interval_s": 0.25, "gpu__kind": "none"}
    box = Box(tmp_path, canary__enabled=True, **dials)
    with box.program("up") as up:
        box.until_ready()
        assert box.chat().status_code == 200
        until(lambda: _probes(box, failed=0) >= 2, 30, lambda: box.log("up"))
        status = json.loads(box.call("status", "--json").stdout)
        assert (status["requests_by_outcome"], status["benchmarks"]) == ({"success": 1}, [])
        with box.store() as store:
            assert store.counts(0.0, time.time() + 60, slow_s=3.0).total == 1
            assert store.benchmarks() == []
        up.send_signal(signal.SIGTERM)
        assert up.wait(30) == 0
    probes = [event for event in box.documents("llmops.request") if event.get("llmops.synthetic")]
    assert len(probes) >= 2
    assert not any(event["llmops.slo.eligible"] for event in probes)


def test_a_canary_finds_nobody_where_nobody_serves(tmp_path: Path) -> None:
    box = Box(tmp_path, canary__enabled=True, canary__interval_s=0.5, watch__interval_s=0.25)
    with box.program("watch"):
        until(lambda: _probes(box, failed=1) >= 1, 30, lambda: box.log("watch"))
    failed = box.documents("llmops.benchmark")[0]
    assert failed["error.message"] == "nothing listens there"
    assert "canary failed: nothing listens there" in box.log("watch")


def _probes(box: Box, failed: int) -> int:
    found = [each for each in box.documents("llmops.benchmark") if each["llmops.benchmark.suite"] == "canary"]
    return sum(each["llmops.benchmark.requests.failed"] == failed for each in found)


def _benchmarks(box: Box) -> int:
    with contextlib.suppress(StoreUnreadable), box.store() as store:
        return len(store.benchmarks())
    return 0


@pytest.mark.route
def test_serve_says_how_to_make_a_key_when_one_is_needed_and_follows_the_file(tmp_path: Path) -> None:
    box = Box(tmp_path, gpu__kind="none", admission__keys="required")
    with box.program("serve"):
        box.until_ready()
        assert "`llmops keys create NAME`" in box.log("serve")
        assert box.chat().status_code == 401
        made = json.loads(box.call("keys", "create", "ann", "--json").stdout)
        box.environment["LLMOPS_WATCH__API_KEY"] = made["key"]
        assert box.call("chat", "-m", "hello").stdout == "hello\n"
        assert box.call("keys", "revoke", made["id"]).returncode == 0
        refused = box.call("chat", "-m", "hello")
        assert (refused.returncode, "revoked" in refused.stderr) == (1, True)
    (tmp_path / "api-keys.json").write_text("{")
    broken = box.call("serve")
    assert (broken.returncode, "api-keys.json cannot be read" in broken.stderr) == (2, True)
