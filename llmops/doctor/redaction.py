"""What leaves in a support archive: numbers, and words that are ours. What users, keys or addresses say stays here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from llmops.events import Document
from llmops.events.documents import EVENT_TYPES
from llmops.events.names import fields_of
from llmops.settings import Loaded

HIDDEN = "(hidden)"
_SHORTEST_SECRET = 4
_PERSONAL = ("alerts.email_user", "alerts.email_from", "alerts.email_to")
"""Dials that say whose they are."""
_OUR_WORDS = frozenset(
    {
        *("outcome", "error_type", "finish_reasons", "engine", "provider", "operation", "quantization", "dtype"),
        *("stopped_by", "priority", "device_type", "vendor", "device_model", "driver_version", "throttle_reasons"),
        *("action", "rule_id", "rule_name", "severity", "state", "slo_name", "window_short", "window_long"),
        *("channel_outcome", "suite", "trigger", "torch_version", "transformers_version", "bitsandbytes_version"),
        *("cuda_version", "defaults"),
    }
)
"""Attributes of events whose text is chosen by us, never by a client."""
_WORD = re.compile(r"[A-Za-z0-9_.+() -]{1,64}")
_URL = re.compile(r"([a-z][a-z0-9+.-]*://)(?:[^\s/@'\"]*@)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:\d+)?(/[^\s'\"]*)?")
_PATTERNS = (
    re.compile(r"\bwhsec_[A-Za-z0-9+/=]+"),
    re.compile(r"\b[a-z]{2,3}[-_][A-Za-z0-9_-]{16,}"),
    re.compile(r"(?i)\b(bearer|basic|apikey)\s+[A-Za-z0-9+/=._~-]{8,}"),
    re.compile(r"(?i)\b(password|passwd|secret|token|api[_-]?key)\b\s*[=:]\s*[^\s,;)]+"),
    re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"),
    re.compile(r"\b(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{32,}\b"),
)
_SAYS = re.compile(r"( is )(?!no dial|not TOML|empty)(.+)(: )", re.DOTALL)
"""How a sentence quotes the value of a dial."""


class Redactor:
    """Knows the secrets of this installation, and takes them and whatever looks like one out of a text."""

    def __init__(self, secrets: Iterable[str], home: Path) -> None:
        self._secrets = sorted({each for each in secrets if len(each) >= _SHORTEST_SECRET}, key=len, reverse=True)
        self._home = str(home)

    def text(self, text: str) -> str:
        """The text without them; of an address only scheme, host and port."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        text = _URL.sub(lambda found: f"{found[1]}{found[2]}{found[3] or ''}", text)
        for pattern in _PATTERNS:
            text = pattern.sub(HIDDEN, text)
        return text.replace(self._home, "~") if len(self._home) > 1 else text

    def sentence(self, sentence: str) -> str:
        """Of a complaint about a dial also the value that it quotes: it may be a secret under a wrong name."""
        return self.text(_SAYS.sub(rf"\1{HIDDEN}\3", sentence))

    def every(self, value: Any) -> Any:
        """Each text inside."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.every(each) for key, each in value.items()}
        return [self.every(each) for each in value] if isinstance(value, list | tuple) else value


def dials(loaded: Loaded, redactor: Redactor) -> dict[str, dict[str, str]]:
    """Every dial and where it came from; of an address scheme, host and port, of a person only that there is one."""
    return {
        name: {
            "value": HIDDEN if value and name in _PERSONAL else redactor.text(value),
            "from": redactor.text(origin),
        }
        for name, value, origin, _ in loaded.rows()
    }


def event(document: Document) -> dict[str, Any]:
    """Of an event its kind, its time, its numbers, and the words that are ours."""
    kinds = {each.dataset: each for each in EVENT_TYPES}
    event_type = kinds.get(str(document.get("event.dataset")))
    if event_type is None:
        return {}
    kept: dict[str, Any] = {"event.dataset": event_type.dataset, "@timestamp": str(document.get("@timestamp"))[:24]}
    return kept | dict(_kept(event_type, document))


def _kept(event_type: type, document: Document) -> Iterator[tuple[str, Any]]:
    for attribute, (field, _) in fields_of(event_type).items():
        value = document.get(field)
        if isinstance(value, bool | int | float):
            yield field, value
        elif attribute in _OUR_WORDS:
            words = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
            if words and all(_WORD.fullmatch(each) for each in words):
                yield field, words if isinstance(value, list) else words[0]
