"""How a model's hidden states become one vector: as its sentence-transformers files say, else their mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeAlias

from llmops.documents import load_json
from llmops.engine.errors import ModelNotLoaded

Pooling: TypeAlias = Literal["mean", "cls", "max", "lasttoken"]
_FLAGS: dict[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "lasttoken",
}
# Every vector is given length one anyway: for a cosine it is the same, and OpenAI's clients take it for granted.
_UNDERSTOOD = {"Transformer", "Pooling", "Normalize"}


def pooling_of(folder: Path) -> Pooling:
    """Reads `modules.json` and the pooling's own file. Raises ModelNotLoaded where we would embed something else."""
    path = "1_Pooling"
    for module in _read(folder / "modules.json", []):
        kind = str(module.get("type", "")).rsplit(".", 1)[-1]
        if kind not in _UNDERSTOOD:
            raise ModelNotLoaded(f"The embedding model has a {kind} layer, which is not supported: choose another one.")
        if kind == "Pooling":
            path = str(module.get("path", path))
    config = _read(folder / path / "config.json", {"pooling_mode": "mean"})
    named = config.get("pooling_mode")
    modes = [named] if isinstance(named, str) else [flag for flag, on in config.items() if on is True]
    modes = [str(_FLAGS.get(mode, mode)) for mode in modes if mode != "include_prompt"]
    if len(modes) != 1 or modes[0] not in _FLAGS.values():
        shown = ", ".join(modes) or "nothing"
        raise ModelNotLoaded(f"The embedding model pools by {shown}, which is not supported: choose another one.")
    return modes[0]  # type: ignore[return-value]


def longest_of(folder: Path, model_limit: int) -> int:
    """Tokens of one text: what the model was made for, or less where its folder says so."""
    limit = _read(folder / "sentence_bert_config.json", {}).get("max_seq_length")
    return min(limit, model_limit) if isinstance(limit, int) and limit > 0 else model_limit


def pool(hidden: Any, mask: Any, how: Pooling) -> Any:
    """(batch, length, width) and its mask into (batch, width), each row of length one, as float32."""
    import torch

    hidden, weight = hidden.float(), mask.unsqueeze(-1).float()
    if how == "mean":
        vectors = (hidden * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
    elif how == "max":
        vectors = hidden.masked_fill(weight == 0, torch.finfo(hidden.dtype).min).amax(1)
    else:
        # Padding may stand on either side: the first or last place that the mask knows.
        places = torch.arange(mask.shape[1], device=mask.device)
        at = (mask * (places + 1)).argmax(1) if how == "lasttoken" else mask.argmax(1)
        vectors = hidden[torch.arange(hidden.shape[0], device=hidden.device), at]
    return torch.nn.functional.normalize(vectors, dim=-1)


def _read(path: Path, otherwise: Any) -> Any:
    try:
        found = load_json(path) if path.is_file() else otherwise
    except (OSError, ValueError):
        raise ModelNotLoaded(f"{path.name} of the embedding model is not JSON: fetch the model again.") from None
    if type(found) is not type(otherwise):
        raise ModelNotLoaded(f"{path.name} of the embedding model is not what it should be: fetch the model again.")
    return found
