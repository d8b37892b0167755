from __future__ import annotations

import torch
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from llmops.engine.fused_norms import fuse_norms


def a_model(norm: torch.nn.Module) -> torch.nn.Module:
    torch.nn.init.normal_(norm.weight)  # type: ignore[arg-type]
    return torch.nn.Sequential(torch.nn.Linear(8, 8), norm)


def test_a_fused_norm_gives_the_numbers_that_it_gave() -> None:
    model = a_model(LlamaRMSNorm(8, eps=1e-5))
    x = torch.randn(2, 3, 8)
    with torch.no_grad():
        before = model(x)
        assert fuse_norms(model) == 1
        assert torch.allclose(model(x), before, atol=1e-6)


def test_a_norm_that_computes_something_else_stays_as_it_is() -> None:
    model = a_model(GemmaRMSNorm(8))  # its weight is one less than it says
    x = torch.randn(2, 8)
    with torch.no_grad():
        before = model(x)
        assert fuse_norms(model) == 0
        assert torch.equal(model(x), before)


def test_half_precision_is_left_alone() -> None:
    assert fuse_norms(a_model(LlamaRMSNorm(8)).to(torch.bfloat16)) == 0
