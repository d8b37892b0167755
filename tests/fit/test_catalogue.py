"""The catalogue of models: sizes that come to the published parameters, and names as people write them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import llmops.fit
from llmops.fit.catalogue import model_named, scheme_of
from llmops.fit.errors import BadFit
from llmops.fit.model import Model
from llmops.fit.shape import shape_of
from tests.fit.known import KNOWN, model

ROWS = json.loads((Path(llmops.fit.__file__).parent / "models.json").read_text())["models"]


def test_there_are_forty_models_and_more() -> None:
    assert len({each.name for each in KNOWN.models}) == len(KNOWN.models) >= 40


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row["name"]))
def test_the_sizes_come_to_exactly_the_parameters_that_the_hub_shows(row: dict[str, object]) -> None:
    assert model_named(str(row["name"]), KNOWN.models).parameters == row["parameters"]


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-7B-Instruct"), ("qwen2.5-7b", "Qwen/Qwen2.5-7B-Instruct"),
        ("llama-2-13b", "meta-llama/Llama-2-13b-chat-hf"), ("Mistral-7B", "mistralai/Mistral-7B-Instruct-v0.3"),
        ("phi-4", "microsoft/phi-4"), ("gemma-3-12b", "google/gemma-3-12b-it"),
    ],
)  # fmt: skip
def test_a_model_is_found_by_its_whole_name_or_a_short_one(typed: str, name: str) -> None:
    assert model(typed).name == name


def test_an_unknown_model_gets_a_sentence_with_the_nearest() -> None:
    with pytest.raises(
        BadFit, match=r"^Qwen/Qwen2.5-8B-Instruct: neither .*; did you mean Qwen/Qwen2.5-\d+B-Instruct\?$"
    ):
        model("Qwen/Qwen2.5-8B-Instruct")
    with pytest.raises(BadFit, match=r"known models; `llmops fit --models` lists them\.$"):
        model("/" * 3)


@pytest.mark.parametrize(
    ("typed", "scheme"),
    [("bf16", "none"), ("FP16", "none"), ("nf4_double", "nf4-double"), ("awq", "awq"), ("4bit", "nf4")],
)
def test_ways_of_storing_have_more_than_one_name(typed: str, scheme: str) -> None:
    assert scheme_of(typed) == scheme


def test_an_unknown_way_of_storing_is_refused_with_the_nearest_or_all() -> None:
    with pytest.raises(BadFit, match=r"^--quant nf5: did you mean nf4\?$"):
        scheme_of("nf5")
    with pytest.raises(BadFit, match=r"^--quant 萬: give one of bf16, nf4, .*, awq\.$"):
        scheme_of("萬")


DENSE = dict(ROWS[0]["config"])


def test_a_window_counts_where_the_config_says_which_layers_have_one() -> None:
    listed = ["sliding_attention", "full_attention", "linear_attention", "linear_attention"]
    shape = shape_of(DENSE | {"num_hidden_layers": 4, "layer_types": listed, "sliding_window": 128})
    assert (shape.full_layers, shape.window_layers, shape.window) == (1, 1, 128)
    assert shape_of(DENSE | {"layer_types": ["sliding_attention"] * 24}).window_layers == 0
    assert shape_of(DENSE | {"model_type": "mistral", "sliding_window": 64}).window_layers == 24
    assert (
        shape_of(DENSE | {"model_type": "mistral", "sliding_window": 64, "use_sliding_window": False}).full_layers == 24
    )
    assert shape_of(DENSE | {"sliding_window": 64}).window_layers == 0


def test_a_config_without_a_longest_context_is_taken() -> None:
    it = {key: value for key, value in DENSE.items() if key != "max_position_embeddings"}
    assert shape_of(it).context is None


def test_the_text_inside_a_model_that_sees_is_what_counts() -> None:
    outside = {"model_type": "seeing", "text_config": DENSE, "tie_word_embeddings": False}
    assert Model(name="", source="", config=outside).parameters == ROWS[0]["parameters"]


def test_a_latent_question_is_counted_too() -> None:
    config = next(row["config"] for row in ROWS if row["config"]["model_type"] == "deepseek_v2")
    plain = Model(name="", source="", config=config).parameters
    asked = Model(name="", source="", config=config | {"q_lora_rank": 1536}).parameters
    heads, hidden, layers = 16, 2048, 27
    more = 1536 * hidden + 1536 + heads * 192 * 1536 - heads * 192 * hidden
    assert asked - plain == layers * more
