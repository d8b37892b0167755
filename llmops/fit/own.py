"""What this box's own benchmarks say of its pace, so that one of them predicts every other model here."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence

from llmops.fit.cards import Card
from llmops.fit.catalogue import Hosts
from llmops.fit.model import Model
from llmops.fit.pace import HERE, here
from llmops.fit.speed import Run, calibrate, read_bytes
from llmops.fit.weights import Scheme


@dataclasses.dataclass(frozen=True, slots=True)
class Measured:
    """One benchmark on this box: seconds for each further token of an answer."""

    model: str
    scheme: Scheme
    step_s: float


def by_known_name(models: Sequence[Model]) -> dict[str, Model]:
    """A model that was served from a folder goes by the folder's name, which is the last part of the hub's."""
    return {name: model for model in models for name in (model.name, model.name.rstrip("/").rpartition("/")[2])}


def own_hosts(measured: Iterable[Measured], models: Sequence[Model], card: Card) -> Hosts:
    """Newest first, and only the newest of each model counts; models that are not known teach nothing."""
    known = by_known_name(models)
    newest: dict[tuple[str, Scheme], Run] = {}
    for each in measured:
        model = known.get(each.model)
        if model is not None and each.step_s > 0:
            newest.setdefault((model.name, each.scheme), _run(model, each, card))
    by_scheme: dict[Scheme, list[Run]] = defaultdict(list)
    for (_, scheme), run in newest.items():
        by_scheme[scheme].append(run)
    alone = {(here(name), scheme): calibrate([run]) for (name, scheme), run in newest.items()}
    return alone | {(HERE, scheme): calibrate(runs) for scheme, runs in by_scheme.items()}


def _run(model: Model, each: Measured, card: Card) -> Run:
    return Run(
        layers=model.shape.layers,
        read_bytes=read_bytes(model, each.scheme),
        bandwidth=card.bandwidth,
        step_s=each.step_s,
    )
