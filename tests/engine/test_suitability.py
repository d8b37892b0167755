"""Models that can't be batched are found out and served one generation at a time, without a dial."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from llmops.engine.build import build_engine
from llmops.engine.contract import Message
from llmops.engine.dials import EngineDials
from llmops.engine.sequential import OneByOne
from llmops.engine.suitability import why_not_batched
from llmops.engine.transformers_engine import TransformersEngine
from tests.engine.answers import ask, pieces_of, text_of
from tests.engine.tiny_model import tokenizer_only

PROMPT = "Tell me about models that keep a state instead of a cache"
SIZE = len(tokenizer_only())


def _mamba() -> Any:
    from transformers import MambaConfig, MambaForCausalLM

    return MambaForCausalLM(
        MambaConfig(vocab_size=SIZE, hidden_size=32, state_size=4, num_hidden_layers=2, initializer_range=0.5)
    )


def _linear_attention() -> Any:
    from transformers import Qwen3_5ForCausalLM, Qwen3_5TextConfig

    config = Qwen3_5TextConfig(
        vocab_size=SIZE,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        linear_num_key_heads=2,
        linear_num_value_heads=2,
        linear_key_head_dim=16,
        linear_value_head_dim=16,
        max_position_embeddings=512,
        initializer_range=0.2,
    )
    assert "linear_attention" in (config.layer_types or [])
    return Qwen3_5ForCausalLM(config)


def _recurrent() -> Any:
    from transformers import RwkvConfig, RwkvForCausalLM

    return RwkvForCausalLM(
        RwkvConfig(vocab_size=SIZE, hidden_size=32, num_hidden_layers=2, attention_hidden_size=32, context_length=512)
    )


MAKERS: dict[str, Callable[[], Any]] = {"mamba": _mamba, "qwen3.5": _linear_attention, "rwkv": _recurrent}


@pytest.fixture(scope="module", params=sorted(MAKERS))
def stateful_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import GenerationConfig

    torch.manual_seed(7)
    folder = tmp_path_factory.mktemp(request.param)
    model = MAKERS[request.param]()
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        eos_token_id=tokenizer_only().eos_token_id, repetition_penalty=1.7, do_sample=True, top_k=1
    )
    model.save_pretrained(folder)
    tokenizer_only().save_pretrained(folder)
    return folder


async def test_a_stateful_model_is_served_by_itself_and_token_by_token_as_generate_does(
    stateful_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from transformers import AutoModelForCausalLM

    caplog.set_level(logging.INFO, "llmops.engine.transformers_engine")
    engine = build_engine("transformers", str(stateful_folder))
    await engine.start()
    assert engine.card.engine == "transformers-sequential"
    assert [record.message for record in caplog.records if "one generation at a time, because it" in record.message]
    answers = await asyncio.gather(*[pieces_of(engine, ask(engine, f"{PROMPT} {n}", max_tokens=20)) for n in range(3)])
    await engine.stop()
    model: Any = AutoModelForCausalLM.from_pretrained(stateful_folder)
    for number, answer in enumerate(answers):
        ids = engine_ids(f"{PROMPT} {number}")
        whole = model.generate(torch.tensor([ids]), max_new_tokens=20, do_sample=False, repetition_penalty=1.0)
        expected = tokenizer_only().decode(whole[0, len(ids) :], skip_special_tokens=True)
        assert "".join(piece.text for piece in answer) == expected.rstrip("\ufffd")
        assert sum(piece.tokens for piece in answer) == len(whole[0]) - len(ids)


def engine_ids(text: str) -> list[int]:
    turns = [{"role": "user", "content": text}]
    rendered = tokenizer_only().apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    return list(tokenizer_only().encode(rendered, add_special_tokens=False))


async def test_a_model_that_batching_fails_at_in_its_own_words_goes_one_by_one(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AttributeError("'Config' object has no attribute 'num_attention_heads'")

    monkeypatch.setattr("llmops.engine.transformers_engine.plan_for", refuse)
    engine = TransformersEngine(str(tiny_folder))
    await engine.start()
    assert engine.card.engine == "transformers-sequential"
    assert await text_of(engine, ask(engine, PROMPT))
    assert (engine.stats().kv_cache_utilization, engine.stats().room_tokens) == (None, None)
    await engine.stop()


async def test_a_recurrent_model_has_a_length_and_a_dial_caps_it(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "recurrent")
    _mamba().save_pretrained(folder)
    engine = TransformersEngine(str(folder), EngineDials(max_model_len=100))
    await engine.start()
    assert engine.card.max_model_len == 100
    assert isinstance(engine._here()[1], OneByOne)
    assert engine.encode([Message("user", "hi")])
    await engine.stop()


def _model(config: object, **facts: object) -> Any:
    return SimpleNamespace(**{"config": config, "_is_stateful": False, "_supports_attention_backend": True, **facts})


def test_what_cannot_be_batched_is_known_before_it_is_tried() -> None:
    from transformers import LlamaConfig

    plain = LlamaConfig(num_hidden_layers=2)
    hybrid = LlamaConfig(num_hidden_layers=2)
    hybrid.layer_types = ["linear_attention", "full_attention"]
    pictures = LlamaConfig(num_hidden_layers=2)
    pictures.vision_config = object()
    assert why_not_batched(_model(plain)) is None
    assert "recurrent" in (why_not_batched(_model(plain, _is_stateful=True)) or "")
    assert "linear_attention" in (why_not_batched(_model(hybrid)) or "")
    assert "pictures" in (why_not_batched(_model(pictures)) or "")
    assert "attention" in (why_not_batched(_model(plain, _supports_attention_backend=False)) or "")
