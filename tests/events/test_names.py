from __future__ import annotations

import json
import math
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.events import AlertEvent, BenchmarkEvent, Event, RequestEvent, SampleEvent
from llmops.events.documents import EVENT_TYPES
from llmops.events.names import fields_of, name_of, seconds_of, timestamp, to_fields

REQUEST = RequestEvent(at=1.0, request_id="r")
SAMPLE = SampleEvent(at=1.0, device_id="GPU-1", device_name="card")
ALERT = AlertEvent(at=1.0, action="firing", rule_id="r", rule_name="rule")
BENCHMARK = BenchmarkEvent(at=1.0, benchmark_id="b")
EVENTS: tuple[Event, ...] = (REQUEST, SAMPLE, ALERT, BENCHMARK)

# 1970 to 9999: what RFC 3339 can say
MOMENTS = st.floats(0.0, 253402300799.0)


def test_every_kind_of_event_is_listed() -> None:
    assert set(get_args(Event)) == set(EVENT_TYPES) == {type(event) for event in EVENTS}


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_no_two_attributes_share_a_field(event_type: type[Event]) -> None:
    names = [field for field, _ in fields_of(event_type).values()]
    assert len(set(names)) == len(names)


def test_one_field_has_one_type_in_every_document() -> None:
    kinds: dict[str, set[str]] = {}
    for event_type in EVENT_TYPES:
        for field, kind in fields_of(event_type).values():
            kinds.setdefault(field, set()).add(kind)
    assert {field: seen for field, seen in kinds.items() if len(seen) > 1} == {}


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_no_field_is_also_the_parent_of_another(event_type: type[Event]) -> None:
    names = [field for field, _ in fields_of(event_type).values()]
    assert [(a, b) for a in names for b in names if b.startswith(a + ".")] == []


def test_a_reader_finds_the_field_of_an_attribute() -> None:
    assert name_of(RequestEvent, "input_tokens") == "gen_ai.usage.input_tokens"
    with pytest.raises(KeyError):
        name_of(RequestEvent, "at")


@pytest.mark.parametrize("event", EVENTS)
def test_what_is_absent_is_not_written(event: Event) -> None:
    assert None not in to_fields(event).values()
    assert [] not in to_fields(event).values()


def test_values_are_written_as_their_types_are() -> None:
    fields = to_fields(
        RequestEvent(
            at=0.0,
            request_id="r",
            start=0.5,
            end=1700000000.0,
            duration_s=3,
            status_code=200,
            finish_reasons=("stop",),
            stream=True,
            ttft_s=math.nan,
            tpot_s=math.inf,
        )
    )
    assert fields["event.start"] == "1970-01-01T00:00:00.500Z"
    assert fields["event.end"] == "2023-11-14T22:13:20.000Z"
    assert json.dumps(fields["gen_ai.server.request.duration"]) == "3.0"
    assert fields["gen_ai.response.finish_reasons"] == ["stop"]
    assert fields["gen_ai.request.stream"] is True
    assert "gen_ai.server.time_to_first_token" not in fields
    assert "gen_ai.server.time_per_output_token" not in fields


@given(MOMENTS)
def test_a_timestamp_is_read_back_to_the_millisecond(at: float) -> None:
    text = timestamp(at)
    assert len(text) == 24 and text.endswith("Z")
    assert -0.0001 < at - seconds_of(text) < 0.0011  # a float of the year 9999 is that coarse


def test_what_is_no_timestamp_is_an_error() -> None:
    with pytest.raises(ValueError, match="Invalid"):
        seconds_of("yesterday")


@given(st.floats(), st.integers(0, 2**40), st.text(max_size=20))
def test_any_number_and_text_becomes_json(number: float, count: int, text: str) -> None:
    event = SampleEvent(at=0.0, device_id=text, device_name=text, power_w=number, memory_used_bytes=count)
    fields: dict[str, Any] = json.loads(json.dumps(to_fields(event), allow_nan=False))
    assert fields["hw.gpu.memory.usage"] == count
    assert fields.get("hw.power") == (number if math.isfinite(number) else None)
