"""The chat console: questions, streaming answers, and what each of them took."""

from __future__ import annotations

import asyncio
import contextlib
import time

from textual import events, work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Markdown, Static
from textual.worker import Worker

from llmops.client.measure import Stopwatch
from llmops.tui.conversation import Conversation, figures, sentence
from llmops.tui.keys import Scope, bindings
from llmops.tui.screens.detail import RequestDetail
from llmops.tui.screens.frame import Frame
from llmops.tui.widgets.keybar import KeyBar
from llmops.tui.widgets.prompt import Prompt
from llmops.tui.widgets.turn import Turn
from llmops.untrusted import safe_block, safe_line

_QUESTIONS = ("chat.question.1", "chat.question.2", "chat.question.3")
_FIGURES_EVERY_S = 0.25


class ChatScreen(Frame):
    """Key 2. Esc stops an answer, then leaves the prompt, then the screen."""

    BINDINGS = bindings("chat")
    SCOPES: tuple[Scope, ...] = ("prompt", "chat", "screens")
    AUTO_FOCUS = "Prompt"

    def body(self) -> ComposeResult:
        """The conversation above the prompt."""
        with VerticalScroll(id="transcript", can_focus=False):
            yield Static("", id="welcome", markup=False)
        yield Prompt(id="prompt", placeholder=self.session.words("chat.placeholder"), show_line_numbers=False)

    def on_mount(self) -> None:
        """Nothing has been said yet."""
        self._conversation = Conversation()
        self._answering: Worker[None] | None = None
        self.query_one("#transcript", VerticalScroll).anchor()

    def show(self) -> None:
        """The welcome text knows which model answers."""
        super().show()
        if not self._conversation.exchanges:
            self.query_one("#welcome", Static).update(self._welcome())

    def _welcome(self) -> Content:
        words, overview = self.session.words, self.session.overview
        parts: list[Content | tuple[str, str] | str] = [words("chat.welcome"), "\n\n", words("chat.try"), "\n"]
        for name in _QUESTIONS:
            parts += [("  › ", "$accent"), words(name), "\n"]
        serve = overview.serve if overview else None
        if serve is not None and serve.model.is_demo:
            parts += ["\n", (words("chat.demo"), "$foreground 70%")]
        elif overview is not None and serve is None:
            parts += ["\n", (words("chat.unreachable", url=safe_line(self.session.url, 80)), "$warning")]
        return Content.assemble(*parts)

    @property
    def answering(self) -> bool:
        """Is an answer on its way?"""
        return self._answering is not None and not self._answering.is_finished

    async def on_prompt_sent(self, message: Prompt.Sent) -> None:
        """One question at a time."""
        if self.answering:
            self.notify(self.session.words("chat.busy"), markup=False)
            self.query_one(Prompt).give_back(message.text)
            return
        self.query_one("#welcome").display = False
        turn = Turn(self._conversation.ask(message.text), self.session.words)
        transcript = self.query_one("#transcript", VerticalScroll)
        await transcript.mount(turn)
        transcript.anchor()
        self._answering = self._answer(turn)

    @work(group="answer", exit_on_error=False)
    async def _answer(self, turn: Turn) -> None:
        """Stream into the turn. Cancelling closes the connection, which stops the generation on the server."""
        words, exchange = self.session.words, turn.exchange
        watch, told_at = Stopwatch(time.monotonic()), 0.0
        turn.note(words("chat.waiting"))
        stream = Markdown.get_stream(turn.answer)
        try:
            async with (
                self.session.connect() as talker,
                contextlib.aclosing(talker.chat(self._conversation.messages())) as chunks,
            ):
                async for chunk in chunks:
                    watch.see(chunk)
                    exchange.answer += chunk.text
                    await stream.write(safe_block(chunk.text))
                    if chunk.text and chunk.received_at - told_at >= _FIGURES_EVERY_S:
                        told_at = chunk.received_at
                        turn.note(figures(watch.timing(), words, stopped=False, running=True))
        except asyncio.CancelledError:
            exchange.stopped = True
        except Exception as error:
            exchange.error = sentence(error, words)
        exchange.timing = watch.timing()
        await stream.stop()
        self._conclude(turn)

    def _conclude(self, turn: Turn) -> None:
        words, exchange = self.session.words, turn.exchange
        if exchange.error is not None:
            turn.fail(exchange.error)
            return
        if exchange.timing is None:
            return
        empty = words("chat.no_answer") + "  " if not exchange.answer and not exchange.stopped else ""
        turn.note(empty + figures(exchange.timing, words, stopped=exchange.stopped, running=False))

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Other keys work on a turn than in the prompt."""
        scopes: tuple[Scope, ...] = self.SCOPES if isinstance(event.widget, Prompt) else ("everywhere", "list", "chat")
        self.query_one(KeyBar).point_at(*scopes)

    def on_turn_moved(self, message: Turn.Moved) -> None:
        """Walk the conversation; past the last turn stands the prompt."""
        turns = list(self.query(Turn))
        if message.step is None:
            turns[-1 if message.last else 0].focus()
            return
        index = turns.index(message.turn) + message.step
        if index >= len(turns):
            self.action_write()
        elif index >= 0:
            turns[index].focus()

    def on_turn_opened(self, message: Turn.Opened) -> None:
        """Drill in."""
        self.app.push_screen(RequestDetail(self.session, message.request_id))

    def action_write(self) -> None:
        """To the prompt."""
        self.query_one(Prompt).focus()

    def action_new(self) -> None:
        """Forget the conversation."""
        if self._answering is not None:
            self._answering.cancel()
        self._conversation = Conversation()
        self.query(Turn).remove()
        self.query_one("#welcome").display = True
        self.action_write()
        self.show()

    def action_back(self) -> None:
        """Stop the answer, else leave the prompt, else leave the screen."""
        turns = self.query(Turn)
        if self.answering and self._answering is not None:
            self._answering.cancel()
        elif isinstance(self.focused, Prompt) and turns:
            turns.last().focus()
        else:
            super().action_back()

    def copyable(self) -> str | None:
        """The full request id of the turn."""
        return self.focused.exchange.request_id if isinstance(self.focused, Turn) else None
