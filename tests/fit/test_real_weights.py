from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, cast, get_args

import pytest
import torch

from benchmarks.models import SHAPES, config_of, random_model
from llmops.engine.build import DEMO_MODEL
from llmops.engine.dials import EngineDials, Quantization
from llmops.engine.loading import load
from llmops.engine.weighing import measured_bytes
from llmops.fit.layers import tensors_of
from llmops.fit.weights import BYTES_PER_PARAMETER, Tensor, repacked_bytes, weight_bytes

QUANTIZATIONS: tuple[Quantization, ...] = get_args(Quantization)


@pytest.fixture(scope="module")
def folder_29m(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_model("29m", tmp_path_factory.mktemp("models") / "29m")


def config_json(folder: Path) -> dict[str, Any]:
    import json

    return cast(dict[str, Any], json.loads((folder / "config.json").read_text()))


@pytest.mark.model
@pytest.mark.parametrize("quantization", QUANTIZATIONS)
@pytest.mark.parametrize("name", ["29m", "demo"])
def test_what_is_predicted_is_what_real_layers_weigh(folder_29m: Path, name: str, quantization: Quantization) -> None:
    folder = DEMO_MODEL if name == "demo" else folder_29m
    loaded = load(str(folder), EngineDials(quantization=quantization, device="cpu", dtype="float32"))
    predicted = weight_bytes(tensors_of(config_json(folder)), quantization, compute_bytes=4)
    assert measured_bytes(loaded.model) == pytest.approx(predicted, rel=0.03)


@pytest.mark.model
@pytest.mark.parametrize("quantization", ["nf4", "nf4-double", "int8"])
def test_what_is_predicted_still_holds_after_the_first_answer(folder_29m: Path, quantization: Quantization) -> None:
    """Some CPUs repack 4-bit weights at the first step, and LLM.int8 moves its rows."""
    loaded = load(str(folder_29m), EngineDials(quantization=quantization, device="cpu", dtype="float32"))
    with torch.no_grad():
        loaded.model(torch.arange(300, 310)[None])
    state = getattr(loaded.model.model.layers[0].mlp.up_proj.weight, "quant_state", None)
    weigh = repacked_bytes if getattr(state, "packing_format_for_cpu", False) else weight_bytes
    predicted = weigh(tensors_of(config_json(folder_29m)), quantization, compute_bytes=4)
    assert measured_bytes(loaded.model) == pytest.approx(predicted, rel=0.03)


@pytest.mark.parametrize(
    ("quantization", "per_parameter"), [("nf4", 0.5625), ("nf4-double", 0.5159), ("int8", 1.0), ("none", 2.0)]
)
def test_a_large_layer_takes_the_bytes_that_are_known_for_it(quantization: Quantization, per_parameter: float) -> None:
    layer = Tensor("model.layers.0.mlp.up_proj.weight", (14336, 4096))
    taken = weight_bytes([layer], quantization, compute_bytes=2) / layer.parameters
    assert taken == pytest.approx(per_parameter, rel=1e-3)
    assert BYTES_PER_PARAMETER.get(quantization, 2.0) == pytest.approx(per_parameter, rel=1e-4)


def test_a_repacked_layer_has_two_bytes_for_each_scale_however_it_was_quantised() -> None:
    layer = Tensor("model.layers.0.mlp.up_proj.weight", (14336, 4096))
    for quantization in ("nf4", "nf4-double"):
        assert repacked_bytes([layer], quantization, 2) / layer.parameters == pytest.approx(0.53125, rel=1e-4)
    assert repacked_bytes([layer], "int8", 2) == weight_bytes([layer], "int8", 2)


def test_llama_8b_in_nf4_weighs_what_was_published() -> None:
    config = {
        "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "tie_word_embeddings": False,
    }  # fmt: skip
    assert sum(tensor.parameters for tensor in tensors_of(config)) == 8_030_261_248
    assert weight_bytes(tensors_of(config), "nf4", 2) == pytest.approx(6.03e9, rel=0.005)


@pytest.mark.parametrize("name", [*SHAPES, "llama", "qwen2", "mistral", "untied"])
def test_shapes_from_a_config_are_those_of_the_library(name: str) -> None:
    from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config

    small = {"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 2, "num_attention_heads": 4}
    made: dict[str, Any] = {"llama": LlamaConfig, "qwen2": Qwen2Config, "mistral": MistralConfig, "untied": LlamaConfig}
    config: Any = (
        config_of(name)
        if name in SHAPES
        else made[name](**small, num_key_value_heads=2, vocab_size=300, tie_word_embeddings=name != "untied")
    )
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    expected = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    assert {tensor.name: tensor.shape for tensor in tensors_of(config.to_dict())} == expected


def test_a_head_of_its_own_size_is_taken_from_the_config() -> None:
    config = config_of("29m").to_dict() | {"head_dim": 32}
    shapes = {tensor.name: tensor.shape for tensor in tensors_of(config)}
    assert shapes["model.layers.0.self_attn.q_proj.weight"] == (8 * 32, 512)


def test_a_model_with_experts_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="can only be counted from its files"):
        tensors_of(config_of("29m").to_dict() | {"model_type": "new_moe", "num_experts": 8})
    expert = Tensor("model.layers.0.mlp.experts.0.up_proj.weight", (64, 64))
    assert weight_bytes([expert], "nf4", 2) == 2 * expert.parameters


def test_a_tensor_is_what_it_says() -> None:
    assert dataclasses.astuple(Tensor("a.weight", (2, 3))) == ("a.weight", (2, 3), 1)
    assert not Tensor("model.embed_tokens.weight", (2, 3)).is_quantisable
    assert not Tensor("model.norm.weight", (2,)).is_quantisable
