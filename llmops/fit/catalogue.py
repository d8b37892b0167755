"""The bundled models and published runs, as values; and how a model is found by what somebody typed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import get_args

from llmops.fit.cards import Card
from llmops.fit.errors import BadFit, nearest
from llmops.fit.model import Model
from llmops.fit.speed import Pace, Run, calibrate, read_bytes
from llmops.fit.weights import Scheme

SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
RUNTIME_SCHEMES: tuple[Scheme, ...] = ("none", "int8", "nf4", "nf4-double")
"""What the engine does itself with any model, the most exact first."""
NAMES: Mapping[Scheme, str] = {"none": "bf16"}
_SPELLED: Mapping[str, Scheme] = {"bf16": "none", "fp16": "none", "4bit": "nf4", "8bit": "int8", "nf4-dq": "nf4-double"}
_SUFFIXES = re.compile(r"-(instruct|chat|it|hf|v\d\.\d|\d{4})(?=-|$)")

Hosts = Mapping[tuple[str, Scheme], Pace]
"""By card and way of storing."""


def models_of(text: str) -> tuple[Model, ...]:
    """The catalogue from its JSON."""
    return tuple(
        Model(name=row["name"], config=row["config"], source="catalogue", seen_in=tuple(row["seen_in"]))
        for row in json.loads(text)["models"]
    )


def hosts_of(text: str, models: Sequence[Model], cards: Sequence[Card]) -> Hosts:
    """What published runs say of their hosts."""
    by_name, by_card = {model.name: model for model in models}, {card.name: card for card in cards}
    return {
        (row["card"], row["scheme"]): calibrate([_run(row, by_name[row["model"]], by_card[row["card"]])])
        for row in json.loads(text)["runs"]
    }


def _run(row: Mapping[str, object], model: Model, card: Card) -> Run:
    scheme = scheme_of(str(row["scheme"]))
    return Run(
        layers=model.shape.layers,
        read_bytes=read_bytes(model, scheme),
        bandwidth=card.bandwidth,
        step_s=1 / float(str(row["tokens_per_s"])),
    )


def scheme_of(name: str) -> Scheme:
    """From `bf16`, `nf4`, `gptq-int4`. Raises BadFit."""
    asked = name.strip().casefold().replace("_", "-")
    known: dict[str, Scheme] = {**{str(scheme): scheme for scheme in SCHEMES}, **_SPELLED}
    if asked in known:
        return known[asked]
    near = nearest(asked, known)
    names = ", ".join(NAMES.get(scheme, scheme) for scheme in SCHEMES)
    raise BadFit("unknown_quant", f"--quant {name}: " + (f"did you mean {near}?" if near else f"give one of {names}."))


def model_named(name: str, models: Sequence[Model]) -> Model:
    """By its whole name, by the part after the slash, or by that without -Instruct and versions. Raises BadFit."""
    asked = name.strip().casefold()
    for spell in (_whole, _short, _bare):
        found = [model for model in models if spell(model.name) == asked]
        if found:
            return found[0]
    near = nearest(asked.rpartition("/")[2], (_short(model.name) for model in models))
    meant = next((model.name for model in models if _short(model.name) == near), None)
    raise BadFit(
        "unknown_model",
        f"{name}: neither a folder with a config.json nor one of the {len(models)} known models"
        + (f"; did you mean {meant}?" if meant else "; `llmops fit --models` lists them."),
    )


def _whole(name: str) -> str:
    return name.casefold()


def _short(name: str) -> str:
    return _whole(name).rpartition("/")[2]


def _bare(name: str) -> str:
    return _SUFFIXES.sub("", _short(name))
