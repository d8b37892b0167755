"""Filters mean what they say, and a bad one is told where it is wrong and what would be right."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.store.conditions import FIELDS, Comparison, Condition, Every, Not, Some
from llmops.store.filtering import BadFilter, duration_s, moment, read_filter

NOW = 1_700_000_000.0


def read(text: str) -> Condition:
    return read_filter(text, NOW)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("latency>3s", Comparison("latency", ">", 3.0)),
        ("latency > 3", Comparison("latency", ">", 3.0)),
        ("LATENCY<=250ms", Comparison("latency", "<=", 0.25)),
        ("ttft==.5", Comparison("ttft", "=", 0.5)),
        ("queue>=1.5m", Comparison("queue", ">=", 90.0)),
        ("user=ann", Comparison("user", "=", "ann")),
        ("user='a & \\'b\\' | c'", Comparison("user", "=", "a & 'b' | c")),
        ('error!="out of memory"', Comparison("error", "!=", "out of memory")),
        ('model=""', Comparison("model", "=", "")),
        ("model~Qwen/Qwen2.5", Comparison("model", "~", "Qwen/Qwen2.5")),
        ("user=名前", Comparison("user", "=", "名前")),
        ("status>=500", Comparison("status", ">=", 500)),
        ("synthetic=yes", Comparison("synthetic", "=", True)),
        ("synthetic!=False", Comparison("synthetic", "!=", False)),
        ("since=2h", Comparison("at", ">=", NOW - 7200)),
        ("until=2023-11-14T22:13:20Z", Comparison("at", "<", NOW)),
        ("at>=2023-11-14", Comparison("at", ">=", NOW // 86400 * 86400)),
        (
            "id=a & (user=b | !status=1)",
            Every(
                (Comparison("id", "=", "a"), Some((Comparison("user", "=", "b"), Not(Comparison("status", "=", 1)))))
            ),
        ),
        (
            "id=a | id=b & id=c",
            Some((Comparison("id", "=", "a"), Every((Comparison("id", "=", "b"), Comparison("id", "=", "c"))))),
        ),
        ("id=a||id=b", Some((Comparison("id", "=", "a"), Comparison("id", "=", "b")))),
        ("id=a&&id=b", Every((Comparison("id", "=", "a"), Comparison("id", "=", "b")))),
    ],
)
def test_a_filter_means(text: str, meant: Condition) -> None:
    assert read(text) == meant


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "The filter is empty: write one as in latency>3s & outcome=failure."),
        ("lateny>3", "Filter, character 1: lateny is no name: did you mean latency?"),
        ("latency>soon", "Filter, character 9: latency is a duration, as in latency>3s or latency<250ms."),
        ("latency>-3", "Filter, character 9: latency is a duration, as in latency>3s or latency<250ms."),
        (
            "user=ann & latency",
            "Filter, character 19: after latency comes one of = != < <= > >=; it is a duration, as in "
            "latency>3s or latency<250ms.",
        ),
        ("user>ann", "Filter, character 5: after user comes one of = != ~; it is text, as in user=word or user~part."),
        ("user=", "Filter, character 6: here stands the end, where a value was expected; put odd ones into quotes."),
        ("user='ann", "Filter, character 6: this quote is never closed."),
        ("(user=ann | id=b", "Filter, character 1: this parenthesis is never closed: add `)`."),
        ("user=ann) | id=b", "Filter, character 9: here stands `)`, where `&`, `|` or the end was expected."),
        ("status=5xx", "Filter, character 8: status is a whole number, as in status>=500."),
        ("status=" + "9" * 20, "Filter, character 8: status is a whole number, as in status>=500."),
        ("outcome=failed", "Filter, character 9: outcome is one of success, failure, unknown, as in outcome=failure."),
        (
            "since>2h",
            "Filter, character 6: after since comes one of =; it is a moment: since=2026-01-31T12:00Z, or so "
            "long ago as in since=2h.",
        ),
        ("synthetic=maybe", "Filter, character 11: synthetic is yes or no, as in synthetic=no."),
        ("at>=then", "Filter, character 5: at is a moment: at>=2026-01-31T12:00Z, or so long ago as in at>=2h."),
        ("!" * 99 + "id=a", "Filter, character 42: this is nested more than 40 times: write it flatter."),
        (" & ".join(["id=a"] * 201), "Filter, character 1403: a filter has at most 200 comparisons."),
    ],
)
def test_a_bad_filter_is_told_where_and_how(text: str, complaint: str) -> None:
    with pytest.raises(BadFilter) as caught:
        read(text)
    assert str(caught.value) == complaint


@given(st.text(alphabet=st.sampled_from("latencyuser=<>!&|()'\\\"~ 3ms\x1b\ud800"), max_size=30) | st.text(max_size=30))
def test_any_text_is_a_filter_or_a_sentence(text: str) -> None:
    try:
        read(text)
    except BadFilter as error:
        assert re.fullmatch(r"(Filter, character \d+: |The filter is empty).*[.?]", str(error), re.DOTALL)


def value_for(name: str) -> st.SearchStrategy[Any]:
    if name == "outcome":
        return st.sampled_from(["success", "failure", "unknown"])
    return {
        "seconds": st.integers(0, 10**6).map(lambda number: number / 1000),
        "moment": st.integers(0, 2**31).map(float),
        "count": st.integers(0, 10**9),
        "flag": st.booleans(),
        "text": st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    }[FIELDS[name].kind]


comparisons = st.sampled_from(list(FIELDS)).flatmap(
    lambda name: st.builds(
        Comparison,
        st.just(name),
        st.sampled_from(("=", "!=") if FIELDS[name].kind in ("text", "flag") else ("=", "!=", "<", "<=", ">", ">=")),
        value_for(name),
    )
)
conditions: st.SearchStrategy[Condition] = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: Every(tuple(parts))),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: Some(tuple(parts))),
    ),
    max_leaves=8,
)


def spelled(condition: Condition) -> str:
    """The condition as a person would write it."""
    if isinstance(condition, Not):
        return f"!({spelled(condition.part)})"
    if isinstance(condition, Every | Some):
        return "(" + (" & " if isinstance(condition, Every) else "|").join(map(spelled, condition.parts)) + ")"
    kind, value = condition.field.kind, condition.value
    if kind == "text":
        shown = "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"
    elif kind == "moment":
        from llmops.events.names import timestamp

        shown = f"'{timestamp(float(value))}'"
    else:
        shown = {True: "yes", False: "no"}[bool(value)] if kind == "flag" else str(value)
    return f"{condition.name} {condition.operator} {shown}"


@given(conditions)
def test_what_is_written_is_what_is_read(condition: Condition) -> None:
    assert read(spelled(condition)) == condition


def test_durations_and_moments_are_read() -> None:
    assert [duration_s(text) for text in ("2", "2s", "20ms", "1.5h", "1d", "", "x", "1e3", "-1")] == [
        2.0,
        2.0,
        0.02,
        5400.0,
        86400.0,
        None,
        None,
        None,
        None,
    ]
    assert moment("90s", NOW) == NOW - 90
    assert moment("2023-11-14T23:13:20+01:00", NOW) == NOW
    assert moment("2023-11-14T22:13:20", NOW) == NOW
    assert moment("2023-11-14 22:13:20", NOW) == NOW
    assert [moment(text, NOW) for text in ("", "yesterday", "99999-01-01", "2023-13-01")] == [None] * 4
