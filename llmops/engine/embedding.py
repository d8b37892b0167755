"""The contract of every embedding engine: texts in, one vector of length one for each out."""

from __future__ import annotations

import array
import dataclasses
import math
import random
import re
import zlib
from collections.abc import Sequence
from typing import Protocol

from llmops.engine.contract import Health
from llmops.engine.errors import EngineStopped, PromptTooLong


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingCard:
    """Which model embeds. version: commit of the hub, or a hash of the folder's content. max_model_len in tokens."""

    id: str
    version: str
    engine: str
    dtype: str | None
    dimensions: int
    max_model_len: int


@dataclasses.dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors of float32 in the order of the texts, each of length one, and how many tokens the texts had."""

    vectors: list[array.array[float]]
    tokens: int


class EmbeddingEngine(Protocol):
    """Implementations: `echo`, `transformers`. Used from one event loop; errors are `EngineError`s."""

    @property
    def card(self) -> EmbeddingCard:
        """The model; known after `start`."""

    async def start(self) -> None:
        """Load it; returns when a probe was embedded. Raises ModelNotLoaded."""

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Raises PromptTooLong, which names the text, or another EngineError. Cancelled, it stops at the next batch."""

    def health(self) -> Health:
        """Cheap; never touches the model."""

    async def stop(self) -> None:
        """Release the model. Idempotent."""


class EchoEmbedding:
    """The contract's fake: a text's vector is drawn from its own checksum, so that equal texts have equal vectors."""

    def __init__(self, *, dimensions: int = 8, max_model_len: int = 512) -> None:
        self.card = EmbeddingCard(
            id="echo-embedding",
            version="1",
            engine="echo",
            dtype=None,
            dimensions=dimensions,
            max_model_len=max_model_len,
        )
        self._health = Health(state="starting", reason="The embedding engine has not started.")

    async def start(self) -> None:
        self._health = Health(state="ready")

    async def embed(self, texts: Sequence[str]) -> Embedded:
        if self._health.state != "ready":
            raise EngineStopped(self._health.reason)
        counts = [len(re.findall(r"\w+|[^\w\s]", text)) for text in texts]
        refuse_too_long(counts, self.card.max_model_len)
        return Embedded([self._vector(text) for text in texts], sum(counts))

    def health(self) -> Health:
        return self._health

    async def stop(self) -> None:
        self._health = Health(state="dead", reason="The embedding engine was stopped.")

    def _vector(self, text: str) -> array.array[float]:
        chance = random.Random(zlib.crc32(text.encode("utf-8", "replace")))  # noqa: S311 - no secret is made of it
        numbers = [chance.gauss(0, 1) for _ in range(self.card.dimensions)]
        length = math.sqrt(sum(number * number for number in numbers))
        return array.array("f", [number / length for number in numbers])


def refuse_too_long(counts: Sequence[int], limit: int) -> None:
    """Raises PromptTooLong for the first text beyond the limit: what was cut in silence is never found again."""
    for index, count in enumerate(counts):
        if count > limit:
            raise PromptTooLong(
                f"Text {index} of input holds {count} tokens and the embedding model takes {limit}: split it."
            )
