"""Objectives as documents of OpenSLO v1 (github.com/OpenSLO/OpenSLO), of which this is a subset: an SLO with an inline
indicator, Occurrences, one rolling window and one objective."""

from __future__ import annotations

import decimal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from llmops.slo.errors import BadObjectives
from llmops.slo.fields import distinct, objective_of, shown, window_of
from llmops.slo.objectives import LIMITED, Objective

Fields: TypeAlias = Mapping[str, Any]

_SOURCE = "llmops"
_ID = "llmops-id"
"""An annotation: the id of an objective whose id is no name for OpenSLO, which has neither capitals nor underscores."""
_ROLLING = "write one rolling window, as in {duration: 30d, isRolling: true}"
_INLINE = "write the indicator into the SLO, as spec.indicator"
_ONE = "write one objective, {target: 0.99}, in an SLO of its own"
_FIXES: Mapping[str, str] = {
    "spec.indicatorRef": _INLINE,
    "spec.alertPolicies": "leave it out, alerts follow the burn rates of every objective",
    "spec.timeWindow[0].calendar": _ROLLING,
    "spec.objectives[0].timeSliceTarget": "leave it out, every request counts once (Occurrences)",
    "spec.objectives[0].timeSliceWindow": "leave it out, every request counts once (Occurrences)",
    "spec.objectives[0].indicator": _INLINE,
    "spec.objectives[0].indicatorRef": _INLINE,
    "spec.objectives[0].compositeWeight": _ONE,
    "spec.indicator.spec.ratioMetric.bad": "write what is good, as ratioMetric.good",
    "spec.indicator.spec.ratioMetric.raw": "write ratioMetric.good and ratioMetric.total",
    "spec.indicator.spec.ratioMetric.rawType": "write ratioMetric.good and ratioMetric.total",
}


def objectives_of_openslo(documents: Iterable[Any]) -> tuple[Objective, ...]:
    """One of each document. Raises BadObjectives with one sentence for what the subset does not have."""
    return distinct(_objective(_Document(document, nth), nth) for nth, document in enumerate(documents, 1))


def to_openslo(objective: Objective) -> dict[str, Any]:
    """The document that `objectives_of_openslo` reads back as the same one. Raises BadObjectives for an odd window."""
    name = objective.id.lower().replace("_", "-").rstrip("-")
    metadata: dict[str, Any] = {"name": name}
    if objective.name:
        metadata["displayName"] = objective.name
    if name != objective.id:
        metadata["annotations"] = {_ID: objective.id}
    goal: dict[str, Any] = {"target": objective.target}
    if objective.measure in LIMITED:
        goal = {"op": "lte", "value": objective.threshold_s, **goal}
    return {
        "apiVersion": "openslo/v1",
        "kind": "SLO",
        "metadata": metadata,
        "spec": {
            "service": _SOURCE,
            "indicator": {"metadata": {"name": name}, "spec": _indicator(objective)},
            "timeWindow": [{"duration": window_of(objective.window_s, objective.id), "isRolling": True}],
            "budgetingMethod": "Occurrences",
            "objectives": [goal],
        },
    }


def _indicator(objective: Objective) -> dict[str, Any]:
    if objective.measure in LIMITED:
        return {"thresholdMetric": _metric(objective.measure)}
    return {
        "ratioMetric": {
            "counter": True,
            "good": _metric(objective.measure),
            "total": _metric(_all_of(objective.measure)),
        }
    }


def _metric(measure: str) -> dict[str, Any]:
    return {"metricSource": {"type": _SOURCE, "spec": {"measure": measure}}}


def _all_of(measure: str) -> str:
    """What a ratio is a part of."""
    return {"probe": "probes", "duration_for_length": "limited_requests"}.get(measure, "requests")


class _Document:
    """One document, walked by paths that the sentences name."""

    def __init__(self, document: Any, nth: int) -> None:
        self._root = document
        self.name = f"document {nth}"

    def part(self, path: str, allowed: Sequence[str]) -> Fields:
        """The mapping at this path, which has no other keys than these."""
        found = self.value(path)
        if not isinstance(found, Mapping):
            said = "is missing" if found is None else f"is {shown(found)}"
            raise BadObjectives(f"{path or 'the whole'} of {self.name} {said}: write {', '.join(allowed)} in it")
        for key in found:
            if key not in allowed and found[key] not in (None, [], {}):
                self.refuse(f"{path}.{key}".lstrip("."), f"it can have {', '.join(allowed)}")
        return found

    def value(self, path: str) -> Any:
        """What is there; None where the path leads nowhere."""
        found = self._root
        for step in _steps(path):
            if isinstance(step, int):
                found = found[step] if isinstance(found, list) and len(found) > step else None
            else:
                found = found.get(step) if isinstance(found, Mapping) else None
        return found

    def must_be(self, path: str, wanted: Any, fix: str = "") -> None:
        """The value at this path is this one."""
        found = self.value(path)
        if found != wanted or type(found) is not type(wanted):
            said = "is missing" if found is None else f"is {shown(found)}"
            raise BadObjectives(f"{path} of {self.name} {said}: {fix or f'write {wanted}'}")

    def only_one(self, path: str, fix: str) -> None:
        """The list at this path has one item."""
        found = self.value(path)
        if not isinstance(found, list) or len(found) != 1:
            said = f"has {len(found)} items" if isinstance(found, list) else "is no list"
            raise BadObjectives(f"{path} of {self.name} {said}: {fix}")

    def refuse(self, path: str, fix: str) -> None:
        """What is written there is OpenSLO, perhaps, but nothing that is judged here."""
        raise BadObjectives(f"{shown(path)[1:-1]} of {self.name} is not supported: {_FIXES.get(path, fix)}")


def _steps(path: str) -> Iterator[str | int]:
    for step in path.split(".") if path else ():
        key, _, index = step.partition("[")
        yield key
        if index:
            yield int(index.rstrip("]"))


def _objective(document: _Document, nth: int) -> Objective:
    document.part("", ("apiVersion", "kind", "metadata", "spec"))
    document.must_be("apiVersion", "openslo/v1")
    document.must_be("kind", "SLO")
    known = _id_of(document)
    spec = ("description", "service", "indicator", "timeWindow", "budgetingMethod", "objectives")
    document.part("spec", spec)
    document.must_be("spec.budgetingMethod", "Occurrences")
    document.only_one("spec.timeWindow", _ROLLING)
    document.part("spec.timeWindow[0]", ("duration", "isRolling"))
    document.must_be("spec.timeWindow[0].isRolling", True, _ROLLING)
    document.only_one("spec.objectives", _ONE)
    fields = {
        "id": known,
        "name": document.value("metadata.displayName"),
        "window": document.value("spec.timeWindow[0].duration"),
        "target": _target_of(document),
        **_measured(document),
    }
    return objective_of({name: value for name, value in fields.items() if value is not None}, nth)


def _id_of(document: _Document) -> Any:
    document.part("metadata", ("name", "displayName", "labels", "annotations"))
    known = document.value(f"metadata.annotations.{_ID}") or document.value("metadata.name")
    if isinstance(known, str):
        document.name = shown(known)[1:-1]
    return known


def _target_of(document: _Document) -> Any:
    goal = document.part("spec.objectives[0]", ("displayName", "op", "value", "target", "targetPercent"))
    percent = goal.get("targetPercent")
    if percent is None:
        return goal.get("target")
    if goal.get("target") is not None:
        document.refuse("spec.objectives[0].targetPercent", "beside a target, write one of the two")
    if isinstance(percent, bool) or not isinstance(percent, int | float) or not 0.0 < percent < 100.0:
        raise BadObjectives(
            f"spec.objectives[0].targetPercent of {document.name} is {shown(percent)}: write the share of good "
            "requests as a number between 0 and 100, as in 99.9"
        )
    return float(decimal.Decimal(repr(percent)) / 100)


def _measured(document: _Document) -> dict[str, Any]:
    """Measure and threshold."""
    document.part("spec.indicator", ("metadata", "spec"))
    found = document.part("spec.indicator.spec", ("thresholdMetric", "ratioMetric"))
    if ("thresholdMetric" in found) == ("ratioMetric" in found):
        raise BadObjectives(
            f"spec.indicator.spec of {document.name}: write either thresholdMetric or ratioMetric in it"
        )
    if "thresholdMetric" in found:
        document.must_be("spec.objectives[0].op", "lte", "write lte, a request at the threshold is good")
        measure = _source(document, "spec.indicator.spec.thresholdMetric")
        if measure not in LIMITED:
            document.refuse(
                "spec.indicator.spec.thresholdMetric",
                f"beside the measure {shown(measure)}, write {' or '.join(LIMITED)}",
            )
        return {"measure": measure, "threshold_s": document.value("spec.objectives[0].value")}
    return {"measure": _ratio(document, "spec.indicator.spec.ratioMetric")}


def _ratio(document: _Document, path: str) -> Any:
    document.part(path, ("counter", "good", "total"))
    measure = _source(document, f"{path}.good")
    if measure in LIMITED:
        document.refuse(
            path, f"beside the measure {measure}, write a thresholdMetric, and op: lte and value in objectives"
        )
    total = _source(document, f"{path}.total")
    if total != _all_of(measure):
        fix = f"write {_all_of(measure)}, which {shown(measure)} is a part of"
        raise BadObjectives(f"{path}.total of {document.name} has the measure {shown(total)}: {fix}")
    return measure


def _source(document: _Document, path: str) -> Any:
    """The measure of a metric."""
    document.part(path, ("metricSource",))
    document.part(f"{path}.metricSource", ("type", "spec"))
    document.must_be(f"{path}.metricSource.type", _SOURCE)
    document.part(f"{path}.metricSource.spec", ("measure",))
    return document.value(f"{path}.metricSource.spec.measure")
