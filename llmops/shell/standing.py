"""What the verbs of alerts read first: how alerts stand, and which one is meant."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TypeAlias

from llmops.alerts.errors import BadMatcher, BadOrders
from llmops.alerts.quiet import Orders
from llmops.quietfile import QuietFile
from llmops.settings import BadConfiguration, Settings
from llmops.state.files import sentence_of
from llmops.store.contract import Store
from llmops.store.errors import StoreUnreadable
from llmops.store.sqlite import open_store
from llmops.untrusted import spelled_out
from llmops.watching.standing import Standing, standings
from llmops.watching.telling import pace_of

Known: TypeAlias = tuple[list[Standing], Orders]


class NoSuchAlert(Exception):
    """Nothing that is pending or firing is called so; the sentence says what is."""


@contextlib.contextmanager
def record(settings: Settings) -> Iterator[Store]:
    """The store, read only. Raises StoreUnreadable."""
    with contextlib.closing(open_store(settings.state.store, read_only=True)) as store:
        yield store


def known(settings: Settings, store: Store) -> Known:
    """How alerts stand now, and what people said of them. Raises BadOrders."""
    orders = QuietFile(settings.state.directory).read()
    return standings(store, orders, pace_of(settings.alerts), time.time()), orders


def the_one(all_of_them: list[Standing], name: str) -> Standing:
    """The alert of this rule, or whose id begins so. Raises NoSuchAlert."""
    found = [each for each in all_of_them if each.state.finding.rule_id == name]
    found = found or [each for each in all_of_them if name and each.state.finding.fingerprint.startswith(name)]
    if len(found) != 1:
        active = ", ".join(each.state.finding.rule_id for each in all_of_them) or "none"
        raise NoSuchAlert(f"No alert {name!r} is pending or firing now. Active: {active}.")
    return found[0]


@contextlib.contextmanager
def told() -> Iterator[None]:
    """What goes wrong is one sentence, and exit status 2."""
    try:
        yield
    except (StoreUnreadable, BadOrders, BadMatcher, BadConfiguration, NoSuchAlert, OSError) as error:
        told = sentence_of(error) if isinstance(error, OSError) else str(error)
        print(f"llmops alerts: {spelled_out(told)}", file=sys.stderr)
        raise SystemExit(2) from None
