"""`llmops fit`: what this machine can run, or whether it can run this model, before anything is downloaded."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from llmops.fit.advice import offload, tensors_split
from llmops.fit.cards import Box
from llmops.fit.catalogue import RUNTIME_SCHEMES, scheme_of
from llmops.fit.errors import BadFit
from llmops.fit.model import Model
from llmops.fit.verdict import Fit, best, context_of, judge, rank
from llmops.fit.weights import Scheme
from llmops.shell import fit_table
from llmops.shell.fitting import Known, box_for, model_for, read_known, stored_scheme, with_own_runs
from llmops.untrusted import safe_line


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What was typed. model: None asks what fits. at_least: tokens a second."""

    model: str | None = None
    context: int | None = None
    scheme: str | None = None
    batch: int = 1
    gpu: str | None = None
    at_least: float = 0.0


def run(question: Question, record: Callable[[], Path], *, as_json: bool) -> int:
    """0 when something fits comfortably or tightly, 1 when nothing does, 2 for a question that is wrong.

    record: the store's file, asked for only where no GPU is simulated: the own runs of this box are in it.
    """
    try:
        known = read_known()
        model = None if question.model is None else model_for(question.model, known)
        box = box_for(question.gpu, known)
        if not box.is_simulated:
            known = with_own_runs(known, box, record(), model)
        if model is None:
            return _what_fits(question, box, known, as_json)
        schemes = _schemes(question, model)
        context = context_of(model, question.context)
        fits = [judge(model, each, box, known.hosts, context=context, batch=question.batch) for each in schemes]
        _tell(fits, known, as_json)
        return 0 if any(fit.fits for fit in fits) else 1
    except BadFit as error:
        print(f"llmops fit: {safe_line(error)}", file=sys.stderr)
        return 2


def list_models(*, as_json: bool) -> int:
    """The catalogue."""
    models = read_known().models
    if as_json:
        told = [{"name": each.name, "parameters": each.parameters, "seen_in": each.seen_in} for each in models]
        print(json.dumps(told, indent=2))
    else:
        fit_table.print_models(models)
    return 0


def list_cards(*, as_json: bool) -> int:
    """The cards that can be simulated."""
    cards = read_known().cards
    if as_json:
        print(json.dumps([dataclasses.asdict(card) for card in cards], indent=2))
    else:
        fit_table.print_cards(cards)
    return 0


def _what_fits(question: Question, box: Box, known: Known, as_json: bool) -> int:
    if question.scheme is not None:
        raise BadFit("unknown_quant", "--quant goes with a model: without one, the most exact that fits is shown.")
    fits = rank(
        known.models, box, known.hosts,
        context=question.context, batch=question.batch, at_least=question.at_least,
    )  # fmt: skip
    if as_json:
        print(json.dumps({"box": _box_fields(box), "fits": [_fields(fit) for fit in fits]}, indent=2))
    else:
        fit_table.print_ranking(fits, box, question.batch)
    return 0 if fits else 1


def _schemes(question: Question, model: Model) -> Sequence[Scheme]:
    came = stored_scheme(model)
    if came is not None:
        if question.scheme is not None and scheme_of(question.scheme) != came:
            raise BadFit("unknown_quant", f"--quant {question.scheme}: the folder is quantised already; leave it out.")
        return [came]
    if question.scheme is None:
        return RUNTIME_SCHEMES
    asked = scheme_of(question.scheme)
    if asked.startswith(("gptq", "awq")) and model.shape.active_share < 1:
        raise BadFit(
            "unknown_quant",
            f"--quant {question.scheme}: how files of a model with experts are packed differs from one to the other; "
            "download it and give its folder.",
        )
    return [asked]


def _tell(fits: Sequence[Fit], known: Known, as_json: bool) -> None:
    chosen = best(fits)
    least = min(fits, key=lambda fit: RUNTIME_SCHEMES.index(fit.scheme) if fit.scheme in RUNTIME_SCHEMES else 0)
    left, split = offload(least, known.hosts), tensors_split(chosen, known.hosts)
    if not as_json:
        fit_table.print_fits(fits, chosen, left, split)
        return
    told: dict[str, Any] = {
        "box": _box_fields(chosen.box),
        "fits": [_fields(fit) | {"longest_context": fit.longest} for fit in fits],
        "best": chosen.stored_as,
        "offload": None if left is None else dataclasses.asdict(left),
        "tensor_parallel": None if split is None else _fields(split),
        "verify": fit_table.command(chosen),
    }
    print(json.dumps(told, indent=2))


def _box_fields(box: Box) -> dict[str, Any]:
    return {"kind": box.kind, "count": box.count, "is_simulated": box.is_simulated} | dataclasses.asdict(box.card)


def _fields(fit: Fit) -> dict[str, Any]:
    return {
        "model": fit.model.name,
        "parameters": fit.model.parameters,
        "sizes_from": fit.model.source,
        "quant": fit.stored_as,
        "verdict": fit.word,
        "context": fit.context,
        "batch": fit.batch,
        "needs": {**dataclasses.asdict(fit.need), "total": fit.need.total},
        "free": fit.free_bytes,
        "share_of_free": round(fit.share, 4),
        "tokens_per_s": {
            "low": fit.speed.low,
            "high": fit.speed.high,
            "basis": fit.speed.basis,
            "runs": fit.speed.runs,
            "error": fit.speed.error,
        },
    }
