"""The file of API keys in the state directory: changed by `llmops keys`, followed by `llmops serve`."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from llmops.admission.keys import ApiKey, BadKeys, KeyRing, read_keys, write_keys

_log = logging.getLogger(__name__)


class KeyFile:
    """`api-keys.json`, readable by its owner only, replaced as a whole. No file means no key."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "api-keys.json"
        self._ring = KeyRing()
        self._seen: tuple[int, ...] | None = None

    def read(self) -> KeyRing:
        """What the file says now. Raises BadKeys with one sentence."""
        try:
            return read_keys(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return KeyRing()
        except (OSError, UnicodeDecodeError, BadKeys) as error:
            raise BadKeys(
                f"The keys in {self.path} cannot be read: {error}. Restore that file, or delete it and make new keys."
            ) from None

    def ring(self) -> KeyRing:
        """The keys that open now: one `stat` at each request, so that a key that was revoked opens nothing more.

        A file that can no longer be read is told to the log once, and the keys read before it stay in force.
        """
        seen = self._look()
        if seen != self._seen:
            self._seen = seen
            try:
                self._ring = self.read()
            except BadKeys as error:
                _log.error("%s Until then the keys read before stay in force.", error)
        return self._ring

    def add(self, key: ApiKey) -> None:
        """Keep one more key. Raises BadKeys or OSError."""
        with self._alone():
            self._write(self.read().with_key(key))

    def remove(self, key_id: str) -> ApiKey | None:
        """Forget a key; None when there is none of that id. Raises BadKeys or OSError."""
        with self._alone():
            ring = self.read()
            found = next((key for key in ring.keys if key.id == key_id), None)
            if found is not None:
                self._write(ring.without(key_id))
            return found

    def _look(self) -> tuple[int, ...] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def _write(self, ring: KeyRing) -> None:
        fresh = self.path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o600)
            file.write(write_keys(ring))
            file.flush()
            os.fsync(descriptor)
        fresh.replace(self.path)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Two `llmops keys` at once take turns, so that neither undoes the other."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
