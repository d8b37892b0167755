"""Every embedding engine keeps the same promises: the fake, and a tiny random encoder under transformers."""

from __future__ import annotations

import array
import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from llmops.engine.dials import EngineDials
from llmops.engine.embedding import EchoEmbedding, EmbeddingEngine
from llmops.engine.errors import EngineStopped, ModelNotLoaded, PromptTooLong
from llmops.engine.transformers_embedding import TransformersEmbedding, _batches
from tests.engine import tiny_encoder

TEXTS = ["the cat sat on a mat", "dogs ran", "rain fell while the cat sat and dogs ran on"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder.build(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(params=["echo", "transformers"])
async def engine(request: pytest.FixtureRequest, encoder: Path) -> AsyncIterator[EmbeddingEngine]:
    engine: EmbeddingEngine = (
        EchoEmbedding(max_model_len=64)
        if request.param == "echo"
        else TransformersEmbedding(str(encoder), EngineDials(device="cpu"))
    )
    assert engine.health().state == "starting"
    await engine.start()
    yield engine
    await engine.stop()


def near(one: array.array[float], other: array.array[float]) -> bool:
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) < 1e-5


async def test_each_text_has_one_vector_of_length_one_in_its_own_place(engine: EmbeddingEngine) -> None:
    together = await engine.embed(TEXTS)
    assert len(together.vectors) == len(TEXTS)
    for text, vector in zip(TEXTS, together.vectors, strict=True):
        assert len(vector) == engine.card.dimensions
        assert math.isclose(sum(number * number for number in vector), 1, rel_tol=1e-4)
        alone = await engine.embed([text])
        assert near(alone.vectors[0], vector)
    assert not near(together.vectors[0], together.vectors[1])
    assert together.tokens > 10


async def test_a_text_beyond_the_model_is_refused_by_its_place(engine: EmbeddingEngine) -> None:
    with pytest.raises(PromptTooLong, match=r"Text 1 of input holds .* tokens and the embedding model takes 64"):
        await engine.embed(["cat", "cat " * 100])


async def test_a_stopped_engine_says_so(engine: EmbeddingEngine) -> None:
    await engine.stop()
    assert engine.health().state == "dead"
    with pytest.raises(EngineStopped):
        await engine.embed(["cat"])


async def _vector_of(folder: Path, text: str = TEXTS[0]) -> array.array[float]:
    engine = TransformersEmbedding(str(folder), EngineDials(device="cpu"))
    await engine.start()
    vectors = (await engine.embed([text, TEXTS[2]])).vectors  # the second is longer: the first is padded
    await engine.stop()
    return vectors[0]


@pytest.mark.parametrize(
    ("flag", "at"),
    [("pooling_mode_cls_token", 0), ("pooling_mode_lasttoken", -1), ("pooling_mode_max_tokens", None)],
)
async def test_pooling_is_what_the_folder_says(flag: str, at: int | None, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = tiny_encoder.build(tmp_path, pooling=flag, layers=("Transformer", "Pooling", "Normalize"))
    with torch.inference_mode():
        ids = AutoTokenizer.from_pretrained(folder)(TEXTS[0], return_tensors="pt")
        hidden = AutoModel.from_pretrained(folder)(input_ids=ids["input_ids"]).last_hidden_state[0]
    wanted = hidden.amax(0) if at is None else hidden[at]
    wanted = torch.nn.functional.normalize(wanted, dim=-1)
    assert near(await _vector_of(folder), array.array("f", wanted.tolist()))


async def test_a_shorter_limit_of_the_folder_is_honoured(tmp_path: Path) -> None:
    engine = TransformersEmbedding(str(tiny_encoder.build(tmp_path, longest=16)), EngineDials(device="cpu"))
    await engine.start()
    assert engine.card.max_model_len == 16
    await engine.stop()


async def test_layers_that_we_would_leave_out_are_a_reason_not_to_start(tmp_path: Path) -> None:
    folder = tiny_encoder.build(tmp_path, layers=("Transformer", "Pooling", "Dense"))
    engine = TransformersEmbedding(str(folder), EngineDials(device="cpu"))
    with pytest.raises(ModelNotLoaded, match="has a Dense layer, which is not supported"):
        await engine.start()
    assert engine.health().state == "dead"


async def test_no_model_at_that_place_is_one_sentence() -> None:
    with pytest.raises(ModelNotLoaded, match="No model at '/nowhere'"):
        await TransformersEmbedding("/nowhere").start()


def test_batches_hold_every_text_once_and_no_more_than_they_may() -> None:
    counts = [5_000, 1, 3_000, 2_500, 9_000] + [10] * 130
    batches = list(_batches(counts))
    assert sorted(index for batch in batches for index in batch) == list(range(len(counts)))
    assert all(len(batch) == 1 or len(batch) * max(counts[i] for i in batch) <= 8_192 for batch in batches)
    assert max(map(len, batches)) == 64
