"""The version of a local folder: a hash of what makes the model, remembered for large files that did not change."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from pathlib import Path

from llmops.engine.progress import Progress
from llmops.state.files import read_private, replace

# What makes a model answer as it does; other files of a folder (a read-me, logs) don't change its version.
_CONTENT = frozenset({".safetensors", ".bin", ".json", ".jinja", ".txt", ".model"})
_LARGE_BYTES = 1 << 20
_CHUNK_BYTES = 8 << 20
# A file written this recently may change again within the same tick of its clock.
_SETTLED_S = 2.0
_CACHE = "content-hashes.json"


def content_hash(folder: Path, cache_directory: Path | None = None, progress: Progress | None = None) -> str:
    """12 hex digits of a SHA-256 over names and bytes of the files that make the model."""
    progress = progress or Progress()
    paths = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in _CONTENT)
    memory = _Memory(cache_directory)
    progress.begin("Hashing", sum(path.stat().st_size for path in paths))
    digest, done = hashlib.sha256(), 0
    for path in paths:
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode())
        digest.update(memory.recall(path) or memory.keep(path, _file_hash(path, done, progress)))
        done += size
        progress.at(done)
    memory.write()
    return digest.hexdigest()[:12]


def _file_hash(path: Path, done: int, progress: Progress) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            progress.at(done)
    return digest.digest()


class _Memory:
    """Hashes of large files by place, size and time of change. Losing it costs time, never a wrong answer."""

    def __init__(self, directory: Path | None) -> None:
        self._file = directory / _CACHE if directory else None
        self._known: dict[str, list[object]] = {}
        self._changed = False
        if self._file is not None:
            with contextlib.suppress(OSError, ValueError, RecursionError):
                known = json.loads(read_private(self._file))
                self._known = known if isinstance(known, dict) else {}

    def recall(self, path: Path) -> bytes | None:
        stat = path.stat()
        match self._known.get(str(path.resolve())):
            case [size, changed, str(hexadecimal)] if (size, changed) == (stat.st_size, stat.st_mtime_ns):
                with contextlib.suppress(ValueError):
                    return bytes.fromhex(hexadecimal)
        return None

    def keep(self, path: Path, value: bytes) -> bytes:
        stat = path.stat()
        if self._file is not None and stat.st_size >= _LARGE_BYTES and time.time() - stat.st_mtime > _SETTLED_S:
            self._known[str(path.resolve())] = [stat.st_size, stat.st_mtime_ns, value.hex()]
            self._changed = True
        return value

    def write(self) -> None:
        """Whole or not at all; forgets files that are gone."""
        if self._file is None or not self._changed:
            return
        with contextlib.suppress(OSError):
            replace(
                self._file,
                json.dumps({key: value for key, value in self._known.items() if Path(key).exists()}).encode(),
            )
