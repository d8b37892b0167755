"""Held against published measurements, where those are beside the checkout."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

import llmops.fit
from llmops.fit.catalogue import scheme_of
from llmops.fit.memory import need
from llmops.fit.model import Model
from llmops.fit.speed import Run, calibrate, read_bytes
from tests.fit.known import KNOWN, model

DATA = Path(__file__).parents[3] / "shared" / "data"
MEMORY, SPEED = DATA / "vram_points.json", DATA / "speed_points.json"
SPELLED = {"int8-decomp": "int8", "nf4-dq": "nf4-double"}
CARDS = {"A100 80GB": "A100 80GB", "RTX 4090": "RTX 4090", "H100 80GB SXM": "H100 SXM 80GB"}
memory_points = pytest.mark.skipif(not MEMORY.exists(), reason=f"published measurements: there is no {MEMORY}")
speed_points = pytest.mark.skipif(not SPEED.exists(), reason=f"published measurements: there is no {SPEED}")


def points(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text())["points"]
    return found


def of_point(config: dict[str, Any]) -> Model:
    names = {
        "hidden_size": "hidden", "num_hidden_layers": "layers", "num_attention_heads": "heads", "head_dim": "head_dim",
        "num_key_value_heads": "kv_heads", "intermediate_size": "ffn", "vocab_size": "vocab",
        "tie_word_embeddings": "tied",
    }  # fmt: skip
    return Model(
        name="", source="", config={"model_type": "qwen2"} | {key: config[each] for key, each in names.items()}
    )


def memory_errors() -> dict[str, dict[str, list[float]]]:
    """Shares by which peaks are missed, by way of storing and model."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for point in points(MEMORY):
        told = need(
            of_point(point["config"]), scheme_of(point["quant"]),
            prompt=point["input_len"], answer=point["new_tokens"], batch=point["batch"],
        )  # fmt: skip
        found[point["quant"]][point["model"]].append(abs(told.torch / 2**30 / point["measured_gib"] - 1))
    return found


@memory_points
@pytest.mark.parametrize(
    ("quant", "mean", "most"),
    [("bf16", 0.005, 0.02), ("gptq-int4", 0.006, 0.02), ("awq", 0.005, 0.02), ("gptq-int8", 0.005, 0.02)],
)
def test_peaks_that_were_measured_are_predicted(quant: str, mean: float, most: float) -> None:
    """No constant was fitted to these points, so leaving a model out changes nothing: each model must hold alone."""
    by_model = memory_errors()[quant]
    errors = [error for each in by_model.values() for error in each]
    assert sum(errors) / len(errors) <= mean
    assert max(errors) <= most
    for each in by_model.values():
        assert sum(each) / len(each) <= 0.01


def runs() -> dict[tuple[str, str], list[Run]]:
    cards = {card.name: card for card in KNOWN.cards}
    found: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for point in points(SPEED):
        card, quant = cards[CARDS[point["gpu"]]], point["quant"]
        it = model(point["model"])
        read = read_bytes(it, scheme_of(SPELLED.get(quant, quant)))
        run = Run(layers=point["layers"], read_bytes=read, bandwidth=card.bandwidth, step_s=1 / point["tok_s"])
        found[point["gpu"], quant].append(run)
    return found


@speed_points
@pytest.mark.parametrize("chosen", [0, 1, 2])
def test_one_run_on_a_card_predicts_the_others_there(chosen: int) -> None:
    """Whichever model is the one: the mean leaves out the runs that were learnt from."""
    errors = []
    for each in runs().values():
        pace = calibrate([each[min(chosen, len(each) - 1)]])
        others = [run for number, run in enumerate(each) if len(each) > 1 and number != chosen]
        errors += [abs(run.step_s / pace.step_s(run.layers, run.read_bytes, run.bandwidth) - 1) for run in others]
    assert len(errors) == 8
    assert sum(errors) / len(errors) <= 0.06
    assert max(errors) <= 0.10


@speed_points
def test_the_hosts_that_ship_are_one_published_run_each() -> None:
    published = {
        (CARDS[point["gpu"]], scheme_of(SPELLED.get(point["quant"], point["quant"]))) for point in points(SPEED)
    }
    assert set(KNOWN.hosts) == published
    told = {
        (CARDS[point["gpu"]], SPELLED.get(point["quant"], point["quant"]), point["tok_s"]) for point in points(SPEED)
    }
    rows = json.loads((Path(llmops.fit.__file__).parent / "hosts.json").read_text())["runs"]
    assert {
        (row["card"], {"none": "bf16"}.get(row["scheme"], row["scheme"]), row["tokens_per_s"]) for row in rows
    } <= told
