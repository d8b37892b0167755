"""Objectives as OpenSLO v1, held against what its specification says of an SLO."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.slo import BadObjectives, Objective, objectives_of_openslo, to_openslo
from tests.slo.openslo_schema import SLO
from tests.slo.written import an_objective, some_objectives

LATENCY = Objective(id="latency", measure="duration", target=0.99, window_s=30 * 86400.0, threshold_s=3.0)
SUCCESS = Objective(id="availability", measure="success", target=0.999, window_s=30 * 86400.0, name="Requests succeed")


@given(some_objectives)
def test_what_was_written_is_read_as_the_same(objectives: tuple[Objective, ...]) -> None:
    documents = json.loads(json.dumps([to_openslo(each) for each in objectives]))
    assert objectives_of_openslo(documents) == objectives


@given(an_objective())
def test_what_is_written_is_openslo(objective: Objective) -> None:
    jsonschema_rs.validate(SLO, to_openslo(objective))


def test_a_threshold_is_one_as_openslo_has_it() -> None:
    spec = to_openslo(LATENCY)["spec"]
    assert spec["objectives"] == [{"op": "lte", "value": 3.0, "target": 0.99}]
    assert spec["timeWindow"] == [{"duration": "30d", "isRolling": True}]
    assert spec["indicator"]["spec"]["thresholdMetric"]["metricSource"] == {
        "type": "llmops",
        "spec": {"measure": "duration"},
    }


def test_a_ratio_is_good_ones_of_all() -> None:
    ratio = to_openslo(SUCCESS)["spec"]["indicator"]["spec"]["ratioMetric"]
    assert [ratio[part]["metricSource"]["spec"]["measure"] for part in ("good", "total")] == ["success", "requests"]


@pytest.mark.parametrize("percent", [99.9, 99.99, 5, 0.1])
def test_a_target_in_percent_is_the_share_to_the_last_digit(percent: float) -> None:
    document = changed(to_openslo(SUCCESS), "spec.objectives.0", {"targetPercent": percent})
    assert objectives_of_openslo([document])[0].target == float(f"{percent}e-2")


def test_what_is_only_for_readers_is_taken_as_it_is() -> None:
    document = changed(to_openslo(SUCCESS), "spec.description", "why")
    document["metadata"]["labels"] = {"team": ["a"]}
    document["spec"]["alertPolicies"] = []
    document["spec"]["objectives"][0]["displayName"] = "ignored"
    assert objectives_of_openslo([document]) == (SUCCESS,)


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with this value there; None takes it away."""
    made = copy.deepcopy(document)
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place: Any = made
    for step in way:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return made


ROLLING = "write one rolling window, as in {duration: 30d, isRolling: true}"
OCCURRENCES = "leave it out, every request counts once (Occurrences)"
THRESHOLD, RATIO_AT = "spec.indicator.spec.thresholdMetric", "spec.indicator.spec.ratioMetric"
WRONG: list[tuple[Objective, str, Any, str]] = [
    (SUCCESS, "apiVersion", "openslo/v2alpha", "apiVersion of document 1 is 'openslo/v2alpha': write openslo/v1"),
    (SUCCESS, "kind", "SLI", "kind of document 1 is 'SLI': write SLO"),
    (SUCCESS, "kind", None, "kind of document 1 is missing: write SLO"),
    (
        SUCCESS,
        "metadata",
        None,
        "metadata of document 1 is missing: write name, displayName, labels, annotations in it",
    ),
    (SUCCESS, "metadata.name", None, "objective number 1 has no id: write one of letters, digits, - and _"),
    (
        SUCCESS,
        "spec.indicatorRef",
        "x",
        "spec.indicatorRef of availability is not supported: write the indicator into the SLO, as spec.indicator",
    ),
    (
        SUCCESS,
        "spec.alertPolicies",
        ["x"],
        "spec.alertPolicies of availability is not supported: leave it out, alerts follow the burn rates of every "
        "objective",
    ),
    (
        SUCCESS,
        "spec.zzz",
        1,
        "spec.zzz of availability is not supported: it can have description, service, indicator, timeWindow, "
        "budgetingMethod, objectives",
    ),
    (
        SUCCESS,
        "spec.budgetingMethod",
        "Timeslices",
        "spec.budgetingMethod of availability is 'Timeslices': write Occurrences",
    ),
    (SUCCESS, "spec.timeWindow", [], f"spec.timeWindow of availability has 0 items: {ROLLING}"),
    (SUCCESS, "spec.timeWindow", "30d", f"spec.timeWindow of availability is no list: {ROLLING}"),
    (SUCCESS, "spec.timeWindow.0", 7, "spec.timeWindow[0] of availability is 7: write duration, isRolling in it"),
    (
        SUCCESS,
        "spec.timeWindow.0.calendar",
        {"startTime": "x"},
        f"spec.timeWindow[0].calendar of availability is not supported: {ROLLING}",
    ),
    (
        SUCCESS,
        "spec.timeWindow.0.isRolling",
        False,
        f"spec.timeWindow[0].isRolling of availability is False: {ROLLING}",
    ),
    (
        SUCCESS,
        "spec.timeWindow.0.duration",
        "1M",
        "the window of availability is '1M': write a whole number and m, h, d or w, as in 30d",
    ),
    (
        SUCCESS,
        "spec.objectives",
        [{"target": 0.9}, {"target": 0.99}],
        "spec.objectives of availability has 2 items: write one objective, {target: 0.99}, in an SLO of its own",
    ),
    (
        SUCCESS,
        "spec.objectives.0.compositeWeight",
        2,
        "spec.objectives[0].compositeWeight of availability is not supported: write one objective, {target: 0.99}, in "
        "an SLO of its own",
    ),
    (
        SUCCESS,
        "spec.objectives.0.timeSliceTarget",
        0.9,
        f"spec.objectives[0].timeSliceTarget of availability is not supported: {OCCURRENCES}",
    ),
    (
        SUCCESS,
        "spec.objectives.0.targetPercent",
        99.9,
        "spec.objectives[0].targetPercent of availability is not supported: beside a target, write one of the two",
    ),
    (
        SUCCESS,
        "spec.objectives.0",
        {"targetPercent": 100},
        "spec.objectives[0].targetPercent of availability is 100: write the share of good requests as a number between "
        "0 and 100, as in 99.9",
    ),
    (
        SUCCESS,
        "spec.objectives.0",
        {},
        "objective availability has no target: write the share of good requests, as in 0.99",
    ),
    (
        SUCCESS,
        "spec.indicator.spec",
        {},
        "spec.indicator.spec of availability: write either thresholdMetric or ratioMetric in it",
    ),
    (
        SUCCESS,
        f"{RATIO_AT}.bad",
        {"a": 1},
        f"{RATIO_AT}.bad of availability is not supported: write what is good, as ratioMetric.good",
    ),
    (
        SUCCESS,
        f"{RATIO_AT}.good.metricSource.type",
        "Prometheus",
        f"{RATIO_AT}.good.metricSource.type of availability is 'Prometheus': write llmops",
    ),
    (
        SUCCESS,
        f"{RATIO_AT}.good.metricSource.spec.measure",
        "duration",
        f"{RATIO_AT} of availability is not supported: beside the measure duration, write a thresholdMetric, and op: "
        "lte and value in objectives",
    ),
    (
        SUCCESS,
        f"{RATIO_AT}.total.metricSource.spec.measure",
        "probes",
        f"{RATIO_AT}.total of availability has the measure 'probes': write requests, which 'success' is a part of",
    ),
    (
        LATENCY,
        "spec.objectives.0.op",
        "lt",
        "spec.objectives[0].op of latency is 'lt': write lte, a request at the threshold is good",
    ),
    (
        LATENCY,
        f"{THRESHOLD}.metricSource.spec.measure",
        "success",
        f"{THRESHOLD} of latency is not supported: beside the measure 'success', write duration or ttft",
    ),
    (
        LATENCY,
        "spec.objectives.0.value",
        None,
        "objective latency has no threshold_s: duration needs one, the seconds above which a request is bad, as in 3.0",
    ),
]


@pytest.mark.parametrize(("objective", "path", "value", "sentence"), WRONG)
def test_what_is_outside_the_subset_is_one_sentence_with_the_field_and_what_is_supported(
    objective: Objective, path: str, value: Any, sentence: str
) -> None:
    with pytest.raises(BadObjectives) as caught:
        objectives_of_openslo([changed(to_openslo(objective), path, value)])
    assert str(caught.value) == sentence


@pytest.mark.parametrize("document", [None, 7, "x", [], {}, {"spec": []}])
def test_what_is_no_document_says_so(document: Any) -> None:
    with pytest.raises(BadObjectives, match="document 1"):
        objectives_of_openslo([document])


def test_two_of_one_id_are_told() -> None:
    with pytest.raises(BadObjectives, match="two objectives have the id latency"):
        objectives_of_openslo([to_openslo(LATENCY), to_openslo(LATENCY)])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
PATHS = ["apiVersion", "kind", "metadata.name", "metadata", "spec", "spec.indicator", "spec.indicator.spec"]
PATHS += ["spec.timeWindow", "spec.timeWindow.0.duration", "spec.objectives", "spec.objectives.0", THRESHOLD]
PATHS += ["spec.objectives.0.value", "spec.objectives.0.target", f"{THRESHOLD}.metricSource.spec.measure"]


@given(st.sampled_from(PATHS), values.filter(lambda value: value is not None))
def test_whatever_stands_in_a_document_it_is_an_objective_or_one_sentence(path: str, value: Any) -> None:
    try:
        objectives_of_openslo([changed(to_openslo(LATENCY), path, value)])
    except BadObjectives as error:
        assert len(str(error).splitlines()) == 1
