"""What a chat asks for beside its messages: a system prompt and sampling settings, each with its range."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

Value = int | float


@dataclasses.dataclass(frozen=True, slots=True)
class Range:
    """What a sampling setting may be: from `least` (or above it) to `most`."""

    least: float
    most: float
    is_whole: bool = False
    is_above: bool = False

    def read(self, text: str) -> Value:
        """The number in `text`. Raises ValueError where it is none, or out of range."""
        value: Value = int(text) if self.is_whole else float(text)
        if not math.isfinite(value) or not self.least <= value <= self.most or (self.is_above and value == self.least):
            raise ValueError(text)
        return value


RANGES: Mapping[str, Range] = {
    "temperature": Range(0, 2),
    "top_p": Range(0, 1, is_above=True),
    "top_k": Range(1, (1 << 31) - 1, is_whole=True),
    "max_tokens": Range(1, (1 << 31) - 1, is_whole=True),
    "seed": Range(-(1 << 63), (1 << 63) - 1, is_whole=True),
}
"""As `/v1/chat/completions` takes them."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChatOptions:
    """None: the server's default applies."""

    system: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    seed: int | None = None

    def with_value(self, name: str, value: str | Value | None) -> ChatOptions:
        """The same with one of them changed."""
        change: dict[str, Any] = {name: value}
        return dataclasses.replace(self, **change)

    def sampling(self) -> dict[str, Any]:
        """What is sent, by name: nothing that the server decides."""
        values = {name: getattr(self, name) for name in RANGES}
        return {name: value for name, value in values.items() if value is not None}

    def opening(self) -> list[dict[str, str]]:
        """The messages before the first turn."""
        return [{"role": "system", "content": self.system}] if self.system else []
