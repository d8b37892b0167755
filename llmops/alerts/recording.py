"""Is the record whole? From what its writers say of themselves to the findings `journal_full` and `record_lost`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from llmops.alerts.phrases import Phrase, say
from llmops.alerts.rules import Finding

FULL_RULE_ID, LOST_RULE_ID = "journal_full", "record_lost"
FULL_FOR_S = 5.0
"""A disk may be slow for a moment; memory holds minutes of events."""
FULL_KEEP_S = 10.0
LOST_KEEP_S = 300.0
"""So long without a further loss, and it is over: what was lost stays lost."""
NEARLY = 0.9
"""Share of the hard cap at which somebody must look: at the cap events go that not all readers have."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """A process that writes events: how many are only in its memory, how many are nowhere, and why."""

    name: str
    instance_id: str
    waiting: int = 0
    lost: int = 0
    trouble: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """What the journal takes, in bytes, and its hard cap."""

    used_bytes: int = 0
    max_bytes: int = 1

    @property
    def share(self) -> float:
        """Of the cap."""
        return self.used_bytes / self.max_bytes


def journal_finding(writers: Sequence[Writer], disk: Disk, *, is_complete: bool) -> Finding:
    """Act now, and nothing is lost. `is_complete` False: serve does not answer, so only the bad news is known."""
    stuck = next((writer for writer in writers if writer.trouble is not None), None)
    is_nearly_full = disk.share >= NEARLY
    return Finding(
        rule_id=FULL_RULE_ID,
        name=say("journal_full"),
        severity="page",
        active=True if stuck or is_nearly_full else False if is_complete else None,
        value=disk.share,
        threshold=NEARLY,
        reason=_full_reason(stuck, disk, is_nearly_full),
        for_s=FULL_FOR_S,
        keep_s=FULL_KEEP_S,
    )


def _full_reason(stuck: Writer | None, disk: Disk, is_nearly_full: bool) -> Phrase:
    if stuck is not None:
        return say("journal_full.stuck", writer=stuck.name, why=stuck.trouble, waiting=stuck.waiting)
    used, most = (f"{size_bytes / 2**30:.1f} GiB" for size_bytes in (disk.used_bytes, disk.max_bytes))
    return say("journal_full.cap" if is_nearly_full else "journal_full.calm", used=used, most=most)


def loss_finding(known: Mapping[str, int], writers: Sequence[Writer], removed: int) -> Finding:
    """Something is nowhere now that was an event. `known`: losses already told, by instance; `removed`: events that
    went with old files at the hard cap since the last look."""
    lost = {writer.name: writer.lost - known.get(writer.instance_id, 0) for writer in writers}
    parts = [say("record_lost.writer", writer=name, count=count) for name, count in lost.items() if count > 0]
    parts += [say("record_lost.removed", count=removed)] if removed else []
    return Finding(
        rule_id=LOST_RULE_ID,
        name=say("record_lost"),
        severity="ticket",
        active=bool(parts),
        value=float(removed + sum(count for count in lost.values() if count > 0)),
        reason=say("several", parts=tuple(parts)) if parts else say("record_lost.calm"),
        keep_s=LOST_KEEP_S,
    )


def told(known: Mapping[str, int], writers: Sequence[Writer], *, is_complete: bool) -> dict[str, int]:
    """The losses that were told after this look. A serve that does not answer now may answer again."""
    return {**({} if is_complete else known), **{writer.instance_id: writer.lost for writer in writers if writer.lost}}
