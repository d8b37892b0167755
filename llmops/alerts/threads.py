"""Do the background threads live? From what serve and watch say of theirs to the finding `thread_ended`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llmops.alerts.phrases import say
from llmops.alerts.rules import Finding
from llmops.events.snapshot import ServeSnapshot

RULE_ID = "thread_ended"
_EVENTS = "events"
"""Its end is why the journal is not written, and `journal_full` reports that."""


def threads_finding(serve: ServeSnapshot | None, own: Sequence[str]) -> Finding:
    """A thread that ended stays so until its process is started again. serve: None without an answer; own: names of
    the threads of watch that have ended."""
    ended = [say("thread_ended.thread", process="watch", thread=name) for name in own]
    ended += [say("thread_ended.thread", process="serve", thread=name) for name in _ended(serve)]
    return Finding(
        rule_id=RULE_ID,
        name=say(RULE_ID),
        severity="page",
        active=True if ended else None if serve is None else False,
        value=float(len(ended)),
        reason=say("several", parts=tuple(ended)) if ended else say("thread_ended.calm"),
    )


def _ended(serve: ServeSnapshot | None) -> Iterable[str]:
    threads = {} if serve is None else serve.threads
    return (name for name, is_alive in threads.items() if not is_alive and name != _EVENTS)
