"""A model as the arithmetic sees it: its tensors and sizes, from the catalogue or from a folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from llmops.fit.layers import alike_tensors_of, text_of
from llmops.fit.shape import Shape, shape_of
from llmops.fit.weights import Tensor

_HALF = 2


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Model:
    """stored_bytes: of a folder that came quantised in a way of its own; its weights are loaded as they are.

    source: where the sizes come from, in words. seen_in: public places that tell the same sizes.
    """

    name: str
    config: Mapping[str, Any]
    source: str
    files: tuple[Tensor, ...] = ()
    stored_bytes: int | None = None
    seen_in: tuple[str, ...] = ()

    @cached_property
    def tensors(self) -> tuple[Tensor, ...]:
        """As in the files where they are there, else from the config. Raises KeyError, ValueError."""
        if not self.files:
            return alike_tensors_of(self.config)
        return tuple(tensor for tensor in self.files if not (self.is_tied and tensor.name == "lm_head.weight"))

    @cached_property
    def shape(self) -> Shape:
        """Raises KeyError where the config lacks a size."""
        return shape_of(self.config)

    @property
    def is_tied(self) -> bool:
        """Whether the output head is the embedding."""
        return bool(text_of(self.config).get("tie_word_embeddings", False))

    @cached_property
    def parameters(self) -> int:
        """All of them, a tied head once."""
        return sum(tensor.copies * tensor.parameters for tensor in self.tensors)

    @cached_property
    def largest_linear(self) -> int:
        """Parameters of the largest layer that is quantised."""
        return _largest(tensor for tensor in self.tensors if tensor.is_quantisable and "vision" not in tensor.name)

    @cached_property
    def embedding_bytes(self) -> int:
        """In half precision."""
        return _HALF * self.shape.hidden * self.shape.vocabulary


def _largest(tensors: Iterable[Tensor]) -> int:
    return max((tensor.parameters for tensor in tensors), default=0)
