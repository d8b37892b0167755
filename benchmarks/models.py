"""Random models in the shape of Qwen3 with the demo model's words: real sizes to measure on, and nothing to download.

`python -m benchmarks.models 29m FOLDER` writes the model into FOLDER, or leaves the one that is there. It answers
nonsense at the cost of sense: memory and speed are those of a trained model of the same shape.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

from llmops.engine.build import DEMO_MODEL

VOCABULARY = 8192
_SPECIAL_AND_BYTES = 3 + 256  # the first words of the demo tokenizer
_WORDS = ("tokenizer_config.json", "chat_template.jinja")
_SPECIAL: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 0}


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """Of a Qwen3: queries from `heads`, keys and values from half of them."""

    layers: int
    hidden: int
    mlp: int
    heads: int
    head_size: int


SHAPES = {
    "29m": Shape(layers=8, hidden=512, mlp=1536, heads=8, head_size=64),  # 29.4 M parameters
    "0.4b": Shape(layers=28, hidden=1024, mlp=3072, heads=16, head_size=128),  # 448.9 M: Qwen3-0.6B, fewer words
}


def main() -> None:
    """Write one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    print(random_model(arguments.shape, arguments.folder))


def random_model(name: str, folder: Path) -> Path:
    """The folder of a model of this shape in float32, written unless it is there; always the same weights."""
    config = config_of(name)
    if _is_there(folder, config):
        return folder
    import torch
    from transformers import GenerationConfig, Qwen3ForCausalLM

    torch.manual_seed(20261123)
    model: Any = Qwen3ForCausalLM(config)
    with torch.no_grad():  # a greedy answer neither ends early nor stops inside a character
        model.get_input_embeddings().weight[:_SPECIAL_AND_BYTES] = 0.0
    model.generation_config = GenerationConfig(do_sample=False, **_SPECIAL)  # type: ignore[no-untyped-call]
    folder.mkdir(parents=True, exist_ok=True)
    _write_words(folder)
    model.save_pretrained(folder)
    return folder


def config_of(name: str) -> Any:
    """The Qwen3Config of a shape."""
    from transformers import Qwen3Config

    shape = SHAPES[name]
    return Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=shape.hidden,
        intermediate_size=shape.mlp,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads // 2,
        head_dim=shape.head_size,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        **_SPECIAL,
    )


def _is_there(folder: Path, config: Any) -> bool:
    try:
        found = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        return False
    same = all(found.get(key) == getattr(config, key) for key in ("num_hidden_layers", "hidden_size", "vocab_size"))
    return same and (folder / "model.safetensors").is_file()


def _write_words(folder: Path) -> None:
    """The demo model's tokenizer, and a word for each further number: whatever is drawn reads as text."""
    for name in _WORDS:
        shutil.copyfile(DEMO_MODEL / name, folder / name)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"model_max_length": 4096}, indent=2))
    words = json.loads((DEMO_MODEL / "tokenizer.json").read_text())
    known = words["model"]["vocab"]
    known.update({f"Ġw{number}": number for number in range(len(known), VOCABULARY)})
    (folder / "tokenizer.json").write_text(json.dumps(words, ensure_ascii=False))


if __name__ == "__main__":
    main()
