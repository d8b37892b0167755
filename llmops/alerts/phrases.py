"""What an alert says, kept as a key and its values until somebody reads it, so that each reader has their language."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from llmops.alerts.chinese import CHINESE
from llmops.alerts.sentences import ENGLISH

Language: TypeAlias = Literal["en", "zh"]
SENTENCES: Mapping[Language, Mapping[str, str]] = {"en": ENGLISH, "zh": CHINESE}
_AS_IS = "as_is"
_NOTHING: Mapping[str, Any] = types.MappingProxyType({})


@dataclasses.dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence of the tables with its values: text, numbers, None, phrases, and lists of phrases."""

    key: str
    values: Mapping[str, Any] = dataclasses.field(default_factory=lambda: _NOTHING)

    def __str__(self) -> str:
        """In English, as the record has it."""
        return self.text("en")

    def text(self, language: Language) -> str:
        """In this language."""
        values = {name: _spoken(value, language) for name, value in self.values.items()}
        return SENTENCES[language][self.key].format(**values)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, for keeping."""
        return {"key": self.key, "values": {name: _kept(value) for name, value in self.values.items()}}

    @classmethod
    def from_json(cls, value: Any) -> Phrase:
        """What `to_json` wrote, or a text as it is; raises KeyError, TypeError or ValueError for anything else."""
        if isinstance(value, str):
            return as_is(value)
        if value["key"] not in ENGLISH:
            raise ValueError(f"there is no sentence {value['key']!r}")
        return cls(value["key"], {name: _found(each) for name, each in value["values"].items()})


def say(sentence: str, **values: Any) -> Phrase:
    """The sentence of that name with its values."""
    return Phrase(sentence, values)


def as_is(text: str) -> Phrase:
    """A text that is in no table: the same in every language."""
    return Phrase(_AS_IS, {"text": text})


def _spoken(value: Any, language: Language) -> Any:
    if isinstance(value, Phrase):
        return value.text(language)
    if isinstance(value, tuple):
        return SENTENCES[language]["and"].join(str(_spoken(each, language)) for each in value)
    return value


def _kept(value: Any) -> Any:
    if isinstance(value, Phrase):
        return value.to_json()
    return [_kept(each) for each in value] if isinstance(value, tuple) else value


def _found(value: Any) -> Any:
    if isinstance(value, dict):
        return Phrase.from_json(value)
    return tuple(_found(each) for each in value) if isinstance(value, list) else value
