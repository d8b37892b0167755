"""nginx in front of serve: what passes through it, and what its log says of each request."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from llmops.keyfile import KeyFile
from tests.elk.proxy import CONFIGURATION, NGINX, Proxy, needs_nginx, proxy_before
from tests.route.processes import Box, free_port, until

pytestmark = needs_nginx

HOSTILE = [
    (b'/v1/"},{"event.id":"forged"}', b'curl "quoted" \\ back\\slash'),
    (b"/v1/%0a%1b%22%5c", b"tab\there \x1b[31mred"),
    (b"/v1/\xff\xfe\xc3\x28", b"\xf0\x9f\x98\x80 \xff invalid"),
    (b"/v1/${jndi:ldap://x}/$request_id", b"<script>alert(1)</script>"),
    (b"/v1/" + b"a" * 2000, b"x" * 2000),
    (b"/?secret=token&q=%22", b"-"),
]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A serve that answers ten tokens a second, behind no key: who may enter has tests of its own."""
    box = Box(tmp_path_factory.mktemp("box"), engine__echo_tokens_per_s=10, admission__keys="off", gpu__kind="none")
    with box.program("serve"):
        box.until_ready()
        yield box


@pytest.fixture(scope="module")
def proxy(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with proxy_before(box.port, tmp_path_factory.mktemp("nginx")) as running:
        yield running


def ask(url: str, text: str, request_id: str | None = None, **more: object) -> httpx.Response:
    headers = {} if request_id is None else {"X-Request-ID": request_id}
    body = {"messages": [{"role": "user", "content": text}], **more}
    return httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=30.0)


def raw(proxy: Proxy, request: bytes) -> bytes:
    """Send bytes that no client library would, read the answer until nginx closes."""
    host, port = proxy.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10.0) as sock:
        sock.sendall(request)
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
    return answer


def test_tokens_arrive_through_it_when_they_are_written(proxy: Proxy) -> None:
    body = {"messages": [{"role": "user", "content": "one two three four five six seven eight"}], "stream": True}
    arrived: list[float] = []
    with httpx.stream("POST", f"{proxy.url}/v1/chat/completions", json=body, timeout=30.0) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                arrived.append(time.monotonic())
    assert len(arrived) >= 8
    assert arrived[-1] - arrived[0] > 0.5, "eight tokens at ten a second: a buffer would have sent them at once"


def test_a_request_has_one_id_in_the_answer_the_log_and_the_event(box: Box, proxy: Proxy) -> None:
    answer = ask(proxy.url, "hello", "from-the-client-1")
    assert answer.headers.get_list("x-request-id") == ["from-the-client-1"]
    line = proxy.line_of("from-the-client-1")
    until(functools.partial(has_event, box, "from-the-client-1"), 5.0)
    [event] = [each for each in box.documents("llmops.request") if each["http.request.id"] == "from-the-client-1"]
    assert line["event.id"] != event["event.id"]
    assert line["http.response.status_code"] == event["http.response.status_code"] == 200
    assert line["event.duration"] >= event["event.duration"] - 2_000_000, "nginx counts whole milliseconds"
    assert abs(seconds(line["@timestamp"]) - time.time()) < 60.0


def test_a_request_without_an_id_or_with_a_bad_one_gets_one(box: Box, proxy: Proxy) -> None:
    for given in (None, "two words", "x" * 129):
        answer = ask(proxy.url, "hello", given)
        [request_id] = answer.headers.get_list("x-request-id")
        assert len(request_id) == 32
        assert proxy.line_of(request_id)["event.outcome"] == "success"
        until(functools.partial(has_event, box, request_id), 5.0)


@pytest.mark.parametrize(("target", "agent"), HOSTILE)
def test_a_hostile_request_is_one_line_of_json(proxy: Proxy, target: bytes, agent: bytes) -> None:
    before = len(proxy.lines())
    request_id = b'hostile-"\\{' + str(before).encode()
    raw(
        proxy,
        b"GET "
        + target
        + b" HTTP/1.1\r\nHost: a\r\nUser-Agent: "
        + agent
        + b"\r\nX-Request-ID: "
        + request_id
        + b"\r\n"
        b"Connection: close\r\n\r\n",
    )
    until(lambda: len(proxy.lines()) > before, 5.0)
    line = proxy.lines()[-1]
    assert len(proxy.lines()) == before + 1
    assert "secret" not in json.dumps(line)
    assert len(line["event.id"]) == 32
    assert line["url.path"] == target.split(b"?")[0].decode("utf-8", "replace")


def test_what_is_no_http_at_all_is_one_line_of_json(proxy: Proxy) -> None:
    before = len(proxy.lines())
    assert b"400" in raw(proxy, b'\x16\x03\x01 "\\ \r\n\r\n')
    until(lambda: len(proxy.lines()) > before, 5.0)
    assert proxy.lines()[-1]["http.response.status_code"] == 400


def test_a_key_is_asked_of_whoever_comes_through_it(tmp_path: Path) -> None:
    box = Box(tmp_path, gpu__kind="none")
    (tmp_path / "nginx").mkdir()
    with box.program("serve"), proxy_before(box.port, tmp_path / "nginx") as proxy:
        box.until_ready()
        assert ask(box.url, "hello").status_code == 200
        assert ask(proxy.url, "hello").status_code == 401
    assert not KeyFile(tmp_path).read().keys


def test_what_is_too_large_for_it_is_told_in_the_shape_of_an_api_error(proxy: Proxy) -> None:
    for request_id, headers, body, status, code in (
        ("large", {}, b"x" * (9 << 20), 413, "request_too_large"),
        ("long", {"X-Long": "a" * 40_000}, b"", 431, "headers_too_large"),
        ("many", {f"X-{number}": "a" * 4000 for number in range(20)}, b"", 431, "headers_too_large"),
        ("serves-own", {"Content-Type": "application/json"}, b"x" * (3 << 20), 413, "request_too_large"),
    ):
        given = {"X-Request-ID": request_id, **headers}
        answer = httpx.post(f"{proxy.url}/v1/chat/completions", content=body, headers=given, timeout=30.0)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert answer.headers.get_list("x-request-id") == [request_id]
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
        assert answer.headers["content-type"].startswith("application/json")
        line = proxy.line_of(request_id)
        assert (line["http.response.status_code"], line["http.request.method"]) == (status, "POST")


def test_a_line_that_is_too_long_is_refused(proxy: Proxy) -> None:
    assert httpx.get(f"{proxy.url}/v1/{'a' * 9000}", timeout=30.0).status_code == 414


STOCK = """daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}
http {{ access_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{ listen 127.0.0.1:{port}; location / {{ {version} proxy_pass http://127.0.0.1:{serve}; }} }} }}"""


@pytest.mark.parametrize(("version", "behind"), [("", False), ("proxy_http_version 1.1;", True)])
def test_a_key_is_asked_of_whoever_comes_through_nginx_as_it_is_installed(
    tmp_path: Path, version: str, behind: bool
) -> None:
    box, port = Box(tmp_path, gpu__kind="none", serve__behind_proxy=behind), free_port()
    configuration = tmp_path / "stock.conf"
    user = "user root; " if os.geteuid() == 0 else ""
    configuration.write_text(user + STOCK.format(folder=tmp_path, port=port, serve=box.port, version=version))
    nginx = [NGINX, "-c", str(configuration), "-e", str(tmp_path / "error.log")]
    with box.program("serve"), subprocess.Popen(nginx) as process:
        try:
            until(lambda: answers(f"http://127.0.0.1:{port}/health"), 30.0)
            for path in ("/v1/models", "/metrics", "/ops/snapshot", "/docs"):
                refused = httpx.get(f"http://127.0.0.1:{port}{path}")
                assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key"), path
            assert ask(box.url, "hello").status_code == (401 if behind else 200)
        finally:
            process.terminate()


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url).status_code == 200
    return False


def test_a_header_that_pretends_to_be_two_forges_nothing(proxy: Proxy) -> None:
    for given in (b"a\r\nX-Request-ID: b", b"a\rSet-Cookie: c=1", b'"}\n{"event.id": "forged'):
        before = len(proxy.lines())
        answer = raw(
            proxy,
            b"GET /v1/models HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Request-ID: " + given + b"\r\n\r\n",
        )
        until(functools.partial(has_more_lines, proxy, before), 5.0)
        assert len(proxy.lines()) == before + 1
        assert answer.lower().count(b"x-request-id:") == 1
        assert b"set-cookie" not in answer.lower()
        assert len(proxy.lines()[-1]["event.id"]) == 32


def has_more_lines(proxy: Proxy, than: int) -> bool:
    return len(proxy.lines()) > than


def test_nothing_of_a_query_reaches_any_log(tmp_path: Path) -> None:
    with proxy_before(1, tmp_path) as proxy:
        for path in ("/v1/models?key=not-for-a-log", "/v1/%00?key=not-for-a-log"):
            httpx.get(f"{proxy.url}{path}", headers={"X-Request-ID": "asked"})
    written = "".join(path.read_text() for path in tmp_path.iterdir() if path.suffix in (".err", ".log", ".jsonl"))
    assert "asked" in written
    assert "not-for-a-log" not in written


def test_serve_away_is_502_in_the_shape_of_an_api_error(tmp_path: Path) -> None:
    with proxy_before(1, tmp_path) as proxy:
        answer = ask(proxy.url, "hello", "nobody-home")
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_unreachable")
        assert answer.headers.get_list("x-request-id") == ["nobody-home"]
        line = proxy.line_of("nobody-home")
        assert (line["http.response.status_code"], line["event.outcome"], line["log.level"]) == (
            502,
            "failure",
            "error",
        )
        assert line["nginx.upstream.status"] == "502"


def test_serve_silent_is_504_and_a_client_that_leaves_is_499(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with proxy_before(silent.getsockname()[1], tmp_path, proxy_read_timeout="1s") as proxy:
            answers: list[httpx.Response] = []
            waiting = threading.Thread(target=lambda: answers.append(ask(proxy.url, "hello", "waits")))
            waiting.start()
            with pytest.raises(httpx.ReadTimeout):
                httpx.get(f"{proxy.url}/v1/models", headers={"X-Request-ID": "leaves"}, timeout=0.3)
            waiting.join(20.0)
            assert (answers[0].status_code, answers[0].json()["error"]["code"]) == (504, "upstream_silent")
            assert proxy.line_of("waits")["event.duration"] > 900_000_000
            left = proxy.line_of("leaves")
            assert (left["http.response.status_code"], left["event.outcome"]) == (499, "unknown")


def has_event(box: Box, request_id: str) -> bool:
    return request_id in [each["http.request.id"] for each in box.documents("llmops.request")]


def seconds(timestamp: str) -> float:
    assert timestamp[19] == "." and timestamp[23] in "+-", "RFC 3339 with milliseconds and an offset"
    return datetime.fromisoformat(timestamp).timestamp()


def test_the_log_is_rotated_by_rename_and_no_line_is_lost(box: Box, proxy: Proxy) -> None:
    script = CONFIGURATION.parent / "rotate-access-log.sh"
    old = proxy.directory / "access-20200101T000000Z.jsonl"
    old.touch()
    os.utime(old, (0, 0))
    environment = {"LOGS": str(proxy.directory), "PID": str(proxy.directory / "nginx.pid"), "EVERY_S": "1"}
    rotating = subprocess.Popen([str(script)], env={**os.environ, **environment}, start_new_session=True)
    rotating.wait(5)  # it goes on in the background, in a process group of this id
    try:
        asked = [f"rotated-{number}" for number in range(40)]
        for request_id in asked:
            httpx.get(f"{proxy.url}/v1/models", headers={"X-Request-ID": request_id})
            time.sleep(0.06)
        until(lambda: {line["http.request.id"] for line in proxy.lines()} >= set(asked), 5.0)
    finally:
        os.killpg(rotating.pid, signal.SIGKILL)
    assert len(list(proxy.directory.glob("access-*.jsonl"))) >= 2
    assert not old.exists()
