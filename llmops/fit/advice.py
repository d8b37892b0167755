"""What to do about a model that does not fit: leave a part of it in RAM, or split each layer over the cards."""

from __future__ import annotations

import dataclasses

from llmops.fit.catalogue import Hosts
from llmops.fit.pace import Speed, speed_of
from llmops.fit.spread import can_split_tensors, offloaded_bytes
from llmops.fit.verdict import TIGHT, Fit, judge_split


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Offload:
    """With so many bytes of weights in RAM the rest fits. slower: how many times as long a token takes, at best."""

    bytes: int
    speed: Speed
    slower: float


def offload(fit: Fit, hosts: Hosts) -> Offload | None:
    """None where nothing has to be left in RAM, or that can't help."""
    room = int(TIGHT * fit.free_bytes)
    if fit.fits or fit.box.count > 1 or fit.box.kind == "cpu":
        return None
    left = offloaded_bytes(fit.model, fit.scheme, room, prompt=fit.context, batch=fit.batch)
    if left is None:
        return None
    speed = speed_of(
        fit.model, fit.scheme, fit.box, hosts, tokens=fit.context, batch=fit.batch, split=fit.split, offloaded=left
    )
    return Offload(bytes=left, speed=speed, slower=fit.speed.high / speed.high)


def tensors_split(fit: Fit, hosts: Hosts) -> Fit | None:
    """The same with each layer over all cards, as other servers do; None on one card or where heads don't divide."""
    if fit.box.count == 1 or not can_split_tensors(fit.model, fit.box.count):
        return None
    return judge_split(fit.model, fit.scheme, fit.box, hosts, context=fit.context, batch=fit.batch, split="tensors")
