"""Trains the demo model from nothing: corpus -> tokenizer -> Llama weights -> a folder that transformers loads."""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, set_seed

from training.questions import read_dialogues, read_entries
from training.samples import IGNORED, SampleMaker
from training.tokenizer import train_tokenizer

CONTEXT = 1024
VOCABULARY = 3072


def main() -> None:
    """Reads the arguments, trains, writes the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("llmops/demo_model"), help="folder to write")
    parser.add_argument("--steps", type=int, default=6000, help="optimiser steps")
    parser.add_argument("--minutes", type=float, default=35.0, help="stop after this long, whatever the steps")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32, help="conversations a step")
    parser.add_argument("--peak", type=float, default=1.5e-3, help="highest learning rate")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    set_seed(arguments.seed)

    entries = read_entries()
    dialogues = read_dialogues(entries)
    texts = [line for entry in entries for line in (*entry.asked[:60], *[entry.answer] * 6)]
    tokenizer = train_tokenizer(texts, VOCABULARY, CONTEXT)
    model = build_model(tokenizer)
    parameters = sum(weight.numel() for weight in model.parameters())
    print(f"{len(entries)} entries, {len(tokenizer)} tokens, {parameters:,} parameters", flush=True)
    maker = SampleMaker(entries, dialogues, tokenizer, arguments.seed)
    fit(model, maker, arguments.steps, arguments.minutes, arguments.batch, arguments.peak)
    write(model, tokenizer, arguments.out)


def build_model(tokenizer: Any) -> Any:
    """A Llama small enough to ship: grouped-query attention, tied embeddings, rotary positions."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        intermediate_size=640,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def fit(model: Any, maker: SampleMaker, steps: int, minutes: float, batch: int, peak: float) -> None:
    """AdamW with warm-up and a cosine down to nothing, paced by steps or by the clock, whichever ends first."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=peak, betas=(0.9, 0.95), weight_decay=0.1)
    batches = maker.batches(batch)
    started = time.monotonic()
    model.train()
    smooth = math.nan
    for step in range(steps):
        progress = max(step / steps, (time.monotonic() - started) / (60 * minutes))
        if progress >= 1:
            break
        rate = peak * min(1.0, (step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * progress))
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = answer_loss(model, *next(batches))
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        smooth = loss.item() if math.isnan(smooth) else 0.98 * smooth + 0.02 * loss.item()
        if step % 100 == 0:
            spent = time.monotonic() - started
            print(f"step {step} loss {smooth:.4f} rate {rate:.5f} {spent:.0f} s", flush=True)
    print(f"trained in {(time.monotonic() - started) / 60:.1f} minutes, loss {smooth:.4f}", flush=True)


def answer_loss(model: Any, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy where there is something to learn; logits are computed only there, which saves a third."""
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    wanted = labels[:, 1:]
    learned = wanted != IGNORED
    return functional.cross_entropy(model.lm_head(hidden[learned]), wanted[learned])


def write(model: Any, tokenizer: Any, folder: Path) -> None:
    """The folder as transformers expects it; bfloat16 halves the bytes and loads as float32 on a CPU."""
    folder.mkdir(parents=True, exist_ok=True)
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False,
        max_new_tokens=400,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=[tokenizer.eos_token_id],
        pad_token_id=tokenizer.pad_token_id,
    )
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    print(f"wrote {folder}: {sum(path.stat().st_size for path in folder.iterdir()):,} bytes", flush=True)


if __name__ == "__main__":
    main()
