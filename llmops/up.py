"""`llmops up`: serve and watch under one roof; what dies is started again, what cannot work is given up."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_log = logging.getLogger(__name__)

CANNOT_WORK = 2
"""Exit code of a program that would fail again in the same way: bad settings, no such model."""

_FIRST_BACKOFF_S = 1.0
_MAX_BACKOFF_S = 30.0
_HEALTHY_AFTER_S = 60.0
_WORKS_AFTER_S = 60.0
_LOOK_EVERY_S = 0.1
_KILL_AFTER_S = 10.0


@dataclasses.dataclass
class _Child:
    """One program, its process, and when to start it again."""

    name: str
    arguments: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    backoff_s: float = _FIRST_BACKOFF_S
    has_worked: bool = False


class Supervisor:
    """Runs `llmops serve` and `llmops watch`; dials travel to them as environment variables."""

    def __init__(self, environment: Mapping[str, str], *, drain_s: float, log_directory: Path | None = None) -> None:
        self._environment = {**os.environ, **environment}
        self._drain_s = drain_s
        self._log_directory = log_directory
        self._children = [_Child("serve", ("serve",)), _Child("watch", ("watch",))]
        self._stop = threading.Event()

    def run(self) -> int:
        """Until `stop`, or until a child cannot work; returns the exit code."""
        code = 0
        try:
            while not self._stop.is_set() and code == 0:
                code = self._look(time.monotonic())
                self._stop.wait(_LOOK_EVERY_S)
        finally:
            # Watch goes last: it takes in what serve wrote while draining.
            for child in self._children:
                self._end(child)
        return code

    def stop(self, *_: object) -> None:
        """From a signal handler or another thread."""
        self._stop.set()

    def _look(self, now: float) -> int:
        for child in self._children:
            if child.process is None:
                if now >= child.start_at:
                    self._try_to_start(child, now)
                continue
            code = child.process.poll()
            child.has_worked = child.has_worked or now - child.started_at > _WORKS_AFTER_S
            # What has worked before may work again: a port still held, memory not yet given back.
            if code == CANNOT_WORK and not child.has_worked:
                _log.error("%s cannot work as it is set up (it said why above): giving up", child.name)
                return CANNOT_WORK
            if code is not None:
                self._schedule(child, code, now)
        return 0

    def _try_to_start(self, child: _Child, now: float) -> None:
        """A machine without processes, memory or room to spare for a moment does not end what runs."""
        try:
            self._start(child, now)
        except OSError as error:
            _log.error("%s cannot be started (%s): trying again in %.0f s", child.name, error, child.backoff_s)
            self._delay(child, now)

    def _start(self, child: _Child, now: float) -> None:
        with contextlib.ExitStack() as stack:
            output: IO[bytes] | None = None
            if self._log_directory is not None:
                output = stack.enter_context(_log_file(self._log_directory / f"{child.name}.log"))
            child.process = subprocess.Popen(
                [sys.executable, "-m", "llmops", *child.arguments, "--supervised"],
                env=self._environment,
                stdin=subprocess.PIPE,  # closes when we die, however we die: see end_with_supervisor
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C reaches only us, and we end them in order
            )
        child.started_at = now

    def _schedule(self, child: _Child, code: int, now: float) -> None:
        if now - child.started_at > _HEALTHY_AFTER_S:
            child.backoff_s = _FIRST_BACKOFF_S
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        _log.warning("%s ended with %s: starting it again in %.0f s", child.name, how, child.backoff_s)
        if child.process is not None and child.process.stdin is not None:
            child.process.stdin.close()
        child.process = None
        self._delay(child, now)

    def _delay(self, child: _Child, now: float) -> None:
        child.start_at = now + child.backoff_s
        child.backoff_s = min(_MAX_BACKOFF_S, 2 * child.backoff_s)

    def _end(self, child: _Child) -> None:
        if child.process is None or child.process.poll() is not None:
            return
        child.process.terminate()
        try:
            child.process.wait(self._drain_s + _KILL_AFTER_S if child.name == "serve" else _KILL_AFTER_S)
        except subprocess.TimeoutExpired:
            _log.warning("%s did not end in time: killing it", child.name)
            child.process.kill()
            child.process.wait()
        finally:
            if child.process.stdin is not None:
                child.process.stdin.close()


def _log_file(path: Path) -> IO[bytes]:
    """Where a child's log goes; nowhere while the disk takes no file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab")
    except OSError as error:
        _log.warning("%s cannot be written (%s): what its program logs is lost", path, error.strerror)
        return Path(os.devnull).open("ab")


def end_with_supervisor() -> None:
    """In a child: SIGTERM to ourselves once the supervisor is gone, so that no orphan holds the port or the record."""

    def wait() -> None:
        while _read():  # not sys.stdin: its lock, held here, would stop the interpreter from ending
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="supervisor", daemon=True).start()


def _read() -> bytes:
    """What the supervisor sends; nothing once it is gone, or once the pipe to it cannot be read."""
    try:
        return os.read(0, 4096)
    except OSError:
        return b""


def run(environment: Mapping[str, str], *, drain_s: float) -> int:
    """Supervise until SIGTERM, SIGINT or the terminal is closed."""
    supervisor = Supervisor(environment, drain_s=drain_s)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, supervisor.stop)
    return supervisor.run()


def free_port() -> int:
    """A port that was free a moment ago; serve says so in one sentence should another have taken it since."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def as_environment(flags: Mapping[str, object]) -> dict[str, str]:
    """Dotted dials as the variables that the children read: `serve.port` is `LLMOPS_SERVE__PORT`."""
    return {
        f"LLMOPS_{name.replace('.', '__')}".upper(): str(value) for name, value in flags.items() if value is not None
    }
