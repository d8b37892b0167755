from __future__ import annotations

from typing import Any

import pytest
import torch

from llmops.engine.dials import EngineDials
from llmops.engine.errors import ModelNotLoaded
from llmops.engine.placing import attention_for, device_of, is_offloaded, placement, places_of, spread_over
from llmops.engine.transformers_engine import cuda_version

ON_CPU = not torch.cuda.is_available()


@pytest.mark.parametrize(
    ("dials", "sentence"),
    [
        ({"device": "gpu"}, r"engine\.device is 'gpu': give auto, cpu, or a GPU as in cuda:1"),
        ({"device": "cuda:17"}, r"engine\.device is 'cuda:17', but the GPUs here are: .*; set it to auto"),
        ({"tensor_parallel": 2}, r"tensor_parallel is 2.*vllm serve MODEL --tensor-parallel-size 2.*--engine upstream"),
        ({"device": "cpu", "device_map": "auto"}, r"names one device .* several: set one"),
        ({"device": "cpu", "cpu_offload": True}, r"names one device .* several: set one"),
        ({"max_memory": '{"0": "1GiB"}'}, r"set engine\.device_map or engine\.cpu_offload too"),
        ({"cpu_offload": True, "quantization": "nf4"}, r"cpu_offload can't be combined with quantisation"),
        ({"device_map": "everywhere"}, r"engine\.device_map is 'everywhere': give \"auto\""),
        ({"device_map": "{}"}, r"engine\.device_map is '{}': give"),
        ({"device_map": "auto", "max_memory": "20GiB"}, r"engine\.max_memory is '20GiB': give"),
    ],
)
def test_a_dial_that_cannot_be_honoured_is_named_with_the_fix(dials: dict[str, Any], sentence: str) -> None:
    asked = EngineDials(**dials)
    with pytest.raises(ModelNotLoaded, match=sentence):
        placement(asked, device_of(asked))


def test_one_device_takes_everything_unless_a_map_is_asked_for() -> None:
    assert placement(EngineDials(device="cpu"), "cpu") == {"device_map": {"": "cpu"}}
    told = EngineDials(device_map='{"model": 0, "lm_head": "cpu"}', max_memory='{"0": "1GiB", "cpu": "2GiB"}')
    assert placement(told, "cpu") == {
        "device_map": {"model": 0, "lm_head": "cpu"},
        "max_memory": {0: "1GiB", "cpu": "2GiB"},
    }


@pytest.mark.skipif(not ON_CPU, reason="a GPU is here")
def test_a_map_without_a_gpu_may_use_the_cpu() -> None:
    assert placement(EngineDials(device_map="auto"), "cpu") == {"device_map": "auto"}


def test_offloading_lets_the_library_use_ram() -> None:
    dials = EngineDials(cpu_offload=True, max_memory='{"0": "8GiB", "cpu": "60GiB"}')
    assert placement(dials, "cuda:0") == {"device_map": "auto", "max_memory": {0: "8GiB", "cpu": "60GiB"}}


def test_attention_is_the_quickest_that_is_installed_and_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"flash_attn"}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name if name in installed else None)
    auto, half = EngineDials(), torch.bfloat16
    assert attention_for(auto, "cuda:0", half, True) == "flash_attention_2"
    installed.add("flash_attn_interface")
    assert attention_for(auto, "cuda:0", half, True) == "flash_attention_3"
    assert attention_for(auto, "cuda:0", torch.float32, True) is None
    assert attention_for(auto, "cuda:0", half, False) is None
    assert attention_for(auto, "cpu", half, True) is None
    assert attention_for(EngineDials(attention="eager"), "cuda:0", half, True) == "eager"
    assert attention_for(EngineDials(attention="flash_attention_2"), "cuda:0", half, True) == "flash_attention_2"


def test_attention_that_is_not_there_or_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    dials = EngineDials(attention="flash_attention_3")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelNotLoaded, match="flash_attn_interface is not installed: set it to auto"):
        attention_for(dials, "cuda:0", torch.bfloat16, True)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    with pytest.raises(ModelNotLoaded, match="needs a GPU, bfloat16 or float16"):
        attention_for(dials, "cpu", torch.bfloat16, True)


class Spread:
    device = torch.device("cuda:0")

    def __init__(self, devices: dict[str, Any] | None) -> None:
        self.hf_device_map = devices


def test_a_model_on_several_gpus_is_not_batched() -> None:
    places = places_of(Spread({"a": 0, "b": 1, "c": "cpu"}))
    assert places == {"cuda:0", "cuda:1", "cpu"}
    assert "spread over cuda:0, cuda:1" in str(spread_over(places))


def test_a_model_on_one_gpu_is_batched_with_layers_in_ram_too() -> None:
    for devices in (None, {"a": 0, "b": "cpu"}, {"a": "cpu"}, {"a": "cpu", "b": "disk"}):
        assert spread_over(places_of(Spread(devices))) is None


@pytest.mark.parametrize(
    ("places", "expected"),
    [({"cpu"}, False), ({"cuda:0"}, False), ({"cuda:0", "cpu"}, True), ({"cpu", "disk"}, True)],
)
def test_layers_that_visit_their_device_are_offloaded(places: set[str], expected: bool) -> None:
    assert is_offloaded(frozenset(places)) is expected


def test_the_cuda_of_torch_is_told_for_what_computes_on_a_card_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    assert (cuda_version("cuda"), cuda_version("cpu")) == ("12.8", None)
