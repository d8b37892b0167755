"""`llmops elk`: make a server ready, send again what it lacks, and say whether all is there."""

from __future__ import annotations

import dataclasses
import json
import time

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from llmops.elastic.check import StreamCheck, advice, check
from llmops.elastic.checkpoints import read_checkpoints
from llmops.elastic.client import connect
from llmops.elastic.dashboards import import_all
from llmops.elastic.dead_letters import FILE as DEAD_LETTER_FILE
from llmops.elastic.delivery import Stopped
from llmops.elastic.errors import JournalUnread
from llmops.elastic.keys import ensure_keys
from llmops.elastic.setup import prepare, require_templates
from llmops.elastic.shipper import CHECKPOINT_FILE, Shipper
from llmops.settings import ElasticSettings, Settings
from llmops.shell.ship import PATIENCE_ONCE
from llmops.shell.shipping import locked, stopping, told, with_bar

_DAY_S = 86_400.0
_WIDTH = 110
"""Columns of the table, also where nobody has a terminal: names of streams are long."""


def setup(settings: Settings, *, new_key: bool) -> int:
    """Install what is missing, say each step. 0 done, 2 it can't."""
    with told("elk setup"), connect(settings.elastic) as client:
        for sentence in prepare(client, settings.elastic.keep_days):
            print(sentence)
        for sentence in ensure_keys(client, settings.state.ship, renew=new_key):
            print(sentence)
        _bring_dashboards(settings.elastic)
        return 0
    return 2


def _bring_dashboards(dials: ElasticSettings) -> None:
    """Kibana takes the same user or key as the server; without its address there is nothing to do."""
    if dials.kibana_url is None:
        print("Dashboards: elastic.kibana_url is not set, so none are brought.")
        return
    login = dials.login
    if login is None:
        print("Dashboards: Kibana wants a user; set elastic.password or elastic.api_key.")
        return
    names = import_all(dials.kibana_url, login, ca_certs=dials.ca_certs)
    print(f"Dashboards: {len(names)} brought to {dials.kibana_url}.")


def backfill(settings: Settings, since: float) -> int:
    """Send what the server lacks of the journal since that moment. 0 done, 1 something is refused, 2 it can't."""
    with told("elk backfill"), locked(settings.state.ship), stopping() as stop, with_bar() as show:
        with connect(settings.elastic, settings.state.ship) as client:
            require_templates(client)
            shipper = Shipper(
                client,
                settings.state.journal,
                settings.state.ship,
                settings.events.namespace,
                stop=stop,
                patience=PATIENCE_ONCE,
                suspicious=True,
                longest_wait_s=settings.elastic.longest_wait_s,
                on_progress=show,
            )
            ships_here = (settings.state.ship / CHECKPOINT_FILE).exists()  # else leave no place to wait for
            unread: JournalUnread | None = None
            for step in (shipper.look, lambda: shipper.refill(since))[0 if ships_here else 1 :]:
                try:
                    step()
                except JournalUnread as error:
                    unread = error
                except Stopped:
                    return 0
        print(f"{shipper.report.created} events were missing and are there now.")
        if unread is not None:
            raise unread
        if shipper.report.refused:
            print(f"Some were refused: {settings.state.ship / DEAD_LETTER_FILE} says which, and why.")
        return 1 if shipper.report.refused else 0
    return 2


def compare(settings: Settings, since: float, *, as_json: bool) -> int:
    """Count the journal against the server. 0 all there, 1 something missing, twice or overdue, 2 it can't be asked."""
    now = time.time()
    folder = settings.state.ship
    with told("elk check"), connect(settings.elastic, folder) as client:
        results, unread = check(
            client,
            settings.state.journal,
            settings.events.namespace,
            shipped=read_checkpoints(folder / CHECKPOINT_FILE),
            dead_letters=folder / DEAD_LETTER_FILE,
            kept_since={dataset: now - days * _DAY_S for dataset, days in settings.elastic.keep_days.items()},
            now=now,
            since=since,
        )
        if as_json:
            print(json.dumps([dataclasses.asdict(result) | {"ok": result.ok} for result in results], indent=2))
        else:
            Console(highlight=False, width=max(Console().width, _WIDTH)).print(_table(results))
            for result in results:
                for sentence in advice(result):
                    print(sentence)
        if unread is not None:
            raise unread
        return 0 if all(result.ok for result in results) else 1
    return 2


def _table(results: list[StreamCheck]) -> Table:
    columns = ("stream", "journal", "there", "waiting", "refused", "expired", "missing", "twice")
    table = Table(*columns, box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for each in results:
        counts = (each.journal, each.there, each.waiting, each.refused, each.expired, each.missing, each.twice)
        table.add_row(escape(each.stream), *map(str, counts))
    return table
