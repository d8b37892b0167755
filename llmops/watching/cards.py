"""The rules of the cards: what serve says of them now, and what their samples of the last minute say."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, TypeAlias

from llmops.alerts.cards import (
    ERRORS_RULE_ID,
    LOST_RULE_ID,
    SILENT_RULE_ID,
    THROTTLED_RULE_ID,
    ErrorCount,
    counted,
    errors_finding,
    lost_finding,
    silent_finding,
    throttled_finding,
)
from llmops.alerts.gauges import MEMORY, TEMPERATURE, TEMPERATURE_RULE_ID, VRAM_RULE_ID, Limits
from llmops.alerts.rules import Finding
from llmops.events.snapshot import DeviceSnapshot, ServeSnapshot
from llmops.store import Store
from llmops.watching.gauges import Look, Rules
from llmops.watching.kept import KeptState
from llmops.watching.samples import CardSample, Samples, labels, newest, span_s

VramSource: TypeAlias = Literal["nvml_used", "torch_reserved", "torch_allocated"]
KEY = "alerts.cards"
"""Of the kept state: what each card had counted, which serve's cards were heard last, and which cards those were."""
_PART = "MIG-"
"""Parts of a card come and go as somebody divides it."""
_TORCH: Mapping[VramSource, Callable[[CardSample], float | None]] = {
    "torch_reserved": lambda sample: sample.torch_reserved_bytes,
    "torch_allocated": lambda sample: sample.torch_allocated_bytes,
}


class Cards:
    """Remembers over a restart what cards had counted, so that an error is told once."""

    def __init__(
        self,
        store: Store,
        *,
        source: VramSource = "nvml_used",
        memory: Limits = MEMORY,
        temperature: Limits = TEMPERATURE,
    ) -> None:
        self._kept = KeptState(store, KEY)
        self._samples = Samples(store)
        self._source = source
        self._memory = memory
        self._temperature = temperature
        self._known: dict[str, int] | None = None
        self._heard_of: str | None = None
        self._had: dict[str, str] = {}
        self._had_of: str | None = None
        self._heard_at: float | None = None
        self._serve_since: tuple[str, float] | None = None

    @property
    def rules(self) -> Rules:
        """All of them."""
        return {
            VRAM_RULE_ID: self._vram,
            TEMPERATURE_RULE_ID: self._hot,
            THROTTLED_RULE_ID: self._throttled,
            ERRORS_RULE_ID: self._errors,
            SILENT_RULE_ID: self._silent,
            LOST_RULE_ID: self._lost,
        }

    def _vram(self, look: Look) -> Finding:
        torch = _TORCH.get(self._source)
        shares = memory_shares(look.answer) if torch is None else self._torch_shares(look, torch)
        return look.gauge(VRAM_RULE_ID, shares, self._memory)

    def _torch_shares(self, look: Look, used: Callable[[CardSample], float | None]) -> dict[str, float]:
        samples = newest(self._latest(look))
        names = labels((sample.device_id, sample.name) for sample in samples.values())
        found = ((names[each.device_id], used(each), each.memory_limit_bytes) for each in samples.values())
        return {name: taken / limit for name, taken, limit in found if taken is not None and limit}

    def _hot(self, look: Look) -> Finding:
        gpus = _gpus(look.answer)
        warm = {name: gpu.temperature_c for name, gpu in gpus.items() if gpu.temperature_c is not None}
        return look.gauge(TEMPERATURE_RULE_ID, warm, self._temperature)

    def _throttled(self, look: Look) -> Finding:
        samples = self._latest(look)
        names = labels((sample.device_id, sample.name) for sample in samples)
        reasons: dict[str, list[tuple[str, ...]]] = {name: [] for name in names.values()}
        for sample in samples:
            reasons[names[sample.device_id]].append(sample.throttle_reasons)
        return throttled_finding(reasons, is_firing=look.is_firing(THROTTLED_RULE_ID))

    def _errors(self, look: Look) -> Finding:
        known = self._remember()
        samples = newest(self._latest(look))
        names = labels((sample.device_id, sample.name) for sample in samples.values())
        counts = [count for each in samples.values() for count in _counts(each, names[each.device_id])]
        found = errors_finding(known, counts)
        self._known = counted(known, counts)
        self._save()
        return found

    def _silent(self, look: Look) -> Finding:
        self._remember()
        samples = self._latest(look)
        if samples:
            self._heard_at = look.steady_s - (look.now - samples[-1].at)
            self._heard_of = samples[-1].instance_id
            self._save()
        serve = look.snapshot
        if serve is None or look.behind or self._heard_of is None:
            return silent_finding(None)
        if self._serve_since is None or self._serve_since[0] != serve.instance_id:
            self._serve_since = (serve.instance_id, look.steady_s)
        is_expected = bool(_gpus(serve)) or self._heard_of == serve.instance_id
        limit_s = span_s(serve.sample_interval_s)
        silent_s = look.steady_s - max(-math.inf if self._heard_at is None else self._heard_at, self._serve_since[1])
        is_known = self._heard_at is not None or silent_s >= limit_s  # just begun, with a memory from before
        return silent_finding(silent_s if is_known else None, limit_s, is_expected=is_expected)

    def _lost(self, look: Look) -> Finding:
        """Of the serve that runs: one that was started anew may have been started without a card on purpose."""
        serve = look.snapshot
        if serve is None or look.behind:
            return lost_finding(None)
        self._remember()
        answering = {each.device_id: each.name for each in self._latest(look) if each.instance_id == serve.instance_id}
        if self._had_of != serve.instance_id:
            self._had, self._had_of = {}, serve.instance_id
        self._had = self._had | {card: name for card, name in answering.items() if not card.startswith(_PART)}
        self._save()
        names = labels(self._had.items())
        lost = [names[card] for card in self._had if card not in answering]
        return lost_finding(lost if answering else None, span_s(serve.sample_interval_s))

    def _latest(self, look: Look) -> list[CardSample]:
        serve = look.snapshot
        return list(self._samples.latest(look.now, 1.0 if serve is None else serve.sample_interval_s))

    def _remember(self) -> dict[str, int]:
        """What was known before a restart; what cannot be read back begins anew."""
        if self._known is None:
            self._known = {}
            with contextlib.suppress(Exception):  # a store that fails is told elsewhere
                kept = self._kept.load() or {}
                self._known = {str(name): int(count) for name, count in kept["errors"].items()}
                self._heard_of = kept["heard_of"]
                self._had_of, self._had = kept["had_of"], dict(kept["had"])
        return self._known

    def _save(self) -> None:
        with contextlib.suppress(Exception):  # a store that fails is told elsewhere, and this is tried at the next look
            self._kept.save(
                {"errors": self._known, "heard_of": self._heard_of, "had_of": self._had_of, "had": self._had}
            )


def _counts(card: CardSample, name: str) -> Iterator[ErrorCount]:
    """What it tells of."""
    if card.ecc_uncorrected is not None:
        yield ErrorCount(device_id=card.device_id, device=name, kind="ecc", count=int(card.ecc_uncorrected))
    if card.xid_count is not None:
        last = None if card.xid_last is None else int(card.xid_last)
        yield ErrorCount(device_id=card.device_id, device=name, kind="xid", count=int(card.xid_count), last=last)


def _gpus(answer: ServeSnapshot | str) -> dict[str, DeviceSnapshot]:
    gpus = [] if isinstance(answer, str) else [device for device in answer.devices if device.type == "gpu"]
    names = labels((device.id, device.name) for device in gpus)
    return {names[device.id]: device for device in gpus}


def memory_shares(answer: ServeSnapshot | str) -> dict[str, float]:
    """Share of its memory that each GPU uses, by name; cards of the same name have their id with it."""
    return {
        name: gpu.memory_used_bytes / gpu.memory_limit_bytes
        for name, gpu in _gpus(answer).items()
        if gpu.memory_used_bytes is not None and gpu.memory_limit_bytes
    }
