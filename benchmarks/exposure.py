"""What clients that send too much, too slowly or nothing do to everybody else: another client's `/health` beside them.

`python -m benchmarks.exposure [--seconds 15] [--header-mb 120] [--slow 1200] [--idle 10000]`. serve runs the echo
engine on loopback, and starts with a soft limit of 1,024 open files, which it raises. A process of its own asks for
`/health` every 10 ms, on a new connection and on a kept one in turns, while this one attacks. The exit code is 1 when
a P99 is 100 ms or more, an answer was missed, or the memory did not come back.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import multiprocessing
import resource
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

import psutil

from benchmarks.overhead import program, wait_until_ready
from llmops.up import free_port

_SOFT_LIMIT = 1024
_EVERY_S = 0.01
_P99_S = 0.1
_MIB = 1 << 20
_LEFT_OVER_BYTES = 64 * _MIB
"""Of memory, after everything: what an allocator keeps for the next connections."""


def main() -> int:
    """Print one line a phase, then what was missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--header-mb", type=int, default=120)
    parser.add_argument("--slow", type=int, default=1200)
    parser.add_argument("--idle", type=int, default=10_000)
    arguments = parser.parse_args()
    seconds = min(60.0, arguments.seconds)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    phases: dict[str, Callable[[int], str]] = {
        "nobody else": lambda _: _quiet(seconds / 3),
        f"{arguments.header_mb} MB of header, again and again": lambda port: _headers(
            port, arguments.header_mb, seconds
        ),
        f"{arguments.slow} slow connections": lambda port: _slow(port, min(arguments.slow, hard // 2), seconds),
        f"{arguments.idle} idle connections": lambda port: _idle(port, min(arguments.idle, hard - 500), seconds),
    }
    with tempfile.TemporaryDirectory() as folder, _serve(folder) as (port, process):
        return _report(port, process, phases)


def _report(port: int, process: psutil.Process, phases: dict[str, Callable[[int], str]]) -> int:
    soft, _ = process.rlimit(psutil.RLIMIT_NOFILE)
    print(f"serve was started with {_SOFT_LIMIT} open files at most, and may open {soft}")
    failed = soft <= _SOFT_LIMIT
    before = process.memory_info().rss
    for name, phase in phases.items():
        with _health(port) as seen:
            did = phase(port)
        p99_s, worst_s, missed, count = seen[0]
        failed = failed or p99_s >= _P99_S or missed > 0
        resident = process.memory_info().rss / _MIB
        print(
            f"{name}: /health P99 {1000 * p99_s:.1f} ms, slowest {1000 * worst_s:.1f} ms, {missed} of {count} missed; "
            f"{resident:.0f} MiB resident; {did}",
            flush=True,
        )
    after = _settled(process, before)
    print(f"memory: {before / _MIB:.0f} MiB before, {after / _MIB:.0f} MiB after; {process.num_fds()} open files after")
    return int(failed or after - before > _LEFT_OVER_BYTES)


@contextlib.contextmanager
def _serve(folder: str) -> Iterator[tuple[int, psutil.Process]]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    port = free_port()
    dials = {
        "LLMOPS_STATE__DIRECTORY": folder,
        "LLMOPS_SERVE__PORT": str(port),
        "LLMOPS_ENGINE__KIND": "echo",
        "LLMOPS_GPU__KIND": "none",
    }
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(_SOFT_LIMIT, soft), hard))
    with program("serve", dials) as process:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        wait_until_ready(f"http://127.0.0.1:{port}")
        yield port, psutil.Process(process.pid)


@contextlib.contextmanager
def _health(port: int) -> Iterator[list[tuple[float, float, int, int]]]:
    """Another client, until the block ends: then (P99, slowest, missed, count) is in the list."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    asking = context.Process(target=_ask, args=(port, theirs))
    asking.start()
    ours.recv()  # it has its first answer
    found: list[tuple[float, float, int, int]] = []
    try:
        yield found
    finally:
        ours.send("end")
        found.append(ours.recv())
        asking.join(30)


def _ask(port: int, pipe: Connection) -> None:
    kept = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    took_s, missed = list[float](), 0
    while not pipe.poll():
        fresh = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        for client in (fresh, kept):
            began = time.perf_counter()
            try:
                client.request("GET", "/health")
                missed += client.getresponse().read() == b""
            except (OSError, http.client.HTTPException):
                missed += 1
                client.close()
            took_s.append(time.perf_counter() - began)
            time.sleep(_EVERY_S)
        fresh.close()
        if len(took_s) == 2:
            pipe.send("begun")
    pipe.recv()
    pipe.send((statistics.quantiles(took_s, n=100)[-1], max(took_s), missed, len(took_s)))


def _quiet(seconds: float) -> str:
    time.sleep(seconds)
    return ""


def _headers(port: int, megabytes: int, seconds: float) -> str:
    """One header without an end after the other; the server takes as much of each as it likes."""
    piece, sent, rounds, end = b"a" * _MIB, 0, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        rounds += 1
        with socket.create_connection(("127.0.0.1", port), timeout=20) as sock, contextlib.suppress(OSError):
            sock.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\nx: ")
            for _ in range(megabytes):
                sock.sendall(piece)
                sent += len(piece)
    return f"{rounds} connections, {sent / _MIB / rounds:.1f} MiB of each were taken"


def _slow(port: int, count: int, seconds: float) -> str:
    """A byte of a header a second on each connection; one that is closed comes back."""
    socks, opened, end = list[socket.socket](), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        while len(socks) < count:
            socks.append(_open(port, b"GET /health HTTP/1.1\r\nhost: localhost\r\nx: "))
            opened += 1
        for sock in list(socks):
            try:
                sock.send(b"a")
            except OSError:
                socks.remove(sock)
                sock.close()
        time.sleep(max(0.0, 1.0 - (time.monotonic() - began)))
    _close(socks)
    return f"{opened} were opened"


def _idle(port: int, count: int, seconds: float) -> str:
    """Connections that were used once, and then are only held."""
    socks = list[socket.socket]()
    for _ in range(count):
        socks.append(_open(port, b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"))
        socks[-1].recv(4096)
    time.sleep(seconds)
    held = 0
    for sock in socks:
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):  # open, and all was read
            while sock.recv(65536):
                pass
            continue
        held += 1
    _close(socks)
    return f"{held} were still open"


def _open(port: int, sent: bytes) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=20)
    sock.sendall(sent)
    return sock


def _close(socks: list[socket.socket]) -> None:
    for sock in socks:
        sock.close()


def _settled(process: psutil.Process, before: int) -> int:
    """Resident memory once it is near where it was, or after 20 s."""
    end = time.monotonic() + 20
    while process.memory_info().rss - before > _LEFT_OVER_BYTES and time.monotonic() < end:
        time.sleep(0.5)
    return int(process.memory_info().rss)


if __name__ == "__main__":
    sys.exit(main())
