"""One request in full: its phases as a bar, then every field of its event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from textual.content import Content

from llmops.events import Document, RequestEvent
from llmops.events.names import fields_of, name_of
from llmops.tui.messages import FoundRequest
from llmops.tui.numbers import milliseconds
from llmops.tui.screens.dialog import Dialog
from llmops.tui.session import Session
from llmops.untrusted import safe_block, safe_line

_PHASES = (("queue_s", "$warning"), ("prefill_s", "$secondary"), ("decode_s", "$primary"))
_BAR = 60
_AGAIN_S = 1.0


@runtime_checkable
class Asks(Protocol):
    """The app: it passes questions on to the feed."""

    def ask(self, request_id: str) -> None:
        """A FoundRequest will come."""


class RequestDetail(Dialog):
    """Enter on a request or on an answer."""

    def __init__(self, session: Session, request_id: str) -> None:
        super().__init__(session)
        self.request_id = request_id
        self._documents: Sequence[Document] | None = None

    def on_mount(self) -> None:
        """Begin to ask."""
        self._ask()

    def _ask(self) -> None:
        """The record answers with a message; a request that just ended is there a moment later."""
        if isinstance(self.app, Asks):
            self.app.ask(self.request_id)

    def found(self, message: FoundRequest) -> None:
        """The record has answered."""
        if message.request_id == self.request_id:
            self._documents = message.documents
            self.renew()
            if not message.documents:
                self.set_timer(_AGAIN_S, self._ask)

    def heading(self) -> str:
        """With the full id."""
        return self.session.words("detail.title", id=safe_line(self.request_id, 80))

    def lines(self) -> Sequence[Content]:
        """Every field, or why there is none."""
        words, shown = self.session.words, safe_line(self.request_id, 80)
        if self._documents is None:
            return [Content(words("detail.looking", id=shown))]
        if not self._documents:
            return [Content(words("detail.missing", id=shown))]
        lines: list[Content] = []
        for document in self._documents:
            lines += [*self._phases(document), *_fields(document), Content("")]
        return lines[:-1]

    def _phases(self, document: Document) -> list[Content]:
        """Queue, prefill and decode as one bar, true to scale."""
        seconds = [document.get(name_of(RequestEvent, name)) for name, _ in _PHASES]
        known = [max(0.0, float(value or 0.0)) for value in seconds]
        if sum(known) <= 0:
            return []
        edges = [round(sum(known[: index + 1]) / sum(known) * _BAR) for index in range(3)]
        widths = [edges[0], edges[1] - edges[0], edges[2] - edges[1]]
        bar = [("█" * width, style) for width, (_, style) in zip(widths, _PHASES, strict=True)]
        queue, prefill, decode = (milliseconds(value).strip() for value in seconds)
        told = self.session.words("detail.phases", queue=queue, prefill=prefill, decode=decode)
        return [Content.assemble(*bar), Content.styled(told, "$foreground 70%"), Content("")]

    def copyable(self) -> str | None:
        """The full id."""
        return self.request_id


def _fields(document: Document) -> list[Content]:
    """The moment and what is the request's own first, the header that every event has last."""
    own = {"@timestamp", *(name for name, _ in fields_of(RequestEvent).values())}
    names = sorted(document, key=lambda name: name not in own)
    width = max(len(name) for name in document)
    return [
        Content.assemble((safe_line(name).ljust(width), "$foreground 60%"), "  ", _value(document[name], width))
        for name in names
    ]


def _value(value: Any, indent: int) -> str:
    if isinstance(value, list):
        return safe_line(", ".join(str(item) for item in value))
    if isinstance(value, str) and "\n" in value:
        return safe_block(value).replace("\n", "\n" + " " * (indent + 2))
    return safe_line(value)
