"""What all screens share: the words, the newest overview, what was seen before, and how to reach serve."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from llmops.client import ChatChunk
from llmops.overview import Overview
from llmops.tui.history import History
from llmops.tui.language import Words


class Talker(Protocol):
    """A way to chat; closing the iterator stops the generation."""

    def chat(self, messages: Sequence[Mapping[str, str]], **sampling: Any) -> AsyncGenerator[ChatChunk, None]:
        """Stream one answer. sampling: temperature and the like, those that the user chose."""


Connect: TypeAlias = Callable[[], AbstractAsyncContextManager[Talker]]


@dataclasses.dataclass(kw_only=True)
class Session:
    """Changed by the app only; screens and widgets read it."""

    url: str
    store_path: Path
    words: Words
    keys: Mapping[str, str]
    connect: Connect
    history: History = dataclasses.field(default_factory=History)
    overview: Overview | None = None
    paused: bool = False
    refresh_s: float = 1.0
    seen_at: float | None = None
    """When the newest overview arrived, by the monotonic clock."""
    look_s: float | None = None
    cpu_share: float | None = None
    """Of one core, used by this process over the last look."""
    feed_error: str | None = None
