"""`llmops ship`: the journal straight to Elasticsearch, once or for as long as it runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from llmops.elastic.client import connect
from llmops.elastic.delivery import Stopped
from llmops.elastic.errors import ElasticProblem
from llmops.elastic.report import FILE, ShipReport, write_report
from llmops.elastic.setup import require_templates
from llmops.elastic.shipper import Shipper
from llmops.settings import Settings
from llmops.shell.shipping import in_words, locked_when_possible, stopping, told, with_bar

PATIENCE_ONCE = 8
"""Tries of one batch before `--once` gives up: some two minutes."""
_REPORT_EVERY_S = 1.0
_RETURNS = frozenset({"elastic_product", "elastic_certificate"})
"""What was right once is wrong on the way to the server: a proxy that lost it, a certificate that ran out."""
_LOGIN_WITHIN_S = 60.0
"""A server that starts may reject for a moment a login that it accepts later; one that was withdrawn stays rejected."""
_log = logging.getLogger(__name__)


def run(settings: Settings, *, once: bool) -> int:
    """Until SIGTERM or SIGINT, or with `once` until all is there. 0 done, 1 something was refused, 2 it can't."""
    with told("ship"), stopping() as stop:
        try:
            with locked_when_possible(settings.state.ship, stop, once=once), with_bar() as show:
                return _ship(settings, stop, show, once=once)
        except Stopped:
            return 0
    return 2


def _ship(settings: Settings, stop: threading.Event, show: Callable[[ShipReport], None], *, once: bool) -> int:
    client = connect(settings.elastic, settings.state.ship)
    shipper = Shipper(
        client,
        settings.state.journal,
        settings.state.ship,
        settings.events.namespace,
        stop=stop,
        patience=PATIENCE_ONCE if once else None,
        longest_wait_s=settings.elastic.longest_wait_s,
        on_progress=_tell(settings, show),
    )
    try:
        if once:
            require_templates(client)
            shipper.look()
        else:
            follow(shipper, lambda: require_templates(client), stop, settings.elastic.poll_s)
            shipper.report.problem = None  # asked to end: what it waited for is nobody's trouble any more
        return 1 if shipper.report.refused else 0
    except Stopped:
        shipper.report.problem = None
        return 0
    except (ElasticProblem, OSError) as problem:
        shipper.report.problem = in_words(problem)
        raise
    finally:
        _end(settings, shipper)
        client.close()


def follow(
    shipper: Shipper,
    prepared: Callable[[], None],
    stop: threading.Event,
    poll_s: float,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Look again and again. A server that is away, or a disk that is full, is waited for."""
    ready, said, patience = False, "", _Patience(clock)
    while not stop.is_set():
        try:
            if not ready:
                prepared()
                ready = True
            shipper.look()
            said, patience = "", _Patience(clock)
        except (ElasticProblem, OSError) as trouble:
            if isinstance(trouble, ElasticProblem) and not patience.covers(trouble, ready=ready):
                raise
            if (why := in_words(trouble)) != said:
                _log.warning("ship waits: %s", why)
            said = why
            shipper.wait_for(why)
        stop.wait(poll_s)


class _Patience:
    """What is waited for since the last look that ended well."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rejected_at: float | None = None

    def covers(self, problem: ElasticProblem, *, ready: bool) -> bool:
        """ready: the server was there and set up once, so that the settings are right."""
        if problem.passing or not ready:
            return problem.passing
        if problem.slug != "elastic_login":
            return problem.slug in _RETURNS
        if self._rejected_at is None:
            self._rejected_at = self._clock()
        return self._clock() - self._rejected_at < _LOGIN_WITHIN_S


def _tell(settings: Settings, show: Callable[[ShipReport], None]) -> Callable[[ShipReport], None]:
    """What happens goes to the bar at once, and to the file at most once a second or when the state changes."""
    told_at, told_state = -_REPORT_EVERY_S, ""

    def tell(report: ShipReport) -> None:
        nonlocal told_at, told_state
        show(report)
        now = time.monotonic()
        if now - told_at >= _REPORT_EVERY_S or report.state != told_state:
            told_at, told_state = now, report.state
            write_report(settings.state.ship / FILE, report)

    return tell


def _end(settings: Settings, shipper: Shipper) -> None:
    shipper.report.state = "stopped"
    write_report(settings.state.ship / FILE, shipper.report)
    _log.info("ship %s", shipper.report.sentence())
