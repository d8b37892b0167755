"""Silences and acknowledgements."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from llmops.alerts.errors import BadMatcher, BadOrders
from llmops.alerts.quiet import KEPT_S, Acknowledgement, Orders, Silence, matcher_of
from tests.alerts.test_telling import found

NOW = 1_700_000_000.0


def silence(*matchers: str, name: str = "s", starts: float = NOW, ends: float = NOW + 60) -> Silence:
    return Silence(
        id=name, matchers=tuple(map(matcher_of, matchers)), starts=starts, ends=ends, author="ann", comment="why"
    )


@pytest.mark.parametrize(
    ("text", "rule_id", "matches"),
    [
        ("rule=vram", "vram", True),
        ("rule=vram", "vram2", False),
        ("rule = slo.*", "slo.latency.page", True),
        ("slo=latency", "slo.latency.page", True),
        ("slo=latency", "vram", False),
        ("severity=ticket", "vram", True),
        ("group=gpu", "vram", True),
        ("rule=VRAM", "vram", False),
    ],
)
def test_a_matcher_looks_at_one_thing(text: str, rule_id: str, matches: bool) -> None:
    assert matcher_of(text).matches(found(rule_id)) is matches


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("vram", "'vram' is no matcher: write field=pattern, as in rule=vram or rule=slo.latency.*."),
        ("rule=", "'rule=' is no matcher: write field=pattern, as in rule=vram or rule=slo.latency.*."),
        ("colour=red", "'colour' is nothing that alerts have: use rule, severity, group or slo."),
    ],
)
def test_a_matcher_that_matches_nothing_is_refused_in_a_sentence(text: str, says: str) -> None:
    with pytest.raises(BadMatcher) as refused:
        matcher_of(text)
    assert str(refused.value) == says


def test_all_matchers_of_a_silence_must_match_and_the_longest_silence_counts() -> None:
    both = silence("rule=slo.*", "severity=page")
    longer = silence("group=slo", name="t", ends=NOW + 90)
    orders = Orders((both, longer))
    assert both.matches(found("slo.latency.page"))
    assert not both.matches(found("slo.latency.ticket"))
    assert orders.silence_of(found("slo.latency.page"), NOW) == longer
    assert orders.silence_of(found("slo.latency.page"), NOW - 1) is None
    assert orders.silence_of(found("slo.latency.page"), NOW + 90) is None


def test_a_silence_that_overlaps_one_of_the_same_matchers_makes_it_longer() -> None:
    orders, kept, is_longer = Orders().with_silence(silence("rule=vram", "group=gpu"))
    assert (kept.id, is_longer) == ("s", False)
    orders, kept, is_longer = orders.with_silence(
        silence("group=gpu", "rule=vram", name="t", starts=NOW + 30, ends=NOW + 300)
    )
    assert (kept.id, kept.starts, kept.ends, is_longer, len(orders.silences)) == ("s", NOW, NOW + 300, True, 1)
    orders, kept, is_longer = orders.with_silence(silence("rule=vram", name="u"))
    assert (kept.id, is_longer, len(orders.silences)) == ("u", False, 2)
    orders, kept, is_longer = orders.with_silence(silence("rule=vram", name="v", starts=NOW + 600, ends=NOW + 660))
    assert (kept.id, is_longer, len(orders.silences)) == ("v", False, 3)


def test_a_silence_that_is_ended_ends_now_and_one_to_come_is_gone() -> None:
    orders = Orders((silence("rule=vram"), silence("rule=vram", name="later", starts=NOW + 600, ends=NOW + 700)))
    assert [(each.id, each.ends) for each in orders.ended("s", NOW + 10).silences] == [
        ("s", NOW + 10),
        ("later", NOW + 700),
    ]
    assert [each.id for each in orders.ended("later", NOW).silences] == ["s"]


def test_what_says_nothing_any_more_is_let_go() -> None:
    taken = Acknowledgement(fingerprint="f", started=1.0, at=NOW, author="ann", comment="")
    orders = Orders((silence("rule=vram"),)).with_acknowledgement(taken)
    assert orders.without_old(NOW, ["f"]) == orders
    assert orders.without_old(NOW + 60 + KEPT_S, []) == Orders()


def test_orders_go_through_json_and_back() -> None:
    taken = Acknowledgement(fingerprint="f", started=1.0, at=NOW, author="ann", comment="")
    orders = Orders((silence("rule=vram", "severity=ticket"),), (taken,))
    assert Orders.from_json(json.loads(json.dumps(orders.to_json()))) == orders


@pytest.mark.parametrize(
    "broken",
    [
        None,
        [],
        {},
        {"silences": [{}], "acknowledgements": []},
        {"silences": [silence("rule=a").__class__.__name__], "acknowledgements": []},
        {
            "silences": [{**Orders((silence("rule=a"),)).to_json()["silences"][0], "matchers": []}],
            "acknowledgements": [],
        },
        {
            "silences": [{**Orders((silence("rule=a"),)).to_json()["silences"][0], "matchers": ["x"]}],
            "acknowledgements": [],
        },
        {
            "silences": [{**Orders((silence("rule=a"),)).to_json()["silences"][0], "ends": math.inf}],
            "acknowledgements": [],
        },
    ],
)
def test_another_kind_of_file_is_refused(broken: Any) -> None:
    with pytest.raises(BadOrders, match="it is not what llmops writes"):
        Orders.from_json(broken)
