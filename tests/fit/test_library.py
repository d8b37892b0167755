"""The arithmetic against the library itself: what a forward pass holds at once, and what real quantised layers take."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any, cast

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from llmops.engine.weighing import measured_bytes
from llmops.fit.layers import KINDS, alike_tensors_of, tensors_of
from llmops.fit.memory import cache_bytes, need
from llmops.fit.model import Model
from llmops.fit.weights import Scheme, Tensor, weight_bytes
from tests.fit.known import KNOWN, model

pytestmark = pytest.mark.model
TOKENS = 4096


class Living(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all tensors that are alive, and remembers the most."""

    def __init__(self, known: Iterator[torch.Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._sizes = {tensor.untyped_storage()._cdata: 0 for tensor in known}
        self.now = self.most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_flatten(made)[0]:
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage()._cdata not in self._sizes:
                self._take(tensor.untyped_storage())
        return made

    def _take(self, storage: torch.UntypedStorage) -> None:
        self._sizes[storage._cdata] = storage.nbytes()
        self.now += storage.nbytes()
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._leave, storage._cdata)

    def _leave(self, key: int) -> None:
        self.now -= self._sizes.pop(key)


def flash(_: Any, query: Any, key: Any, value: Any, *__: Any, **___: Any) -> tuple[torch.Tensor, None]:
    """The memory of an attention that never writes its scores down: its result."""
    batch, heads, length, _size = query.shape
    return torch.empty(batch, length, heads, value.shape[-1], dtype=query.dtype, device=query.device), None


def built(config: dict[str, Any]) -> Any:
    """The library's model of so few layers, without numbers in it."""
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register("shapes_only", flash)
    told = {key: value for key, value in config.items() if key not in ("vision_parameters", "model_type")}
    made = AutoConfig.for_model(config["model_type"], **told, pad_token_id=0)
    made._attn_implementation = "shapes_only"
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(made, dtype=torch.bfloat16).eval()  # type: ignore[no-untyped-call]


def short(name: str, layers: int = 6) -> Model:
    """With so few layers, among them each kind that the model has."""
    it = model(name)
    config = {key: value for key, value in it.config.items() if key != "vision_parameters"}
    return Model(name=name, source="", config=config | {"num_hidden_layers": layers})


@pytest.mark.parametrize(
    ("name", "within"),
    [
        ("Qwen2.5-7B", 0.001), ("Qwen2.5-14B", 0.001), ("Llama-3.1-8B", 0.001), ("Qwen3-0.6B", 0.001),
        ("Mistral-Nemo-Instruct-2407", 0.001), ("gemma-2-9b-it", 0.001), ("gemma-3-4b-it", 0.001), ("phi-4", 0.001),
        ("Mixtral-8x7B", 0.001), ("Qwen3-30B-A3B", 0.005), ("GLM-4-9B-0414", 0.003),
    ],
)  # fmt: skip
def test_a_prompt_holds_what_is_predicted(name: str, within: float) -> None:
    it = short(name)
    made = built(dict(it.config))
    living = Living(iter([*made.parameters(), *made.buffers()]))
    ids = torch.zeros(1, TOKENS, dtype=torch.long, device="meta")
    with torch.no_grad(), living:
        made(input_ids=ids, position_ids=torch.arange(TOKENS, device="meta")[None], use_cache=True, logits_to_keep=1)
    fixed = need(it, "none", prompt=0).activations
    told = need(it, "none", prompt=TOKENS)
    predicted = told.activations - fixed + cache_bytes(it.shape, TOKENS, windows=False)
    assert living.most == pytest.approx(predicted, rel=within)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_has_the_parameters_that_the_library_builds(kind: str) -> None:
    first = next(each for each in KNOWN.models if each.config["model_type"] == kind)
    it = short(first.name, layers=4)
    made = built(dict(it.config))
    expected = {name: tuple(parameter.shape) for name, parameter in made.named_parameters()}
    assert {tensor.name: tensor.shape for tensor in tensors_of(it.config)} == expected
    assert sum(tensor.copies * tensor.parameters for tensor in alike_tensors_of(it.config)) == sum(
        parameter.numel() for parameter in made.parameters()
    )


@pytest.mark.parametrize("scheme", ["nf4", "nf4-double", "int8"])
@pytest.mark.parametrize(("rows", "inputs"), [(8960, 1536), (1536, 8960), (256, 1536)])
def test_real_quantised_layers_take_what_is_predicted(scheme: Scheme, rows: int, inputs: int) -> None:
    """The shapes of Qwen2.5-1.5B."""
    import bitsandbytes as bnb

    layers: Any = bnb.nn
    plain = torch.nn.Linear(inputs, rows, bias=False, dtype=torch.bfloat16)
    made = (
        layers.Linear8bitLt(inputs, rows, bias=False, has_fp16_weights=False)
        if scheme == "int8"
        else layers.Linear4bit(
            inputs, rows, bias=False, quant_type="nf4", compute_dtype=torch.bfloat16,
            compress_statistics=scheme == "nf4-double",
        )
    )  # fmt: skip
    made.load_state_dict(plain.state_dict())
    on_device = cast(torch.nn.Module, made.to("cpu"))
    predicted = weight_bytes([Tensor("model.layers.0.mlp.up_proj.weight", (rows, inputs))], scheme, 2)
    assert measured_bytes(on_device) == pytest.approx(predicted, rel=0.01)
