"""What a check says: ok, warning or error, why, and the command that mends it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Literal, TypeAlias

State: TypeAlias = Literal["ok", "warning", "error"]
_CODES: dict[State, int] = {"ok": 0, "warning": 1, "error": 2}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`check` names what was looked at; `command` mends it, and is None where nothing is to be done."""

    check: str
    state: State
    why: str
    command: str | None = None


def ok(check: str, why: str) -> Finding:
    """All is well, and this is what well means."""
    return Finding(check=check, state="ok", why=why)


def warning(check: str, why: str, command: str) -> Finding:
    """It works, or may go on for a while."""
    return Finding(check=check, state="warning", why=why, command=command)


def error(check: str, why: str, command: str) -> Finding:
    """Something will not work."""
    return Finding(check=check, state="error", why=why, command=command)


def exit_code(findings: Iterable[Finding]) -> int:
    """0 all ok, 1 a warning, 2 an error."""
    return max((_CODES[each.state] for each in findings), default=0)
