"""What a part of watch must know after a restart: a small value in the store."""

from __future__ import annotations

from typing import Any

from llmops.store import Store


class KeptState:
    """Written when it changes, and once more into a store that began anew. What fails is tried again at the next save.

    A value is plain JSON, and is not changed once it was given. Both calls raise what the store raises.
    """

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        self._key = key
        self._saved: tuple[int, Any] | None = None

    def load(self) -> Any:
        """As it was kept, or None."""
        generation, kept = self._store.generation(), self._store.load_state(self._key)
        self._saved = None if kept is None else (generation, kept)
        return kept

    def save(self, value: Any) -> None:
        """Keep it."""
        known = (self._store.generation(), value)
        if known != self._saved:
            self._store.save_state(self._key, value)
            self._saved = known
