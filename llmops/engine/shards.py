"""What is in a model's folder, by the headers of its files: shapes, sizes, and whether anything is missing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmops.documents import load_json
from llmops.engine.errors import ModelNotLoaded
from llmops.fit.weights import Tensor

_INDEX = "model.safetensors.index.json"
_LARGEST_HEADER_BYTES = 100 << 20  # the format's own limit
_NAMED = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Shards:
    """Empty for a folder in another format, which the library reads by itself."""

    tensors: tuple[Tensor, ...] = ()
    sizes: dict[str, int] = dataclasses.field(default_factory=dict)
    files: int = 0

    @property
    def total_bytes(self) -> int:
        return sum(self.sizes.values())


def read_shards(folder: Path) -> Shards:
    """Reads some kilobytes of each file. Raises ModelNotLoaded for what is missing, cut off or no weights at all."""
    paths = _files(folder)
    tensors, sizes = [], {}
    for path in paths:
        for name, shape, size in _header(path):
            tensors.append(Tensor(name, shape))
            sizes[name] = size
    return Shards(tuple(tensors), sizes, len(paths))


def _files(folder: Path) -> list[Path]:
    index = folder / _INDEX
    if not index.is_file():
        return _unlisted(folder)
    try:
        names = {str(name) for name in load_json(index)["weight_map"].values()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelNotLoaded(f"{index} can't be read as a list of shards: download it again.") from error
    if any(Path(name).name != name for name in names):
        raise ModelNotLoaded(f"{index} names files outside its folder: don't use this model.")
    missing = sorted(name for name in names if not (folder / name).is_file())
    if missing:
        named = ", ".join(missing[:_NAMED]) + (", …" if len(missing) > _NAMED else "")
        raise ModelNotLoaded(
            f"{folder} lacks {len(missing)} of its {len(names)} shards ({named}): download them again."
        )
    return [folder / name for name in sorted(names)]


def _unlisted(folder: Path) -> list[Path]:
    """The weights of a folder that has no list of them."""
    single = folder / "model.safetensors"
    found = [single] if single.is_file() else sorted(folder.glob("*.safetensors"))
    if found or any(folder.glob("pytorch_model*.bin")):
        return found
    if any(folder.glob("*.gguf")):
        raise ModelNotLoaded(gguf_sentence(str(folder)))
    raise ModelNotLoaded(f"{folder} has a config.json but no weights (*.safetensors): download them too.")


def refuse_gguf(path: Path, name: str) -> None:
    """A file of llama.cpp, or a folder that holds nothing else, is no model here. Raises ModelNotLoaded."""
    is_file = path.suffix.lower() == ".gguf" and path.is_file()
    if is_file or (path.is_dir() and not (path / "config.json").is_file() and any(path.glob("*.[gG][gG][uU][fF]"))):
        raise ModelNotLoaded(gguf_sentence(name))


def gguf_sentence(name: str) -> str:
    """Why a GGUF is not loaded, and what to do."""
    return (
        f"{name} is a GGUF, which llama.cpp reads: take the model's original folder, or run `llama-server` "
        "and serve it with `llmops serve --engine upstream`."
    )


def _header(path: Path) -> Iterator[tuple[str, tuple[int, ...], int]]:
    """Name, shape and bytes of each tensor."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(_LARGEST_HEADER_BYTES, size - 8):
            raise ModelNotLoaded(f"{path} is no safetensors file, or its beginning is corrupted: download it again.")
        text = file.read(length)
    try:
        entries = {name: entry for name, entry in json.loads(text).items() if name != "__metadata__"}
        found = [_entry(name, entry) for name, entry in entries.items()]
        end = max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ModelNotLoaded(f"The header of {path} is corrupted: download it again.") from error
    if 8 + length + end != size:
        raise ModelNotLoaded(f"{path} has {size} bytes instead of {8 + length + end}: download it again.")
    yield from found


def _entry(name: str, entry: Any) -> tuple[str, tuple[int, ...], int]:
    start, end = entry["data_offsets"]
    return name, tuple(int(length) for length in entry["shape"]), int(end) - int(start)
