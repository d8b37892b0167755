"""What this machine's own benchmarks on its processors say of the share of the memory's bandwidth that is reached."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from llmops.fit.cards import Box
from llmops.fit.catalogue import Hosts
from llmops.fit.cpu import cpu_read_bytes
from llmops.fit.model import Model
from llmops.fit.own import Measured, by_known_name
from llmops.fit.pace import HERE, here
from llmops.fit.speed import Pace
from llmops.fit.weights import Scheme


def cpu_hosts(measured: Iterable[Measured], models: Sequence[Model], box: Box) -> Hosts:
    """Newest first, and only the newest of each model counts; models that are not known teach nothing."""
    known = by_known_name(models)
    newest: dict[tuple[str, Scheme], float] = {}
    for each in measured:
        model = known.get(each.model)
        if model is not None and each.step_s > 0 and box.card.bandwidth > 0:
            read = cpu_read_bytes(model, each.scheme, box)
            newest.setdefault((model.name, each.scheme), read / (box.card.bandwidth * each.step_s))
    by_scheme: dict[Scheme, list[float]] = defaultdict(list)
    for (_, scheme), share in newest.items():
        by_scheme[scheme].append(share)
    alone = {(here(name), scheme): _pace([share]) for (name, scheme), share in newest.items()}
    return alone | {(HERE, scheme): _pace(shares) for scheme, shares in by_scheme.items()}


def _pace(shares: Sequence[float]) -> Pace:
    ordered = sorted(shares)
    middle = ordered[len(ordered) // 2]
    error = max(abs(share / middle - 1) for share in shares)
    return Pace(layer_s=None, efficiency=middle, runs=len(shares), error=error)
