"""From the fields that somebody wrote to an objective, whatever the form they were written in."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from llmops.documents import shown as bounded
from llmops.slo.burn import BURN_ROWS, window_name
from llmops.slo.errors import BadObjectives
from llmops.slo.objectives import LIMITED, Measure, Objective

FIELDS = ("id", "measure", "threshold_s", "target", "window", "name")
"""In the order in which they are written."""
MEASURES: tuple[Measure, ...] = get_args(Measure)
SHORTEST_S = max(row.long_s for row in BURN_ROWS)
"""Alerts look back so far: a shorter window would be alerted for requests that it no longer counts."""
_UNITS_S = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", re.ASCII)
_WINDOW = re.compile(r"([1-9][0-9]{0,8})([mhdw])", re.ASCII)
_SHOWN_CHARACTERS = 40
_COMPARED_CHARACTERS = 100


def objective_of(fields: Mapping[str, Any], nth: int) -> Objective:
    """The `nth` objective of a text, from its fields. Raises BadObjectives."""
    known = _id_of(fields, nth)
    for name in fields:
        if name not in FIELDS:
            raise BadObjectives(f"objective {known} has the field {shown(name)}, which is none{near(name, FIELDS)}")
    measure = _measure_of(fields, known)
    return Objective(
        id=known,
        measure=measure,
        threshold_s=_threshold_of(fields, known, measure),
        target=_target_of(fields, known),
        window_s=_window_of(fields, known),
        name=_name_of(fields, known),
    )


def distinct(objectives: Iterable[Objective]) -> tuple[Objective, ...]:
    """All of them: at least one, and no id twice. Raises BadObjectives."""
    found: dict[str, Objective] = {}
    for objective in objectives:
        if objective.id in found:
            raise BadObjectives(f"two objectives have the id {objective.id}: give one of them another")
        found[objective.id] = objective
    if not found:
        raise BadObjectives("there is no objective: write at least one, or leave objectives.file empty")
    return tuple(found.values())


def window_of(window_s: float, known: str) -> str:
    """`30d`, as it is written. Raises BadObjectives for what is no whole number of minutes."""
    if window_s < _UNITS_S["m"] or window_s % _UNITS_S["m"]:
        raise BadObjectives(
            f"the window of {known} is {window_s:g} s, and only whole minutes can be written: change it"
        )
    return window_name(window_s)


def shown(value: Any) -> str:
    """What was written, short and harmless: text in quotes, control characters spelled out."""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else bounded(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}..."


def near(name: str, known: Sequence[str]) -> str:
    """The end of a sentence about a name that is none of the known ones."""
    found = difflib.get_close_matches(name[:_COMPARED_CHARACTERS], known, n=1)
    return f": did you mean {found[0]}?" if found else f": it can have {', '.join(known)}"


def _id_of(fields: Mapping[str, Any], nth: int) -> str:
    value = fields.get("id")
    if value is None:
        raise BadObjectives(f"objective number {nth} has no id: write one of letters, digits, - and _")
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise BadObjectives(
            f"the id of objective number {nth} is {shown(value)}: write at most 63 letters, digits, - and _, not "
            "beginning with a sign"
        )
    return value


def _measure_of(fields: Mapping[str, Any], known: str) -> Measure:
    value = fields.get("measure")
    found = next((measure for measure in MEASURES if measure == value), None)
    if found is None:
        said = f"objective {known} has no measure" if value is None else f"the measure of {known} is {shown(value)}"
        raise BadObjectives(f"{said}: write one of {', '.join(MEASURES)}")
    return found


def _threshold_of(fields: Mapping[str, Any], known: str, measure: Measure) -> float | None:
    value = fields.get("threshold_s")
    if measure not in LIMITED:
        if value is not None:
            raise BadObjectives(
                f"objective {known} has a threshold_s, and its measure {measure} knows none: leave it out, or measure "
                f"{' or '.join(LIMITED)}"
            )
        return None
    if value is None:
        raise BadObjectives(
            f"objective {known} has no threshold_s: {measure} needs one, the seconds above which a request is bad, as "
            "in 3.0"
        )
    number = _number(value)
    if number is None or number <= 0:
        raise BadObjectives(f"the threshold_s of {known} is {shown(value)}: write seconds above 0, as in 3.0")
    return number


def _target_of(fields: Mapping[str, Any], known: str) -> float:
    value = fields.get("target")
    if value is None:
        raise BadObjectives(f"objective {known} has no target: write the share of good requests, as in 0.99")
    number = _number(value)
    if number is None or not 0.0 < number < 1.0:
        end = "; 1 would leave no budget" if number in (1.0, 100.0) else ""
        raise BadObjectives(
            f"the target of {known} is {shown(value)}: write the share of good requests as a number between 0 and 1, "
            f"as in {_meant(number)}{end}"
        )
    return number


def _meant(percent: float | None) -> str:
    """The share that a percentage stands for."""
    return f"{percent / 100:.10g}" if percent is not None and 1.0 < percent < 100.0 else "0.99"


def _window_of(fields: Mapping[str, Any], known: str) -> float:
    value = fields.get("window")
    if value is None:
        raise BadObjectives(f"objective {known} has no window: write how far back it counts, as in 30d")
    match = _WINDOW.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise BadObjectives(
            f"the window of {known} is {shown(value)}: write a whole number and m, h, d or w, as in 30d"
        )
    window_s = int(match[1]) * _UNITS_S[match[2]]
    if window_s < SHORTEST_S:
        raise BadObjectives(
            f"the window of {known} is {value}: write at least {window_name(SHORTEST_S)}, because its alerts look back "
            "so far"
        )
    return window_s


def _name_of(fields: Mapping[str, Any], known: str) -> str:
    value = fields.get("name", "")
    if not isinstance(value, str) or not value.isprintable():
        raise BadObjectives(f"the name of {known} is {shown(value)}: write one line of text")
    return value


def _number(value: Any) -> float | None:
    """A finite number; True is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
