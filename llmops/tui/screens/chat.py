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
from textual.widgets.markdown import MarkdownStream
from textual.worker import Worker

from llmops.client import RANGES, RequestRefused
from llmops.client.measure import Stopwatch
from llmops.events.snapshot import RequestDefaults
from llmops.tui.commands import COMMANDS, BadCommand, changed, parse, said, settings_line, unknown
from llmops.tui.conversation import Conversation, figures, remarks, sentence
from llmops.tui.keys import Scope, bindings
from llmops.tui.screens.detail import RequestDetail
from llmops.tui.screens.frame import Frame
from llmops.tui.screens.help import command_lines
from llmops.tui.widgets.keybar import KeyBar
from llmops.tui.widgets.prompt import Prompt
from llmops.tui.widgets.turn import Turn
from llmops.tui.window import Context
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
        yield Static("", id="settings", markup=False)
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
        self._show_settings()

    def _welcome(self) -> Content:
        words, overview = self.session.words, self.session.overview
        parts: list[Content | tuple[str, str] | str] = [words("chat.welcome"), "\n\n", words("chat.try"), "\n"]
        for name in _QUESTIONS:
            parts += [("  › ", "$accent"), words(name), "\n"]
        parts += ["\n", (words("chat.commands"), "$foreground 70%"), "\n"]
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
        """A command, or one question at a time."""
        command = parse(message.text)
        if command is not None:
            await self._obey(*command)
        elif self.answering:
            self.notify(self.session.words("chat.busy"), markup=False)
            self.query_one(Prompt).give_back(message.text)
        else:
            await self._ask(message.text.removeprefix("/") if message.text.startswith("//") else message.text)

    async def _ask(self, question: str) -> None:
        self.query_one("#welcome").display = False
        turn = Turn(self._conversation.ask(question), self.session.words)
        transcript = self.query_one("#transcript", VerticalScroll)
        await transcript.mount(turn)
        transcript.anchor()
        self._answering = self._answer(turn)

    async def _obey(self, name: str, value: str) -> None:
        """Do what a command says, and show what holds now."""
        words, conversation = self.session.words, self._conversation
        if name == "new":
            self.action_new()
        elif name == "help":
            await self._tell(*command_lines(words))
        elif name not in COMMANDS:
            await self._tell(Content(unknown(name, words)))
        else:
            try:
                if value and name != "settings":
                    conversation.options = changed(conversation.options, name, value, words)
            except BadCommand as error:
                await self._tell(Content(str(error)))
                return
            names = ("system", *RANGES) if name == "settings" else (name,)
            await self._tell(
                *(Content(said(conversation.options, self._served_defaults, each, words)) for each in names)
            )
            self._show_settings()

    async def _tell(self, *lines: Content) -> None:
        transcript = self.query_one("#transcript", VerticalScroll)
        await transcript.mount(Static(Content("\n").join(lines), markup=False, classes="notice"))
        transcript.anchor()

    @property
    def _served_defaults(self) -> RequestDefaults | None:
        serve = self.session.overview.serve if self.session.overview else None
        return serve.defaults if serve else None

    @property
    def _served_context(self) -> Context:
        serve = self.session.overview.serve if self.session.overview else None
        if serve is None:
            return Context()
        return Context(limit=serve.model.max_model_len, default_max_tokens=serve.defaults.max_tokens)

    def _show_settings(self) -> None:
        last = next((each for each in reversed(self._conversation.exchanges) if each.counted_tokens), None)
        line = settings_line(
            self._conversation.options, self._served_defaults, self._served_context, last, self.session.words
        )
        self.query_one("#settings", Static).update(Content(line))

    @work(group="answer", exit_on_error=False)
    async def _answer(self, turn: Turn) -> None:
        """Stream into the turn. Cancelling closes the connection, which stops the generation on the server."""
        words, exchange, conversation = self.session.words, turn.exchange, self._conversation
        watch = Stopwatch(time.monotonic())
        turn.note(words("chat.waiting"))
        stream = Markdown.get_stream(turn.answer)
        left_out = conversation.first
        try:
            conversation.fit(self._served_context)
            while True:
                try:
                    await self._stream(conversation, turn, watch, stream)
                    break
                except RequestRefused as refused:
                    if not conversation.shorten(refused):
                        raise
                    conversation.fit(Context())
        except asyncio.CancelledError:
            exchange.stopped = True
        except Exception as error:
            exchange.error = sentence(error, words)
            if conversation.is_refused_alone(error):
                self.query_one(Prompt).give_back(exchange.question)
        exchange.timing = watch.timing()
        await stream.stop()
        if conversation is self._conversation:
            turn.say(remarks(conversation, exchange, self._served_context, words, left_out_before=left_out))
            self._show_settings()
        self._conclude(turn)

    async def _stream(self, conversation: Conversation, turn: Turn, watch: Stopwatch, stream: MarkdownStream) -> None:
        told_at = 0.0
        async with (
            self.session.connect() as talker,
            contextlib.aclosing(talker.chat(conversation.messages(), **conversation.sampling())) as chunks,
        ):
            async for chunk in chunks:
                watch.see(chunk)
                turn.exchange.answer += chunk.text
                await stream.write(safe_block(chunk.text))
                if chunk.text and chunk.received_at - told_at >= _FIGURES_EVERY_S:
                    told_at = chunk.received_at
                    turn.note(figures(watch.timing(), self.session.words, stopped=False, running=True))

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
        self._conversation = Conversation(self._conversation.options)
        self.query(Turn).remove()
        self.query("#transcript > .notice").remove()
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
