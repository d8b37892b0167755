"""Ships the journal to Elasticsearch: every line exactly once, or kept with the reason why not.

The checkpoint moves only when the server has answered for every line before it. What lies behind it after a crash, or
after an answer that was lost, may have arrived: the stream is asked before anything of that is sent again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import random
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from elasticsearch import Elasticsearch

from llmops.elastic.ahead import ahead
from llmops.elastic.checkpoints import Checkpoints
from llmops.elastic.dead_letters import FILE as DEAD_LETTER_FILE
from llmops.elastic.dead_letters import DeadLetters
from llmops.elastic.delivery import Delivery, Stopped
from llmops.elastic.errors import ElasticProblem, JournalUnread
from llmops.elastic.journal import Batch, batches, read_batch
from llmops.elastic.report import ShipReport, State, fresh_report
from llmops.store.segments import SegmentFile, first_event_id, look_at, segment_files

CHECKPOINT_FILE = "checkpoint.json"
_log = logging.getLogger(__name__)


class Shipper:
    """One at a time for a state directory; `folder` holds its checkpoint and its dead letters.

    patience: tries before a passing problem is raised; None: for ever. Asked to stop, it raises Stopped.
    suspicious: ask the stream what it has before every batch, not only where a crash may have left it in doubt.
    """

    def __init__(
        self,
        client: Elasticsearch,
        journal: Path,
        folder: Path,
        namespace: str,
        *,
        stop: threading.Event | None = None,
        patience: int | None = None,
        suspicious: bool = False,
        longest_wait_s: float = 30.0,
        rng: random.Random | None = None,
        clock: Callable[[], float] = time.time,
        on_progress: Callable[[ShipReport], None] = lambda _: None,
    ) -> None:
        self._journal = journal
        self._namespace = namespace
        self._checkpoints = Checkpoints(folder / CHECKPOINT_FILE)
        self._dead_letters = DeadLetters(folder / DEAD_LETTER_FILE)
        self._stop = stop or threading.Event()
        self._clock = clock
        self._on_progress = on_progress
        self._suspicious = suspicious
        self._sure: set[str] = set()
        self._finished: dict[Path, SegmentFile] = {}
        self._unread: dict[Path, str] = {}
        self.report = fresh_report()
        self._delivery = Delivery(
            client,
            stop=self._stop,
            patience=patience,
            longest_wait_s=longest_wait_s,
            rng=rng or random.Random(),  # noqa: S311 -- spreads retries, guards nothing
            on_trouble=self._note,
        )

    def look(self) -> int:
        """Ship what the journal holds now. Returns how many lines are dealt with.

        Raises ElasticProblem, Stopped, OSError when the disk does not take how far it is, and JournalUnread for what
        can't be read, once all else is shipped.
        """
        dealt = 0
        found, self._unread = look_at(self._journal)
        if not self._unread and (not self._finished or self._finished.keys() - {segment.path for segment in found}):
            self._forget_removed(found)
        self.report.behind_bytes = self.behind_bytes()
        try:
            for batch in ahead(self._batches(found)):
                self._deliver(batch, unsure=self._suspicious or batch.file not in self._sure)
                dealt += len(batch.lines)
        except BaseException:
            self._finished.clear()  # a file that is read to its end may not be shipped to its end
            raise
        if self._unread:
            raise JournalUnread(self._unread)
        self.report.behind_bytes = 0
        self.report.problem = None
        self._tell("up to date")
        return dealt

    def wait_for(self, problem: str) -> None:
        """Report why nothing is shipped now; the next look that ends well takes it back."""
        self.report.problem = problem
        self._tell("waiting")

    def refill(self, since: float) -> int:
        """Send again what the streams lack of the journal since that moment. Returns how many lines were created."""
        before = self.report.created
        for batch in batches(self._journal, self._namespace):
            if self._stop.is_set():
                raise Stopped
            lines = tuple(line for line in batch.lines if line.at >= since and not line.fault)
            self._deliver(dataclasses.replace(batch, lines=lines), unsure=True, moves=False)
        return self.report.created - before

    def behind_bytes(self) -> int:
        """What the journal holds beyond the checkpoint, a last torn line included."""
        behind = 0
        for segment in segment_files(self._journal):
            if self._finished.get(segment.path) != segment:
                with contextlib.suppress(OSError), segment.path.open("rb") as file:
                    first = first_event_id(file)
                    behind += max(0, segment.size_bytes - self._checkpoints.of(first)) if first else 0
        return behind

    def _forget_removed(self, found: Sequence[SegmentFile]) -> None:
        """Let go of the places in files that retention removed; unless one can't be read, which may be any of them.

        One that is only missed, because it is renamed at this moment, is in doubt when it is back.
        """
        present: set[str] = set()
        for segment in found:
            try:
                with segment.path.open("rb") as file:
                    present.add(first_event_id(file) or "")
            except FileNotFoundError:
                continue
            except OSError:
                return
        self._checkpoints.forget_all_but(present)
        self._sure &= present
        self._finished = {path: segment for path, segment in self._finished.items() if segment in found}

    def _batches(self, found: Sequence[SegmentFile]) -> Generator[Batch, None, None]:
        """What is not shipped yet, oldest file first, as far as each reached at the beginning of the look."""
        for segment in found:
            path = segment.path
            if self._finished.get(path) == segment:
                continue
            try:
                with path.open("rb") as file:
                    yield from self._batches_of(path, file, segment.size_bytes)
                    self._finished[path] = segment
            except FileNotFoundError:
                continue
            except OSError as error:
                self._unread[path] = error.strerror or str(error)

    def _batches_of(self, path: Path, file: BinaryIO, until: int) -> Iterator[Batch]:
        first = first_event_id(file)
        if first is None:
            return
        offset = self._checkpoints.of(first)
        if offset > until:
            _log.warning("journal file %s is shorter than what was shipped of it: comparing it anew.", path.name)
            self._sure.discard(first)
            self._checkpoints.advance(first, 0)
            offset = 0
        while batch := read_batch(path, file, first, offset, until, self._namespace):
            if self._stop.is_set():
                raise Stopped
            yield batch
            offset = batch.end

    def _deliver(self, batch: Batch, *, unsure: bool, moves: bool = True) -> None:
        """Send it, keep what was refused, and only then move the checkpoint; both are on disk at the end.

        moves: off where lines were left out of the batch, which the checkpoint must not pass.
        """
        self._sure.discard(batch.file)
        began = time.monotonic()
        done = self._delivery.deliver([line for line in batch.lines if not line.fault], unsure=unsure)
        self.report.bulk_s += time.monotonic() - began
        done.refused += [(line, line.fault) for line in batch.lines if line.fault]
        kept = self._dead_letters.keep(batch, done.refused, self._clock()) if done.refused else 0
        if moves and batch.start <= self._checkpoints.of(batch.file) < batch.end:
            self._checkpoints.advance(batch.file, batch.end)
        if not unsure or (done.created and not done.known):
            self._sure.add(batch.file)
        if kept:
            line, reason = done.refused[0]
            _log.error(
                "%d lines of %s can't be shipped and are kept in the dead-letter file: byte %d: %s",
                kept,
                batch.path.name,
                line.offset,
                reason,
            )
        self._count(batch, done.created, done.known, len(done.refused))

    def _count(self, batch: Batch, created: int, known: int, refused: int) -> None:
        report = self.report
        report.created += created
        report.known += known
        report.refused += refused
        report.batches += 1
        report.shipped_bytes += batch.end - batch.start
        report.behind_bytes = max(0, report.behind_bytes - (batch.end - batch.start))
        self._tell("shipping")

    def _note(self, problem: ElasticProblem | None) -> None:
        self.report.problem = None if problem is None else str(problem)
        if problem is not None:
            self.report.retries += 1
            self._tell("waiting")

    def _tell(self, state: State) -> None:
        self.report.state = state
        self.report.at = self._clock()
        self._on_progress(self.report)
