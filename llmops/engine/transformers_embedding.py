"""Vectors from any encoder that transformers loads, in one thread of their own, a batch at a time."""

from __future__ import annotations

import array
import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from llmops.engine.contract import Health
from llmops.engine.dials import EngineDials
from llmops.engine.embedding import Embedded, EmbeddingCard, refuse_too_long
from llmops.engine.errors import EngineError, EngineStopped, ModelNotLoaded, OutOfMemory
from llmops.engine.finding import find
from llmops.engine.loading import first_line, public_name
from llmops.engine.mapped_weights import copy_mapped
from llmops.engine.pooling import longest_of, pool, pooling_of

_BATCH_TOKENS = 8_192
"""Padded tokens of one forward pass: large enough to fill a card, small enough that others get their turn."""
_BATCH_TEXTS = 64
_UNBOUNDED = 1_000_000
"""Tokenizers say an astronomic number where they know no limit."""


class TransformersEmbedding:
    """One model, one thread: requests take turns by the batch, so that a short one never waits for a long one's end."""

    def __init__(self, name: str, dials: EngineDials | None = None) -> None:
        self._name, self._dials = name, dials or EngineDials()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embedding")
        self._health = Health(state="starting", reason="The embedding model is loading.")
        self._model: Any = None
        self._tokenizer: Any = None
        self._card: EmbeddingCard | None = None

    @property
    def card(self) -> EmbeddingCard:
        if self._card is None:
            raise EngineStopped(self._health.reason)
        return self._card

    async def start(self) -> None:
        try:
            await self._do(self._load)
            self._health = Health(state="ready")
            await self.embed(["probe"])
        except EngineError as error:
            self._health = Health(state="dead", reason=str(error))
            raise

    async def embed(self, texts: Sequence[str]) -> Embedded:
        if self._health.state != "ready":
            raise EngineStopped(self._health.reason)
        ids: list[list[int]] = await self._do(self._encode, list(texts))
        counts = [len(each) for each in ids]
        refuse_too_long(counts, self.card.max_model_len)
        vectors: list[array.array[float] | None] = [None] * len(ids)
        for batch in _batches(counts):
            rows = await self._do(self._forward, [ids[index] for index in batch])
            for index, row in zip(batch, rows, strict=True):
                vectors[index] = row
        return Embedded([vector for vector in vectors if vector is not None], sum(counts))

    def health(self) -> Health:
        return self._health

    async def stop(self) -> None:
        self._health = Health(state="dead", reason="The embedding engine was stopped.")
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._model = None

    async def _do(self, work: Any, *arguments: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        except RuntimeError:
            if self._health.state == "dead":  # the thread took its last work
                raise EngineStopped(self._health.reason) from None
            raise

    def _load(self) -> None:
        folder, version = find(self._name, self._dials)
        how = pooling_of(folder)
        import torch
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        device = self._dials.device
        if device == "auto":
            device = "cuda:0" if torch.cuda.is_available() else "cpu"
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            # Half precision is slow on most CPUs; on a card the checkpoint's own is taken.
            dtype: Any = torch.float32 if device == "cpu" else "auto"
            model: Any = AutoModel.from_pretrained(folder, dtype=dtype, local_files_only=True)
            self._model = model.to(device).eval()
            copy_mapped(self._model)
        except Exception as error:  # each library that reads a part of a model fails in its own way
            raise ModelNotLoaded(f"The embedding model {self._name!r} can't be loaded: {first_line(error)}") from error
        self._how = how
        self._card = EmbeddingCard(
            id=public_name(self._name),
            version=version,
            engine="transformers",
            dtype=str(self._model.dtype).removeprefix("torch."),
            dimensions=int(self._model.config.hidden_size),
            max_model_len=longest_of(folder, _limit(self._model.config, self._tokenizer)),
        )

    def _encode(self, texts: list[str]) -> list[list[int]]:
        return list(self._tokenizer(texts, truncation=False, verbose=False)["input_ids"])

    def _forward(self, ids: list[list[int]]) -> list[array.array[float]]:
        import torch

        try:
            with torch.inference_mode():
                padded = self._tokenizer.pad({"input_ids": ids}, padding=True, return_tensors="pt")
                inputs = padded.to(self._model.device)
                hidden = self._model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
                vectors = pool(hidden.last_hidden_state, inputs["attention_mask"], self._how)
                return [array.array("f", row) for row in vectors.cpu().tolist()]
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            raise OutOfMemory("The device ran out of memory while embedding: send fewer or shorter texts.") from None


def _batches(counts: Sequence[int]) -> Iterator[list[int]]:
    """Places of the texts, the shortest first, so that little of a batch is padding."""
    batch: list[int] = []
    for index in sorted(range(len(counts)), key=counts.__getitem__):
        if batch and (len(batch) == _BATCH_TEXTS or (len(batch) + 1) * counts[index] > _BATCH_TOKENS):
            yield batch
            batch = []
        batch.append(index)
    yield batch


def _limit(config: Any, tokenizer: Any) -> int:
    """RoBERTa and its kin count places from beyond the padding's id: their tokenizers know the true length."""
    places = getattr(config, "max_position_embeddings", None) or _UNBOUNDED
    return int(min(places, tokenizer.model_max_length, _UNBOUNDED))
