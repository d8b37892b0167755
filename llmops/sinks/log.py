"""The human log, which loguru carries, and the sink that writes the record before it."""

from __future__ import annotations

import logging
import os
import select
import traceback
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from loguru import logger

from llmops.events.names import Document
from llmops.sinks.journal import JournalFile
from llmops.sinks.repeats import Repeats
from llmops.untrusted import spelled_out

if TYPE_CHECKING:
    from loguru import Message, Record

_COLOURS = {"DEBUG": "2", "INFO": "32", "SUCCESS": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}
_CHATTY = (
    "ContinuousBatchingLogger",
    "httpx",
    "httpcore",
    "urllib3",
    "elastic_transport",
    "asyncio",
    "uvicorn",
    "uvicorn.error",
    "uvicorn.access",
)
_AT_ONCE = 1000
"""Characters; at most 4,000 bytes, which a pipe that poll(2) calls writable takes whole (PIPE_BUF is 4,096)."""
_ADOPTED = ("ContinuousBatchingLogger", "uvicorn", "uvicorn.error", "uvicorn.access", "transformers")


class LoguruSink:
    """A bus's sink: every document into the journal, and for people into the log."""

    def __init__(self, journal: JournalFile | None = None) -> None:
        self._journal = journal
        self._repeats = Repeats()

    def write(self, documents: Sequence[Document]) -> None:
        """The record first; then the log."""
        if self._journal is not None:
            self._journal.write(documents)
        self.written(documents)

    def write_now(self, document: Document) -> bool:
        """Into the journal, on any thread, where that takes it at once; without a journal there is nothing to do."""
        return self._journal is not None and self._journal.write_now(document)

    def written(self, documents: Sequence[Document]) -> None:
        """Log each document that the journal has with its own level and message, and itself as an extra; of many
        refusals the first and how many followed."""
        for document in documents:
            if not self._repeats.worth(document):
                continue
            level = str(document["log.level"]).upper()
            logger.bind(document=document).log(level if level in _COLOURS else "INFO", document["message"])

    def tick(self) -> None:
        """Let the journal try again what the disk did not take, and force to disk what is due."""
        if self._journal is not None:
            self._journal.tick()
        self._count(all_of_them=False)

    @property
    def lost(self) -> int:
        """Documents that the journal gave up, because its disk stayed full."""
        return self._journal.lost if self._journal is not None else 0

    @property
    def waiting(self) -> int:
        """Documents in memory that the journal's disk has not taken."""
        return self._journal.waiting if self._journal is not None else 0

    @property
    def trouble(self) -> str | None:
        """Why the journal's disk does not take them; None while it does."""
        return self._journal.trouble if self._journal is not None else None

    def close(self) -> None:
        """Everything logged is on disk when this returns."""
        if self._journal is not None:
            self._journal.close()
        self._count(all_of_them=True)

    def _count(self, *, all_of_them: bool) -> None:
        for sentence in self._repeats.due(all_of_them=all_of_them):
            logger.warning("{}", sentence)


def configure_log(level: str, stream: TextIO) -> None:
    """Send messages at `level` and above to `stream`.

    Stdlib logging takes the same road; libraries that talk at every request may only warn.
    """
    human = HumanLog(stream)
    logger.remove()
    # diagnose would print the values of variables, and with them what users wrote
    logger.add(
        human.write,
        level=level,
        format="{message}",
        filter=_is_for_people,
        backtrace=False,
        diagnose=False,
        colorize=False,
    )
    logging.basicConfig(handlers=[_Relay()], level=level, force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    adopt_loggers(_ADOPTED)


def adopt_loggers(names: Iterable[str] = _ADOPTED) -> None:
    """Take away the handlers that libraries gave their loggers; call it again after importing such a library."""
    for name in names:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True


def _is_for_people(record: Record) -> bool:
    """What the console notifier tells with all that is known of it need not stand in the log as well."""
    document = record["extra"].get("document", {})
    told = document.get("event.action") in ("firing", "resolved")
    return not (told and document.get("event.dataset") == "llmops.alert")


class HumanLog:
    """Lines of time, level and message. Colour only on a terminal, and not where NO_COLOR is set.

    Never waits: what a stopped terminal or a pipe that nobody reads does not take is left out, and counted.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self._colour = stream.isatty() and not os.environ.get("NO_COLOR")
        self._left_out = 0
        self._is_torn = False

    def write(self, message: Message) -> None:
        """One line a message, and an indented traceback after it; a lost terminal loses the line, nothing else."""
        text = self._line(message.record) + _traceback(message.record)
        if self._left_out:
            text = f"({self._left_out} lines were left out: nobody read them)\n{text}"
        if self._is_torn:
            text = f"\n{text}"
        text = text.encode(self._encoding, "backslashreplace").decode(self._encoding)
        try:
            for first in range(0, len(text), _AT_ONCE):
                if not self._takes_more():
                    self._left_out += 1
                    return
                self._stream.write(piece := text[first : first + _AT_ONCE])
                self._stream.flush()
                self._is_torn = not piece.endswith("\n")
        except (OSError, ValueError):
            return
        self._left_out = 0

    def _takes_more(self) -> bool:
        """Whether `_AT_ONCE` characters can be written without waiting; where that can't be asked, they can."""
        try:
            ready = select.poll()
            ready.register(self._stream.fileno(), select.POLLOUT)
            return bool(ready.poll(0))
        except (OSError, ValueError):
            return True

    def _line(self, record: Record) -> str:
        level = f"{record['level'].name:<8}"
        if self._colour:
            level = f"\x1b[{_COLOURS.get(record['level'].name, '0')}m{level}\x1b[0m"
        return f"{record['time']:YYYY-MM-DD HH:mm:ss} {level} {spelled_out(record['message'])}\n"


def _traceback(record: Record) -> str:
    exception = record["exception"]
    if exception is None or exception.value is None:
        return ""
    lines = "".join(traceback.format_exception(exception.value)).splitlines()
    return "".join(f"    {spelled_out(line)}\n" for line in lines)


class _Relay(logging.Handler):
    """From stdlib logging to loguru; the message is complete here, so braces in it mean nothing."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            known = record.levelname in _COLOURS
            logger.opt(exception=record.exc_info).log(
                record.levelname if known else record.levelno, record.getMessage()
            )
        except Exception:
            self.handleError(record)
