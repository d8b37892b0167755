"""The latest samples of the cards, out of the record: asked for seldom, read with care."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from llmops.events import Document, SampleEvent
from llmops.events.names import name_of, seconds_of
from llmops.store import Store, StoreUnavailable
from llmops.watching.gauges import Seldom

EVERY_S = 5.0
SPAN_S = 60.0
AHEAD_S = 60.0
"""The clock of a serve on another machine may be ahead; that it is, is told by a rule of its own."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CardSample:
    """What the rules need of a sample; None where it does not say."""

    at: float
    device_id: str
    name: str
    instance_id: str | None
    """Of the serve that took it."""
    memory_limit_bytes: float | None
    torch_allocated_bytes: float | None
    torch_reserved_bytes: float | None
    ecc_uncorrected: float | None
    xid_count: float | None
    xid_last: float | None
    throttle_reasons: tuple[str, ...]


class Samples:
    """Of the last minute, or of three intervals where a card is sampled seldom."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._when = Seldom(EVERY_S)
        self._found: list[CardSample] | None = None

    def latest(self, now: float, interval_s: float = 1.0) -> Sequence[CardSample]:
        """Oldest first, as of at most five seconds ago. Raises what the store raises, and StoreUnavailable until it is
        asked again."""
        if self._when.is_due(now):
            self._found = None
            found = self._store.samples(now - span_s(interval_s), now + AHEAD_S)
            self._found = [sample for sample in map(_card, found) if sample is not None]
        if self._found is None:
            raise StoreUnavailable("The samples could not be read.", "failed")
        return self._found


def span_s(interval_s: float) -> float:
    """So long without a sample is silence."""
    return max(SPAN_S, 3 * interval_s)


def newest(samples: Iterable[CardSample]) -> dict[str, CardSample]:
    """The last sample of each card, by id."""
    return {sample.device_id: sample for sample in samples}


def labels(names: Iterable[tuple[str, str]]) -> dict[str, str]:
    """From pairs of id and name: what people call each card. Cards of the same name have their id with it."""
    known = dict(names)
    count = Counter(known.values())
    return {each: name if count[name] == 1 else f"{name} ({each})" for each, name in known.items()}


def _card(document: Document) -> CardSample | None:
    """None for what is no sample of a GPU; fields that are no numbers count as absent."""
    identity = _of(document, "device_id")
    if _of(document, "device_type") != "gpu" or not isinstance(identity, str):
        return None
    reasons = _of(document, "throttle_reasons")
    instance_id = document.get("service.node.name")
    return CardSample(
        at=seconds_of(document["@timestamp"]),
        device_id=identity,
        name=str(_of(document, "device_name")),
        instance_id=instance_id if isinstance(instance_id, str) else None,
        memory_limit_bytes=number(_of(document, "memory_limit_bytes")),
        torch_allocated_bytes=number(_of(document, "torch_allocated_bytes")),
        torch_reserved_bytes=number(_of(document, "torch_reserved_bytes")),
        ecc_uncorrected=number(_of(document, "ecc_uncorrected")),
        xid_count=number(_of(document, "xid_count")),
        xid_last=number(_of(document, "xid_last")),
        throttle_reasons=tuple(map(str, reasons)) if isinstance(reasons, list | tuple) else (),
    )


def _of(document: Document, attribute: str) -> Any:
    return document.get(name_of(SampleEvent, attribute))


def number(value: Any) -> float | None:
    """It, where it is a number."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
