"""The proof of back-testing: replaying a record finds what watch wrote while the record grew."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from llmops.alerts.backtest import Outage, outages_of, replay
from llmops.events import AlertEvent, Document
from llmops.events.names import name_of, seconds_of
from llmops.overview.objectives import objectives_of
from llmops.settings import ObjectiveSettings
from llmops.slo import Guard, Objective
from llmops.slo.windows import History
from llmops.store import open_store
from llmops.watching.judging import Judge
from tests.alerts.test_serving import snapshot
from tests.store.events import probe, request
from tests.watch.looks import NOW, Bench

Change: TypeAlias = tuple[str, str, float, float]
"""Action, rule, when, and since when the alert lives."""
DAY_S = 86400.0
OBJECTIVES = (
    *objectives_of(ObjectiveSettings()),
    Objective(id="canary", measure="probe", target=0.99, window_s=7 * DAY_S),
)


def past(days: float, per_hour: float, rng: random.Random) -> list[Document]:
    """Requests of days with quiet nights, hours of failures, slow hours, and an afternoon without anybody."""
    documents, at = [], NOW
    while at < NOW + days * DAY_S:
        hour = (at - NOW) % DAY_S / 3600
        at += rng.expovariate(per_hour / 3600 * (0.3 if hour < 6 else 1.0)) + (4 * 3600 if 15 < hour < 15.2 else 0)
        day = int((at - NOW) // DAY_S)
        failing = 0.6 if day % 4 == 0 and 9 < hour < 10.5 else 0.004 if day % 3 == 2 else 0.0005
        slow = 0.3 if day % 5 == 2 and 12 < hour < 13 else 0.03 if day % 5 == 3 else 0.002
        documents.append(
            request(
                round(at, 3),
                outcome="failure" if rng.random() < failing else "success",
                ttft_s=rng.choice((None, 0.2, 0.3, 0.5, 4.0 if slow > 0.1 else 1.0)),
                duration_s=5.0 if rng.random() < slow else 1.0,
                synthetic=rng.random() < 0.05,
                slo_eligible=rng.random() > 0.05,
            )
        )
    for number in range(int(days * 48)):
        documents.append(probe(NOW + 1800.0 * number, completed=int(rng.random() > (0.3 if number % 40 > 35 else 0.0))))
    return sorted(documents, key=at_of)


def at_of(document: Document) -> float:
    return seconds_of(document["@timestamp"])


def live(bench: Bench, documents: list[Document], *, until: float, step_s: float, down: tuple[float, float]) -> None:
    """Watch looks every `step_s`, while the record grows; serve does not answer between the two moments of `down`."""
    coming = iter(documents)
    ahead = next(coming, None)
    bench.now = NOW
    while bench.now < until:
        arrived = []
        while ahead is not None and at_of(ahead) <= bench.now:
            arrived.append(ahead)
            ahead = next(coming, None)
        bench.write(arrived)
        if down[0] <= bench.now < down[1]:
            bench.serve_is_gone()
        else:
            bench.answer = snapshot()
        bench.watch.tick()
        bench.now += step_s
    bench.watch.close()
    bench.bus.close()
    bench.watch.catch_up()


def of(document: Document, attribute: str) -> Any:
    return document.get(name_of(AlertEvent, attribute))


def written(alerts: list[Document]) -> list[Change]:
    """Transitions of objectives, oldest first."""
    return sorted(
        (of(each, "action"), of(each, "rule_id"), at_of(each), seconds_of(of(each, "start")))
        for each in alerts
        if of(each, "slo_name") is not None and of(each, "channel") is None
    )


@pytest.mark.parametrize(
    ("days", "per_hour", "step_s", "seed"), [(4, 20.0, 900.0, 1), (1.5, 12.0, 300.0, 2), (0.5, 60.0, 60.0, 3)]
)
def test_it_finds_what_watch_wrote(tmp_path: Path, days: float, per_hour: float, step_s: float, seed: int) -> None:
    until = NOW + days * DAY_S
    bench = Bench(tmp_path / "journal", open_store(tmp_path / "store.sqlite", slow_s=3.0, late_s=2.0))
    bench.watch._judge = Judge(bench.store, OBJECTIVES, Guard())
    down = (NOW + 8.9 * 3600, NOW + 9.6 * 3600)
    live(bench, past(days, per_hour, random.Random(seed)), until=until, step_s=step_s, down=down)
    alerts = bench.store.alerts(limit=100_000)
    probes = bench.store.probed(0.0, until)
    history = History(bench.store.ended(0.0, until), OBJECTIVES, probes=probes)
    bench.store.close()

    def replayed(outages: Sequence[Outage]) -> list[Change]:
        found = replay(history, Guard(), since=NOW, until=until, step_s=step_s, outages=outages)
        return sorted((each.action, each.finding.rule_id, each.at, each.started) for each in found)

    changes = written(alerts)
    assert replayed(outages_of(alerts)) == changes
    assert replayed(()) != changes, "while serve was down the objectives were held"
    assert {"pending", "firing", "resolved"} == {action for action, *_ in changes}
    assert {"slo.availability.page", "slo.availability.ticket"} <= {rule for _, rule, *_ in changes}
