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


def follow(shipper: Shipper, prepared: Callable[[], None], stop: threading.Event, poll_s: float) -> None:
    """Look again and again. A server that is away, or a disk that is full, is waited for."""
    ready, said = False, ""
    while not stop.is_set():
        try:
            if not ready:
                prepared()
                ready = True
            shipper.look()
            said = ""
        except (ElasticProblem, OSError) as trouble:
            if isinstance(trouble, ElasticProblem) and not trouble.passing:
                raise
            if (why := in_words(trouble)) != said:
                _log.warning("ship waits: %s", why)
            said = why
            shipper.wait_for(why)
        stop.wait(poll_s)


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
