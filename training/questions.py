"""Reads the corpus: every entry with the questions it is trained on, those held out, and its one answer."""

from __future__ import annotations

import dataclasses
import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parent / "corpus"
OFF_TOPIC = "off-topic"
_SLOT = re.compile(r"{(\w+)}")

Frames = Mapping[str, Sequence[str]]


@dataclasses.dataclass(frozen=True)
class Entry:
    """One answer and the ways to ask for it."""

    id: str
    lang: str
    asked: tuple[str, ...]
    held_out: tuple[str, ...]
    answer: str
    exact: bool
    """Letters and case carry the meaning (a key, a flag): no typos here."""

    @property
    def off_topic(self) -> bool:
        """Whether the answer is the honest refusal."""
        return self.id.startswith(OFF_TOPIC)


@dataclasses.dataclass(frozen=True)
class Dialogue:
    """A conversation whose later questions lean on the earlier ones; each question has several wordings."""

    lang: str
    turns: tuple[tuple[tuple[str, ...], str], ...]


def read_entries(folder: Path = CORPUS) -> list[Entry]:
    """All entries of all topic files, in file order."""
    frames: Mapping[str, Frames] = _load(folder / "frames.toml")
    keywords = _load(folder / "keywords.toml")
    entries = []
    for path in sorted(folder.glob("*-*.toml")):
        document = _load(path)
        slots = document.get("slots", {})
        entries += [_entry(raw, document["lang"], frames, slots, keywords) for raw in document.get("entry", [])]
    _refuse_overlap(entries)
    return entries


def read_dialogues(entries: Sequence[Entry], folder: Path = CORPUS) -> list[Dialogue]:
    """The multi-turn samples; an answer written `@id` is that entry's answer."""
    answers = {entry.id: entry.answer for entry in entries}
    found = []
    for raw in _load(folder / "dialogues.toml")["dialogue"]:
        turns = tuple(
            (
                tuple(turn["ask"]),
                answers[turn["answer"][1:]] if turn["answer"].startswith("@") else turn["answer"],
            )
            for turn in raw["turns"]
        )
        found.append(Dialogue(raw["lang"], turns))
    return found


def read_unseen(entries: Sequence[Entry], folder: Path = CORPUS) -> list[tuple[Entry, str]]:
    """Questions that no decision about the training has looked at, each with its entry."""
    by_id = {entry.id: entry for entry in entries}
    asked = _load(folder / "unseen.toml")
    trained = {bare(line) for entry in entries for line in entry.asked}
    found = [(by_id[id], line) for lang in asked.values() for id, lines in lang.items() for line in lines]
    return [(entry, line) for entry, line in found if bare(line) not in trained]


def read_wording(folder: Path = CORPUS) -> Mapping[str, Mapping[str, Sequence[Any]]]:
    """What dresses a question up: by kind, then by language."""
    return _load(folder / "wording.toml")


def _load(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _entry(
    raw: Mapping[str, Any],
    lang: str,
    frames: Mapping[str, Frames],
    slots: Mapping[str, Sequence[str]],
    keywords: Mapping[str, Frames],
) -> Entry:
    about = {**raw.get("about", {}), "topic": keywords[lang].get(raw["id"], [])}
    asked = [filled for line in raw.get("ask", []) for filled in _fill(line, slots)]
    for frame, subjects in about.items():
        filled = [text for subject in subjects for text in _fill(subject, slots)]
        asked += [pattern.replace("{x}", text) for pattern in frames[lang][frame] for text in filled]
    held_out = tuple(raw.get("held_out", []))
    kept = tuple(dict.fromkeys(line for line in asked if line not in held_out))
    return Entry(raw["id"], lang, kept, held_out, raw["answer"].strip(), raw.get("exact", False))


def _fill(line: str, slots: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Each way to fill `{noun}` and the like from the file's lists."""
    names = [name for name in _SLOT.findall(line) if name != "x"]
    for values in itertools.product(*(slots[name] for name in names)):
        filled = line
        for name, value in zip(names, values, strict=True):
            filled = filled.replace("{" + name + "}", value)
        yield filled


def bare(question: str) -> str:
    """The question without case, spaces and punctuation: what makes two of them the same."""
    return "".join(character for character in question.lower() if character.isalnum())


def _refuse_overlap(entries: Sequence[Entry]) -> None:
    """A question with two answers, or held out in one place and trained in another, spoils the measurement."""
    owner: dict[tuple[str, str], str] = {}
    for entry in entries:
        for line in (*entry.asked, *entry.held_out):
            other = owner.setdefault((entry.lang, line.lower()), entry.id)
            if other != entry.id:
                raise ValueError(f"{line!r} is asked by {other} and by {entry.id}")
