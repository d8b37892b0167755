"""From a model's name or folder to weights in memory; every way this fails has one sentence that names the fix."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from llmops.engine.dials import EngineDials
from llmops.engine.errors import ModelNotLoaded

# What makes a model answer as it does; other files of a folder (a read-me, logs) don't change its version.
_CONTENT = frozenset({".safetensors", ".bin", ".json", ".jinja", ".txt", ".model"})
_WANTED = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model"]
_HUB_TIMEOUT_S = 10.0
_EXAMPLE = "Give a folder or a name such as Qwen/Qwen2.5-0.5B-Instruct."


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Weights and tokenizer in memory, and how they are known."""

    model: Any
    tokenizer: Any
    version: str
    dtype: str


def load(name: str, dials: EngineDials) -> Loaded:
    """Blocks for as long as the weights need. Raises ModelNotLoaded."""
    folder, version = find(name, dials.revision)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    device = _device(dials.device)
    dtype = _dtype(dials.dtype, device)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            local_files_only=True,
            device_map={"": device},
            quantization_config=_quantization(dials.quantization, dtype),
        )
    except Exception as error:  # each library that reads a part of a model fails in its own way
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
            raise ModelNotLoaded(
                f"{name!r} does not fit in memory: quantise it (nf4, int8) or take a smaller one."
            ) from error
        raise ModelNotLoaded(f"The model at {name!r} can't be loaded: {first_line(error)} {_EXAMPLE}") from error
    return Loaded(model=model.eval(), tokenizer=tokenizer, version=version, dtype=str(dtype).removeprefix("torch."))


def find(name: str, revision: str | None) -> tuple[Path, str]:
    """The folder with the model's files, and its version. Raises ModelNotLoaded."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelNotLoaded(f"The folder {name!r} has no config.json, so it holds no model. {_EXAMPLE}")
        return folder, content_hash(folder)
    if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise ModelNotLoaded(f"No model at {name!r}: there is no such folder. {_EXAMPLE}")
    return _from_hub(name, revision)


def content_hash(folder: Path) -> str:
    """12 hex digits of a SHA-256 over names and bytes of the files that make the model."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in _CONTENT):
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]


def _from_hub(name: str, revision: str | None) -> tuple[Path, str]:
    """Asks the hub which commit this is, and without a network takes the newest copy on this disk."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        commit = HfApi().model_info(name, revision=revision, timeout=_HUB_TIMEOUT_S).sha
        folder = snapshot_download(name, revision=commit, allow_patterns=_WANTED)
    except GatedRepoError as error:
        raise ModelNotLoaded(f"{name!r} is gated: accept its licence on the hub, then run `hf auth login`.") from error
    except RevisionNotFoundError as error:
        raise ModelNotLoaded(f"{name!r} has no revision {revision!r} on the hub.") from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise ModelNotLoaded(f"No model at {name!r}: neither a local folder nor on the hub. {_EXAMPLE}") from error
    except Exception as error:  # no network has many faces: DNS, proxy, timeouts, offline mode
        folder = _from_disk(name, revision, error)
    return Path(folder), Path(folder).name


def _from_disk(name: str, revision: str | None, why: Exception) -> str:
    from huggingface_hub import snapshot_download

    try:
        return snapshot_download(name, revision=revision, allow_patterns=_WANTED, local_files_only=True)
    except Exception as error:
        raise ModelNotLoaded(
            f"No model at {name!r}: neither a local folder nor on the hub (offline? {type(why).__name__}). {_EXAMPLE}"
        ) from error


def _device(asked: str) -> str:
    import torch

    if asked != "auto":
        return asked
    return "cuda:0" if torch.cuda.is_available() else "cpu"


def _dtype(asked: str, device: str) -> Any:
    import torch

    if asked == "auto":
        return torch.bfloat16 if device.startswith("cuda") else torch.float32
    return getattr(torch, asked)


def _quantization(asked: str, dtype: Any) -> Any:
    if asked == "none":
        return None
    from transformers import BitsAndBytesConfig

    if asked == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)  # type: ignore[no-untyped-call]
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
    )


def first_line(error: Exception) -> str:
    """Of what a library says, as a sentence."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line if line.endswith(".") else line + "."


def public_name(name: str) -> str:
    """Clients see no path of this machine: a folder goes by its last part."""
    folder = Path(name).expanduser()
    return folder.resolve().name if folder.is_dir() else name
