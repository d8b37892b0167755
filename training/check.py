"""Asks a model folder the questions that were held out, greedily, and prints how many answers are exact."""

from __future__ import annotations

import argparse
import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from training.questions import Entry, read_entries, read_unseen

_SYSTEM = "You are a careful assistant for people who run servers."


@dataclasses.dataclass(frozen=True)
class Miss:
    """A question whose answer was another than the entry's."""

    question: str
    wanted: str
    got: str


def main() -> None:
    """Prints one line for each group of questions, and with --verbose the misses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("llmops/demo_model"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--verbose", action="store_true", help="print what went wrong")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model: Any = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32)
    model.eval()
    entries = read_entries()
    for name, wanted, history in groups(entries):
        misses = examine(model, tokenizer, wanted, history, entries)
        right = len(wanted) - len(misses)
        print(f"{name}: {right} of {len(wanted)} exact, {100 * right / len(wanted):.1f} %", flush=True)
        for miss in misses if arguments.verbose else ():
            print(f"  {miss.question!r}\n    wanted {miss.wanted[:70]!r}\n    got    {miss.got[:70]!r}")


def groups(entries: Sequence[Entry]) -> list[tuple[str, list[tuple[str, str]], bool]]:
    """(name, (question, answer) pairs, whether another question and a system message come before)."""
    found = []
    for lang in ("en", "zh"):
        for refused in (False, True):
            pairs = [
                (question, entry.answer)
                for entry in entries
                if entry.lang == lang and entry.off_topic == refused
                for question in entry.held_out
            ]
            name = f"{lang} {'off-topic' if refused else 'held-out'}"
            found += [(name, pairs, False), (f"{name}, with history and system message", pairs, True)]
            unseen = [
                (question, entry.answer)
                for entry, question in read_unseen(entries)
                if entry.lang == lang and entry.off_topic == refused
            ]
            name = f"{lang} {'off-topic' if refused else 'about llmops'}, never looked at"
            found += [(name, unseen, False), (f"{name}, with history and system message", unseen, True)]
    return found


def examine(
    model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]], history: bool, entries: Sequence[Entry]
) -> list[Miss]:
    """The pairs that were answered with anything but the exact text."""
    rng = random.Random(5)  # the same histories for every model
    before: list[list[dict[str, str]]] = []
    for _ in pairs:
        earlier = rng.choice(entries)
        before.append(
            [
                {"role": "system", "content": _SYSTEM},
                {"role": "user", "content": rng.choice(earlier.asked)},
                {"role": "assistant", "content": earlier.answer},
            ]
            if history
            else []
        )
    misses = []
    for at in range(0, len(pairs), 32):
        chunk = pairs[at : at + 32]
        chats = [
            [*past, {"role": "user", "content": question}]
            for past, (question, _) in zip(before[at : at + 32], chunk, strict=True)
        ]
        for (question, wanted), got in zip(chunk, answer(model, tokenizer, chats), strict=True):
            if got.strip() != wanted:
                misses.append(Miss(question, wanted, got))
    return misses


def answer(model: Any, tokenizer: Any, chats: Sequence[Sequence[dict[str, str]]]) -> list[str]:
    """Greedy answers to several chats at once."""
    prompts = tokenizer.apply_chat_template(chats, tokenize=False, add_generation_prompt=True)
    inputs = tokenizer(prompts, return_tensors="pt", padding=True)
    with torch.inference_mode():
        out = model.generate(**inputs, max_new_tokens=400, do_sample=False)
    width = inputs["input_ids"].shape[1]
    return [str(text) for text in tokenizer.batch_decode(out[:, width:], skip_special_tokens=True)]


if __name__ == "__main__":
    main()
