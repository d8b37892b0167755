"""A script that is asked in a process of its own: what crashes or hangs there comes back as a sentence."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import llmops

_PACKAGE = Path(llmops.__file__).parent
_LONGEST = 300


class NoAnswer(Exception):
    """`str(error)` says what became of the script, as the rest of a sentence."""


def ask(script: str, *arguments: str, timeout_s: float, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The JSON object on the last line that a script of this package prints. Raises NoAnswer.

    -P: a `torch.py` in the folder that somebody stands in is not ours to run.
    """
    command = [sys.executable, "-P", str(_PACKAGE / script), *arguments]
    environ = {**os.environ, **(environment or {})}
    try:
        process = subprocess.Popen(
            command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except OSError as error:
        raise NoAnswer(f"could not be asked ({error.strerror})") from None
    with contextlib.closing(process.stdout), contextlib.closing(process.stderr):  # type: ignore[type-var]
        try:
            told, complained = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):  # one that waits for a driver can't even be killed
                process.wait(timeout=1)
            raise NoAnswer(f"gave no answer within {timeout_s:g} s") from None
    return _read(process.returncode, told, complained)


def _read(code: int, told: bytes, complained: bytes) -> dict[str, Any]:
    if code < 0:
        raise NoAnswer(f"crashed with {_signal(-code)}")
    if code:
        raise NoAnswer(f"cannot be imported ({_last_line(complained)})")
    try:
        answer = json.loads(_last_line(told, longest=1 << 20))
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise NoAnswer("gave an answer that can't be read")
    return answer


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_line(told: bytes, longest: int = _LONGEST) -> str:
    lines = told.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip()[:longest].rstrip(".") if lines else ""
