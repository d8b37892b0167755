"""Objectives as TOML: read, written, and told what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.slo import BadObjectives, Objective, objectives_of_toml, to_toml
from tests.slo.written import some_objectives

GOOD = {
    "id": '"latency"',
    "measure": '"duration"',
    "threshold_s": "3.0",
    "target": "0.99",
    "window": '"30d"',
}


def text_of(**changes: str | None) -> str:
    fields = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return "\n".join(["[[objective]]", *(f"{name} = {value}" for name, value in fields.items())])


@given(some_objectives)
def test_what_was_written_is_read_as_the_same(objectives: tuple[Objective, ...]) -> None:
    assert objectives_of_toml(to_toml(objectives)) == objectives


def test_an_objective_is_a_table_of_its_own() -> None:
    (found,) = objectives_of_toml(text_of(name='"Fast \\"enough\\""'))
    assert found == Objective(
        id="latency", measure="duration", threshold_s=3.0, target=0.99, window_s=30 * 86400.0, name='Fast "enough"'
    )
    assert to_toml([found]).splitlines()[:3] == ["[[objective]]", 'id = "latency"', 'measure = "duration"']


@pytest.mark.parametrize(
    ("written", "seconds"), [("4320m", 3 * 86400.0), ("72h", 3 * 86400.0), ("7d", 604800.0), ("4w", 4 * 604800.0)]
)
def test_windows_are_written_in_minutes_hours_days_or_weeks(written: str, seconds: float) -> None:
    assert objectives_of_toml(text_of(window=f'"{written}"'))[0].window_s == seconds


SHARE = "write the share of good requests as a number between 0 and 1, as in"
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"target": "100"}, f"the target of latency is 100: {SHARE} 0.99; 1 would leave no budget"),
    ({"target": "1"}, f"the target of latency is 1: {SHARE} 0.99; 1 would leave no budget"),
    ({"target": "99.9"}, f"the target of latency is 99.9: {SHARE} 0.999"),
    ({"target": "0"}, f"the target of latency is 0: {SHARE} 0.99"),
    ({"target": "nan"}, f"the target of latency is nan: {SHARE} 0.99"),
    ({"target": "true"}, f"the target of latency is True: {SHARE} 0.99"),
    ({"target": '"99 %"'}, f"the target of latency is '99 %': {SHARE} 0.99"),
    ({"target": "1" + "0" * 400}, f"the target of latency is 1{'0' * 36}...: {SHARE} 0.99"),
    ({"target": None}, "objective latency has no target: write the share of good requests, as in 0.99"),
    ({"id": None}, "objective number 1 has no id: write one of letters, digits, - and _"),
    (
        {"id": '"a.b"'},
        "the id of objective number 1 is 'a.b': write at most 63 letters, digits, - and _, not beginning with a sign",
    ),
    (
        {"id": "7"},
        "the id of objective number 1 is 7: write at most 63 letters, digits, - and _, not beginning with a sign",
    ),
    (
        {"measure": None},
        "objective latency has no measure: write one of success, duration, ttft, duration_for_length, probe",
    ),
    (
        {"measure": '"speed"'},
        "the measure of latency is 'speed': write one of success, duration, ttft, duration_for_length, probe",
    ),
    (
        {"threshold_s": None},
        "objective latency has no threshold_s: duration needs one, the seconds above which a request is bad, as in 3.0",
    ),
    ({"threshold_s": "0"}, "the threshold_s of latency is 0: write seconds above 0, as in 3.0"),
    ({"threshold_s": '"3s"'}, "the threshold_s of latency is '3s': write seconds above 0, as in 3.0"),
    (
        {"measure": '"success"'},
        "objective latency has a threshold_s, and its measure success knows none: leave it out, or measure duration or "
        "ttft",
    ),
    ({"window": None}, "objective latency has no window: write how far back it counts, as in 30d"),
    ({"window": "30"}, "the window of latency is 30: write a whole number and m, h, d or w, as in 30d"),
    ({"window": '"1M"'}, "the window of latency is '1M': write a whole number and m, h, d or w, as in 30d"),
    (
        {"window": '"1d"'},
        "the window of latency is 1d: write at least 3d, because its alerts look back so far",
    ),
    ({"name": '"a\\u001bb"'}, r"the name of latency is 'a\x1bb': write one line of text"),
    ({"name": "7"}, "the name of latency is 7: write one line of text"),
    ({"treshold_s": "3"}, "objective latency has the field 'treshold_s', which is none: did you mean threshold_s?"),
    (
        {"zzz": "3"},
        "objective latency has the field 'zzz', which is none: it can have id, measure, threshold_s, target, window, "
        "name",
    ),
]


@pytest.mark.parametrize(("changes", "sentence"), WRONG)
def test_what_is_wrong_is_one_sentence_with_the_objective_the_field_and_the_fix(
    changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BadObjectives) as caught:
        objectives_of_toml(text_of(**changes))
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "there is no objective: write at least one, or leave objectives.file empty"),
        ("id = ", "it is not TOML: Invalid value (at end of document)"),
        ("[objective]\nid = 'a'", "objective is no list of tables: write [[objective]], with two brackets, above each"),
        ("objective = [1]", "objective is no list of tables: write [[objective]], with two brackets, above each"),
        ("[[objectives]]\nid = 'a'", "'objectives' is no part of it: did you mean objective?"),
        (f"{text_of()}\n{text_of()}", "two objectives have the id latency: give one of them another"),
    ],
)
def test_a_text_without_objectives_says_so(text: str, sentence: str) -> None:
    with pytest.raises(BadObjectives) as caught:
        objectives_of_toml(text)
    assert str(caught.value) == sentence


@given(st.text(max_size=200) | st.text("[]={}\"'.\n#objectivdsw0_ ", max_size=60))
def test_no_text_does_worse_than_a_sentence(text: str) -> None:
    with pytest.raises(BadObjectives, match=r".") as caught:
        objectives_of_toml(text)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("window_s", [90.0, 0.5, 30.0])
def test_a_window_that_cannot_be_written_says_so(window_s: float) -> None:
    with pytest.raises(BadObjectives, match=f"the window of a is {window_s:g} s, and only whole minutes"):
        to_toml([Objective(id="a", measure="success", target=0.9, window_s=window_s)])
