"""What the verbs that ship share: one at a time, a clean end, a bar on a terminal, a sentence when it can't be done."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from llmops.elastic.dashboards import KibanaProblem
from llmops.elastic.delivery import Stopped
from llmops.elastic.errors import AlreadyShipping, ElasticProblem
from llmops.elastic.report import ShipReport
from llmops.lockfile import Held, LockFile
from llmops.state.directory import require_safe
from llmops.state.files import is_passing, sentence_of
from llmops.untrusted import spelled_out

_RETRY_S = 1.0
_log = logging.getLogger(__name__)


@contextlib.contextmanager
def told(verb: str) -> Iterator[None]:
    """What can't be done ends the block with one sentence on standard error."""
    try:
        yield
    except (ElasticProblem, KibanaProblem, AlreadyShipping, OSError) as error:
        say(f"llmops {verb}: {in_words(error)}")


def say(sentence: str) -> None:
    """A line for the person, who may have redirected the rest."""
    print(spelled_out(sentence), file=sys.stderr)


def in_words(error: Exception) -> str:
    """What the error says; of one about a file, its name and the reason without its number."""
    return sentence_of(error) if isinstance(error, OSError) else str(error)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One shipper for a state directory: two would not know of each other's doubts. Raises AlreadyShipping."""
    require_safe(folder.parent)
    try:
        lock = LockFile(folder / "lock")
    except Held as error:
        raise AlreadyShipping(
            f"Process {error.holder} ships {folder.parent} already: stop it first, or use another state directory."
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def locked_when_possible(folder: Path, stop: threading.Event, *, once: bool) -> Iterator[None]:
    """As `locked`; a disk that is full or read-only and refuses the folder is waited for, unless `once`.

    Raises AlreadyShipping, Stopped when it was stopped while it waited, and OSError.
    """
    said = ""
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(locked(folder))
                break
            except OSError as error:
                if once or not is_passing(error):
                    raise
                if (why := sentence_of(error)) != said:
                    _log.warning("ship waits: %s", why)
                said = why
            if stop.wait(_RETRY_S):
                raise Stopped
        yield


@contextlib.contextmanager
def stopping() -> Iterator[threading.Event]:
    """Set by SIGTERM and SIGINT: what is being sent is finished, nothing more is begun."""
    stop = threading.Event()
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            before[number] = signal.signal(number, lambda *_: stop.set())
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def with_bar() -> Iterator[Callable[[ShipReport], None]]:
    """A bar of bytes on a terminal; elsewhere nothing."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("ship", total=None)

        def show(report: ShipReport) -> None:
            words = f"{report.state}: {report.created + report.known} there"
            words += f", {report.refused} refused" if report.refused else ""
            total = report.shipped_bytes + report.behind_bytes
            bar.update(task, description=words, completed=report.shipped_bytes, total=total)

        yield show
