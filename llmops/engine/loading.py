"""From a model's name or folder to weights in memory; every way this fails has one sentence that names the fix."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from llmops.documents import load_json
from llmops.engine.dials import EngineDials
from llmops.engine.errors import ModelNotLoaded
from llmops.engine.finding import EXAMPLE, find
from llmops.engine.progress import Progress, in_words
from llmops.engine.shards import Shards, read_shards

_log = logging.getLogger(__name__)
# Words of the libraries, and what they come to.
_NO_ROOM = (
    "does not fit on the GPUs within engine.max_memory: quantise it (nf4), raise it, or set engine.cpu_offload = true."
)
_KNOWN = {
    "trust_remote_code": "brings Python code of its own, which is not run unless you read it and set "
    "engine.trust_remote_code = true.",
    "offload_folder": _NO_ROOM,
    "dispatched on the CPU or the disk": _NO_ROOM,
    "does not recognize this architecture": f"is of a kind that this transformers does not know: upgrade it. {EXAMPLE}",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Weights and tokenizer in memory, and how they are known.

    quantization: as asked, or as the folder came. weights_bytes: as measured after loading.
    places: devices that hold weights, as in cuda:0, cpu and disk.
    """

    model: Any
    tokenizer: Any
    version: str
    dtype: str
    quantization: str | None = None
    attention: str = "sdpa"
    weights_bytes: int = 0
    places: frozenset[str] = frozenset()


def load(name: str, dials: EngineDials, progress: Progress | None = None) -> Loaded:
    """Blocks for as long as the weights need. Raises ModelNotLoaded, soon after `progress` was abandoned too."""
    progress = progress or Progress()
    placed = _placed(dials)
    folder, version = find(name, dials, progress)
    config = _config(folder)
    came = _came_quantised(config)
    _refuse_double_quantisation(name, came, dials)
    shards = read_shards(folder)
    with _quiet(progress, shards):
        progress.begin("Loading", shards.total_bytes, f", {shards.files} files")
        try:
            loaded = _read(folder, version, dials, *placed)
        except Exception as error:  # each library that reads a part of a model fails in its own way
            raise _explained(name, error) from error
    _compare(shards, config, loaded, dials)
    asked = None if dials.quantization == "none" else dials.quantization
    return dataclasses.replace(loaded, quantization=asked or came)


def _placed(dials: EngineDials) -> tuple[str, dict[str, Any]]:
    """Before anything is downloaded: a dial that can't be honoured is refused at once."""
    from llmops.engine.placing import device_of, placement

    device = device_of(dials)
    return device, placement(dials, device)


def _read(folder: Path, version: str, dials: EngineDials, device: str, where: dict[str, Any]) -> Loaded:
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from llmops.engine.mapped_weights import copy_mapped
    from llmops.engine.placing import attention_for, places_of
    from llmops.engine.weighing import measured_bytes

    told: dict[str, Any] = {"local_files_only": True, "trust_remote_code": dials.trust_remote_code}
    config = AutoConfig.from_pretrained(folder, **told)
    dtype = dtype_for(dials.dtype, device, getattr(config, "dtype", None))
    attention = attention_for(dials, device, dtype, _supports_flash(config))
    tokenizer = AutoTokenizer.from_pretrained(folder, **told)
    read: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        **({"attn_implementation": attention} if attention else {}),
        output_loading_info=True,
        **_quantization(dials.quantization, dtype),
        **told,
        **where,
    )
    model, found = read
    _refuse_made_up(folder, found["missing_keys"])
    copy_mapped(model)
    return Loaded(
        model=model.eval(),
        tokenizer=tokenizer,
        version=version,
        dtype=str(dtype).removeprefix("torch."),
        attention=str(model.config._attn_implementation),
        weights_bytes=measured_bytes(model),
        places=places_of(model),
    )


def _config(folder: Path) -> dict[str, Any]:
    try:
        found = load_json(folder / "config.json")
    except (OSError, ValueError) as error:
        raise ModelNotLoaded(f"{folder / 'config.json'} can't be read as JSON: download it again.") from error
    return found if isinstance(found, dict) else {}


def _refuse_double_quantisation(name: str, came: str | None, dials: EngineDials) -> None:
    if came is not None and dials.quantization != "none":
        raise ModelNotLoaded(f"{name!r} is already quantised ({came}): set engine.quantization to none.")


def _came_quantised(config: dict[str, Any]) -> str | None:
    told = config.get("quantization_config")
    return str(told.get("quant_method", "in its own way")) if isinstance(told, dict) else None


def _compare(shards: Shards, config: dict[str, Any], loaded: Loaded, dials: EngineDials) -> None:
    """One log line: what arithmetic expected, and what is there."""
    measured = in_words(loaded.weights_bytes)
    if not shards.tensors or config.get("quantization_config"):
        _log.info("weights: %s measured", measured)
        return
    import torch

    from llmops.fit.weights import weight_bytes

    tied = config.get("tie_word_embeddings") and any("embed" in tensor.name for tensor in shards.tensors)
    tensors = [tensor for tensor in shards.tensors if not (tied and tensor.name == "lm_head.weight")]
    compute_bytes = torch.empty((), dtype=getattr(torch, loaded.dtype)).element_size()
    predicted = in_words(weight_bytes(tensors, dials.quantization, compute_bytes))
    _log.info("weights: %s predicted, %s measured", predicted, measured)


@contextlib.contextmanager
def _quiet(progress: Progress, shards: Shards) -> Iterator[None]:
    """The libraries draw no bars and don't say at every layer what is known."""
    from transformers.utils import logging as library

    library.disable_progress_bar()  # type: ignore[no-untyped-call]
    # bitsandbytes tells at each layer of each step that int8 casts, and at import which kernels it would like to fetch.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    before = library.set_tqdm_hook(progress.watching(shards.sizes))
    try:
        yield
    finally:
        library.set_tqdm_hook(before)


def _explained(name: str, error: Exception) -> ModelNotLoaded:
    import torch

    if isinstance(error, ModelNotLoaded):
        return error
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return ModelNotLoaded(f"{name!r} does not fit in memory: quantise it (nf4, int8) or take a smaller one.")
    for words, sentence in _KNOWN.items():
        if words in str(error):
            return ModelNotLoaded(f"{name!r} {sentence}")
    if isinstance(error, ImportError):
        return ModelNotLoaded(f"{name!r} needs a package that is not here: {first_line(error)}")
    return ModelNotLoaded(f"The model at {name!r} can't be loaded: {first_line(error)} {EXAMPLE}")


def _supports_flash(config: Any) -> bool:
    from transformers import AutoModelForCausalLM

    mapping: Any = AutoModelForCausalLM._model_mapping
    return type(config) in mapping and bool(getattr(mapping[type(config)], "_supports_flash_attn", False))


def dtype_for(asked: str, device: str, stored: Any) -> Any:
    """As asked; else half precision where the device computes in it, on a CPU only if the files are in it too.

    A bfloat16 product of 16 rows takes less than half the time of a float32 one on a CPU that has instructions for it.
    """
    import torch

    if asked != "auto":
        return getattr(torch, asked)
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    has_instructions = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if has_instructions and stored == torch.bfloat16 else torch.float32


def _refuse_made_up(folder: Path, missing: Collection[str]) -> None:
    """The library fills what the files lack with random numbers, and the model would answer nonsense."""
    if missing:
        named = ", ".join(sorted(missing)[:3])
        raise ModelNotLoaded(f"{folder} lacks {len(missing)} of the model's weights ({named}): download it again.")


def _quantization(asked: str, dtype: Any) -> dict[str, Any]:
    """Empty for none: told as None, it would take away what the folder says about itself."""
    if asked == "none":
        return {}
    from transformers import BitsAndBytesConfig

    if asked == "int8":
        return {"quantization_config": BitsAndBytesConfig(load_in_8bit=True)}  # type: ignore[no-untyped-call]
    four_bit = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_use_double_quant=asked == "nf4-double",
    )
    return {"quantization_config": four_bit}


def first_line(error: Exception) -> str:
    """Of what a library says, as a sentence."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line if line.endswith(".") else line + "."


def public_name(name: str) -> str:
    """Clients see no path of this machine: a folder goes by its last part."""
    folder = Path(name).expanduser()
    return folder.resolve().name if folder.is_dir() else name
