"""Delivers lines until each has its answer: waits while the server can't, and asks before it sends anything twice."""

from __future__ import annotations

import dataclasses
import logging
import random
import threading
from collections.abc import Callable, Sequence

from elasticsearch import Elasticsearch

from llmops.elastic.bulk import Outcome, known, send
from llmops.elastic.errors import ElasticProblem
from llmops.elastic.journal import Line

_FIRST_WAIT_S = 0.5
_log = logging.getLogger(__name__)


class Stopped(Exception):
    """It was told to stop while it waited. Nothing is lost: the checkpoint stands where it stood."""


@dataclasses.dataclass(slots=True)
class Delivered:
    """What became of the lines: created now, known to the server before, refused with a reason."""

    created: int = 0
    known: int = 0
    refused: list[tuple[Line, str]] = dataclasses.field(default_factory=list)


class Delivery:
    """The patience of a shipper. `patience`: tries before a passing problem is raised; None: for ever.

    Waits half a second, then twice as long each time up to `longest_wait_s`, less up to half of it by chance.
    """

    def __init__(
        self,
        client: Elasticsearch,
        *,
        stop: threading.Event,
        patience: int | None,
        longest_wait_s: float,
        rng: random.Random,
        on_trouble: Callable[[ElasticProblem | None], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._stop = stop
        self._patience = patience
        self._longest_wait_s = longest_wait_s
        self._rng = rng
        self._on_trouble = on_trouble

    def deliver(self, lines: Sequence[Line], *, unsure: bool) -> Delivered:
        """Each line once. unsure: some may have arrived before. Raises ElasticProblem or Stopped."""
        done = Delivered()
        waiting, doubtful = list(lines), [line for line in lines if unsure or line.repeatable]
        tries = 0
        while waiting:
            try:
                waiting = self._without_known(waiting, doubtful, done)
                doubtful = waiting
                waiting, reason = self._send(waiting, done)
            except ElasticProblem as problem:
                trouble = problem
            else:
                if not waiting:
                    break
                trouble = ElasticProblem(
                    "elastic_busy", f"The server can't take all documents now: {reason}.", passing=True
                )
            doubtful = waiting
            self._wait(trouble, tries)
            tries += 1
        if tries:
            _log.warning("Elasticsearch takes events again.")
            self._on_trouble(None)
        return done

    def _without_known(self, waiting: list[Line], doubtful: Sequence[Line], done: Delivered) -> list[Line]:
        have = known(self._client, doubtful) if doubtful else set()
        left = [line for line in waiting if line.event_id not in have]
        done.known += len(waiting) - len(left)
        return left

    def _send(self, waiting: list[Line], done: Delivered) -> tuple[list[Line], str]:
        """Those that must be sent again, and why."""
        later, reason = [], ""
        answers = send(self._client, waiting) if waiting else []
        for line, answer in zip(waiting, answers, strict=True):
            if answer.outcome is Outcome.CREATED:
                done.created += 1
            elif answer.outcome is Outcome.KNOWN:
                done.known += 1
            elif answer.outcome is Outcome.REFUSED:
                done.refused.append((line, answer.reason))
            else:
                later.append(line)
                reason = answer.reason
        return later, reason

    def _wait(self, problem: ElasticProblem, tries: int) -> None:
        """Bear it for a while; what does not pass, or has been borne long enough, is raised."""
        if not problem.passing or (self._patience is not None and tries >= self._patience):
            raise problem
        if not tries:
            _log.warning("%s Events stay in the journal and are sent later.", problem)
        self._on_trouble(problem)
        wait_s = min(self._longest_wait_s, _FIRST_WAIT_S * 2 ** min(tries, 20))
        if self._stop.wait(wait_s * self._rng.uniform(0.5, 1.0)):
            raise Stopped
