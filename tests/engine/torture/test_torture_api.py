from __future__ import annotations

import asyncio
import random
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from llmops.engine.dials import EngineDials
from llmops.engine.transformers_engine import TransformersEngine
from llmops.up import free_port
from tests.api.running import running
from tests.engine.answers import until
from tests.engine.torture import faults
from tests.engine.torture.clients import chat, leave, post
from tests.engine.torture.rounds import PROMPT, tortured

LEAVERS = 500
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.usefixtures("one_thread"),
]


async def test_ten_rounds_of_everything_at_once_leave_nothing_behind(tiny_folder: Path) -> None:
    async with tortured(tiny_folder) as torture:
        for number in range(10):
            await torture.round(number)
        assert {"answered", "engine_stopped", "oom", "nan_logits"} <= set(torture.told)


async def test_500_clients_that_leave_at_random_moments_leave_500_events_and_an_engine_that_answers(
    tiny_folder: Path,
) -> None:
    engine = TransformersEngine(str(tiny_folder))
    rng = random.Random(5)
    async with running(engine, queue_size=LEAVERS) as server:
        port = int(server.url.rpartition(":")[2])
        right = (await post(port, chat(PROMPT))).text
        bodies = [chat(f"{PROMPT} {n}", max_tokens=300, stream=n % 3 > 0) for n in range(LEAVERS)]
        await asyncio.gather(*[leave(port, body, rng.random() * 2) for body in bodies])
        await server.settled(1 + LEAVERS)
        last = await post(port, chat(PROMPT))
        assert (last.status, last.text) == (200, right)
        events = await server.settled(2 + LEAVERS)
        assert len(events) == len({event.request_id for event in events}) == 2 + LEAVERS
        assert {event.status_code for event in events} <= {200, 499}
        assert (server.station.gate.running, server.station.gate.waiting) == (0, 0)
        await faults.nothing_is_left(engine)


async def test_one_request_id_twice_at_once_gives_two_answers_and_two_events(tiny_folder: Path) -> None:
    async with running(TransformersEngine(str(tiny_folder))) as server:
        port = int(server.url.rpartition(":")[2])
        answers = await asyncio.gather(*[post(port, chat(PROMPT), request_id="same") for _ in range(2)])
        assert [answer.status for answer in answers] == [200, 200]
        assert answers[0].text == answers[1].text
        events = await server.settled(2)
        assert [event.request_id for event in events] == ["same", "same"]


async def test_nan_is_a_500_with_its_own_slug_in_body_stream_and_event(tiny_folder: Path) -> None:
    engine = TransformersEngine(str(tiny_folder))
    async with running(engine) as server:
        port = int(server.url.rpartition(":")[2])
        hook = faults.spoil_logits(engine, lambda position: position > 32)
        whole, streamed = [await post(port, chat(PROMPT, stream=stream)) for stream in (False, True)]
        hook.remove()
        assert (whole.status, whole.slug, streamed.slug) == (500, "nan_logits", "nan_logits")
        assert (await post(port, chat(PROMPT))).status == 200
        events = await server.settled(3)
        assert [event.error_type for event in events] == ["nan_logits", "nan_logits", None]


async def test_not_ready_while_degraded_and_ready_after(tiny_folder: Path) -> None:
    engine = TransformersEngine(str(tiny_folder), EngineDials(stall_s=0.1))
    async with running(engine) as server, httpx.AsyncClient() as http:
        port = int(server.url.rpartition(":")[2])
        hook = faults.model_of(engine).register_forward_pre_hook(lambda *_: time.sleep(0.6))
        answer = asyncio.create_task(post(port, chat(PROMPT, max_tokens=3)))
        await until(lambda: server.station.state == "degraded")
        ready, live = [await http.get(f"{server.url}/health/{which}") for which in ("ready", "live")]
        hook.remove()
        assert (ready.status_code, ready.json()["state"], live.status_code) == (503, "degraded", 200)
        assert (await answer).status == 200
        assert (await http.get(f"{server.url}/health/ready")).status_code == 200


HANGING_SERVE = """
import sys, threading
from llmops import serve
from llmops.engine.live_loop import LiveLoop
from llmops.settings import load
opened = LiveLoop.open
async def then_hang(self):
    await opened(self)
    self._loaded.model.register_forward_pre_hook(lambda *_: threading.Event().wait())
LiveLoop.open = then_hang
sys.exit(serve.run(load().settings))
"""


@pytest.mark.route
def test_a_step_that_never_ends_ends_the_process_so_that_its_supervisor_starts_it_again(
    tiny_folder: Path, tmp_path: Path
) -> None:
    port = free_port()
    dials = {
        "LLMOPS_SERVE__PORT": port,
        "LLMOPS_ENGINE__MODEL": tiny_folder,
        "LLMOPS_ENGINE__STALL_S": 0.3,
        "LLMOPS_ENGINE__HANG_S": 1,
        "LLMOPS_STATE__DIRECTORY": tmp_path,
        "LLMOPS_GPU__KIND": "none",
    }
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[3])}
    environment["OMP_NUM_THREADS"] = "1"
    environment |= {name: str(value) for name, value in dials.items()}
    with subprocess.Popen([sys.executable, "-c", HANGING_SERVE], env=environment, cwd=tmp_path) as serve:
        try:
            _wait_until_ready(port, serve)
            answer = httpx.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=chat(PROMPT), timeout=30)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "engine_stopped")
            assert serve.wait(20) == 1
        finally:
            serve.kill()
    with socket.socket() as free_again:
        free_again.bind(("127.0.0.1", port))


def _wait_until_ready(port: int, serve: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and serve.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("serve did not become ready")
