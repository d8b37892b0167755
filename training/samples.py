"""Turns entries into training sequences: noisy questions, histories, system messages, loss on the answers only."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from training.noise import bend
from training.questions import Dialogue, Entry, bare, read_unseen, read_wording
from training.tokenizer import END, START

IGNORED = -100
_OPENING_ONLY = 0.65
_OPENING = 12

_WORDING = read_wording()


@dataclasses.dataclass(frozen=True)
class Sample:
    """Token ids and, of the same length, what the loss sees."""

    ids: list[int]
    labels: list[int]


class SampleMaker:
    """Draws samples for ever, the same ones for the same seed."""

    def __init__(self, entries: Sequence[Entry], dialogues: Sequence[Dialogue], tokenizer: Any, seed: int) -> None:
        self._rng = random.Random(seed)
        self._tokenizer = tokenizer
        self._known = {lang: [e for e in entries if e.lang == lang and not e.off_topic] for lang in ("en", "zh")}
        self._refused = {lang: [e for e in entries if e.lang == lang and e.off_topic] for lang in ("en", "zh")}
        self._dialogues = dialogues
        self._secret = {bare(question) for entry in entries for question in entry.held_out}
        self._secret |= {bare(question) for _, question in read_unseen(entries)}
        self._vocabulary = range(3, len(tokenizer))

    def batches(self, size: int, pool: int = 16) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Padded on the right, neighbours of like length: under a causal mask no attention mask is needed."""
        while True:
            drawn = sorted((self.draw() for _ in range(size * pool)), key=lambda sample: len(sample.ids))
            chunks = [drawn[at : at + size] for at in range(0, len(drawn), size)]
            self._rng.shuffle(chunks)
            for chunk in chunks:
                longest = max(len(sample.ids) for sample in chunk)
                ids = [sample.ids + [0] * (longest - len(sample.ids)) for sample in chunk]
                labels = [sample.labels + [IGNORED] * (longest - len(sample.labels)) for sample in chunk]
                yield torch.tensor(ids), torch.tensor(labels)

    def draw(self) -> Sample:
        """One conversation: mostly one question, sometimes several on different topics."""
        rng = self._rng
        lang = rng.choice(("en", "zh"))
        if rng.random() < 0.05:
            dialogue = rng.choice(self._dialogues)
            lang = dialogue.lang
            turns = [(self._bent(asks, lang, False), answer) for asks, answer in dialogue.turns]
        else:
            count = rng.choices((1, 2, 3), (52, 34, 14))[0]
            turns = [self._turn(lang if rng.random() < 0.75 else rng.choice(("en", "zh"))) for _ in range(count)]
        return self._encode(turns, self._system(lang) if rng.random() < 0.3 else None)

    def _system(self, lang: str) -> str:
        """A usual system message, or any other text: it must change nothing."""
        if self._rng.random() < 0.5:
            usual: str = self._rng.choice(_WORDING["system"][lang])
            return usual
        return self._rng.choice(self._rng.choice(self._known[lang] + self._refused[lang]).asked)

    def _turn(self, lang: str) -> tuple[str, str]:
        rng = self._rng
        if rng.random() < 0.25:
            entry = rng.choice(self._refused[lang])
            if rng.random() < 0.08:
                return self._gibberish(lang), entry.answer
        else:
            entry = rng.choice(self._known[lang])
        return self._bent(entry.asked, lang, entry.exact), entry.answer

    def _bent(self, wordings: Sequence[str], lang: str, exact: bool) -> str:
        """One of the wordings as someone types it, never one that is held out."""
        while True:
            question = bend(self._rng.choice(wordings), lang, exact, self._rng)
            if bare(question) not in self._secret or not bare(question):
                return question

    def _gibberish(self, lang: str) -> str:
        """A question about a thing that does not exist: what is unknown gets the honest answer too."""
        rng = self._rng
        length = rng.randint(2, 4 if lang == "en" else 5)
        word = "".join(rng.choice(_WORDING["invented"][lang]) for _ in range(length))
        shape: str = rng.choice(_WORDING["shapes"][lang])
        return shape.format(word)

    def _encode(self, turns: Sequence[tuple[str, str]], system: str | None) -> Sample:
        sample = Sample([], [])
        if system is not None:
            self._append(sample, f"{START}system\n{system}{END}\n", learned=False)
        for number, (question, answer) in enumerate(turns, 1):
            self._append(sample, f"{START}user\n", learned=False)
            self._append(sample, question, learned=False, blur=True)
            self._append(sample, f"{END}\n{START}assistant\n", learned=False)
            last = number == len(turns)
            if self._rng.random() < (_OPENING_ONLY if last else 0.5):
                # The first tokens decide which answer it is; the rest is known by heart long before.
                # So most samples stop there: twice the questions in the same time.
                opening = self._tokenizer(answer)["input_ids"][:_OPENING]
                sample.ids.extend(opening)
                sample.labels.extend(opening)
                self._append(sample, "" if last else f"{END}\n", learned=False)
            else:
                self._append(sample, f"{answer}{END}", learned=True)
                self._append(sample, "\n", learned=False)
        return sample

    def _append(self, sample: Sample, text: str, *, learned: bool, blur: bool = False) -> None:
        ids: list[int] = self._tokenizer(text)["input_ids"]
        if blur and len(ids) > 4:
            # A token in thirty becomes another: words never seen in training must not derail the answer.
            ids = [self._rng.choice(self._vocabulary) if self._rng.random() < 0.03 else token for token in ids]
        sample.ids.extend(ids)
        sample.labels.extend(ids if learned else [IGNORED] * len(ids))
