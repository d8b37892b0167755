"""The file of API keys in the state directory: changed by `llmops keys`, followed by `llmops serve`."""

from __future__ import annotations

import logging
from pathlib import Path

from llmops.admission.keys import ApiKey, BadKeys, KeyRing, read_keys, write_keys
from llmops.state.directory import require_safe
from llmops.state.files import UnusableFile
from llmops.statefile import Look, StateFile

_log = logging.getLogger(__name__)


class KeyFile:
    """`api-keys.json`. No file means no key."""

    def __init__(self, directory: Path) -> None:
        self._file = StateFile(directory / "api-keys.json")
        self._ring = KeyRing()
        self._seen: Look = None

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._file.path

    def read(self) -> KeyRing:
        """What the file says now. Raises BadKeys with one sentence."""
        try:
            text = self._file.read()
            return KeyRing() if text is None else read_keys(text)
        except UnusableFile as error:
            raise BadKeys(f"The keys in {self.path} are not used: {error}") from None
        except (OSError, UnicodeDecodeError, BadKeys) as error:
            raise BadKeys(
                f"The keys in {self.path} cannot be read: {error}. Restore that file, or delete it and make new keys."
            ) from None

    def ring(self) -> KeyRing:
        """The keys that open now: one `stat` at each request, so that a key that was revoked opens nothing more.

        A file that can no longer be read is told to the log once, and the keys read before it stay in force.
        """
        seen = self._file.look()
        if seen != self._seen:
            self._seen = seen
            try:
                self._ring = self.read()
            except BadKeys as error:
                _log.error("%s Until then the keys read before stay in force.", error)
        return self._ring

    def add(self, key: ApiKey) -> None:
        """Keep one more key. Raises BadKeys or OSError."""
        require_safe(self.path.parent)
        with self._file.alone():
            self._file.replace(write_keys(self.read().with_key(key)))

    def remove(self, key_id: str) -> ApiKey | None:
        """Forget a key; None when there is none of that id. Raises BadKeys or OSError."""
        require_safe(self.path.parent)
        with self._file.alone():
            ring = self.read()
            found = next((key for key in ring.keys if key.id == key_id), None)
            if found is not None:
                self._file.replace(write_keys(ring.without(key_id)))
            return found
