"""One turn of a chat: the question, the answer as Markdown while it streams, and its figures."""

from __future__ import annotations

from collections.abc import Sequence

from markdown_it import MarkdownIt
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Markdown, Static

from llmops.tui.keys import bindings
from llmops.tui.language import Words
from llmops.tui.window import Exchange
from llmops.untrusted import safe_block, safe_line

_DEEPEST_NESTING = 12
"""Of quotes and lists in an answer; each level is a widget, and the model decides how many it writes."""


def parser() -> MarkdownIt:
    """Markdown without HTML, which is shown as text, so that nothing the model said is hidden."""
    return MarkdownIt("gfm-like", {"html": False, "maxNesting": _DEEPEST_NESTING})


class Turn(Vertical, can_focus=True):
    """Focusable, so that keys can walk the conversation, copy and open."""

    BINDINGS = bindings("list")

    class Moved(Message):
        """A key to walk: by this many turns; None to an end."""

        def __init__(self, turn: Turn, step: int | None, *, last: bool = False) -> None:
            super().__init__()
            self.turn = turn
            self.step = step
            self.last = last

    class Opened(Message):
        """Enter: show the request of this answer."""

        def __init__(self, request_id: str) -> None:
            super().__init__()
            self.request_id = request_id

    def __init__(self, exchange: Exchange, words: Words) -> None:
        super().__init__(classes="turn")
        self.exchange = exchange
        self._words = words
        self.answer = Markdown("", open_links=False, parser_factory=parser, classes="answer")
        self._notice = Static(Content(""), markup=False, classes="notice")
        self._meta = Static(Content(""), markup=False, classes="meta")

    def compose(self) -> ComposeResult:
        """Question, answer, figures."""
        name = Content.styled(f"{self._words('chat.you')}  ", "bold $accent")
        yield Static(name + Content(safe_block(self.exchange.question)), markup=False, classes="question")
        yield self.answer
        yield self._notice
        yield self._meta

    def say(self, sentences: Sequence[str]) -> None:
        """What the reader should know of this answer, above its figures."""
        self._notice.update(Content(safe_block("\n".join(sentences))))
        self._notice.set_class(bool(sentences), "said")

    def note(self, text: str) -> None:
        """The line under the answer."""
        self._meta.update(Content(safe_line(text)))

    def fail(self, text: str) -> None:
        """A sentence in place of the answer, or below what there is of it."""
        self._meta.update(Content.styled(safe_block(text), "$warning"))

    def on_markdown_link_clicked(self, event: Markdown.LinkClicked) -> None:
        """The model may write any address: it is shown, never opened."""
        event.stop()
        self.notify(self._words("chat.link", url=safe_line(event.href, 300)), markup=False)

    def action_down(self) -> None:
        """Next turn."""
        self.post_message(self.Moved(self, 1))

    def action_up(self) -> None:
        """Previous turn."""
        self.post_message(self.Moved(self, -1))

    def action_top(self) -> None:
        """First turn."""
        self.post_message(self.Moved(self, None))

    def action_bottom(self) -> None:
        """Last turn."""
        self.post_message(self.Moved(self, None, last=True))

    def action_open(self) -> None:
        """The request behind this answer."""
        if self.exchange.request_id:
            self.post_message(self.Opened(self.exchange.request_id))
