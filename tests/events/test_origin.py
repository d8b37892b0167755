from __future__ import annotations

import dataclasses
import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.events import Event, Origin
from llmops.events.names import timestamp, to_fields
from llmops.events.origin import HEADER_FIELDS, new_event_id
from tests.events.test_names import ALERT, EVENTS, MOMENTS, REQUEST

ORIGIN = Origin(
    service_name="llmops-serve",
    service_version="1",
    instance_id="i",
    host_name="h",
    host_id="hid",
    process_id=7,
    labels=(("team", "chat"),),
)


@pytest.mark.parametrize("event", EVENTS)
def test_the_moment_and_the_id_come_first_in_every_line(event: Event) -> None:
    document = ORIGIN.document(event)
    assert list(document)[:2] == ["@timestamp", "event.id"]
    assert json.dumps(document).startswith('{"@timestamp": "1970-01-01T00:00:01.000Z", "event.id": "')


@pytest.mark.parametrize("event", EVENTS)
def test_the_header_names_the_stream_the_process_and_the_level(event: Event) -> None:
    document = ORIGIN.document(event)
    assert document["event.dataset"] == document["data_stream.dataset"] == event.dataset
    assert document["data_stream.type"] == event.stream_type
    assert document["event.category"] == list(event.category)
    assert (document["service.name"], document["process.pid"], document["host.id"]) == ("llmops-serve", 7, "hid")
    assert document["labels.team"] == "chat"
    assert document["log.level"] == event.level().lower()
    assert document["message"] == event.message()


@pytest.mark.parametrize("event", EVENTS)
def test_the_type_of_every_field_of_the_header_is_known(event: Event) -> None:
    header = [name for name in ORIGIN.document(event) if name not in to_fields(event)]
    assert [name.replace("labels.team", "labels") for name in header] == list(HEADER_FIELDS)


def test_an_alert_may_bring_its_own_id_so_that_it_is_never_stored_twice() -> None:
    assert ORIGIN.document(dataclasses.replace(ALERT, event_id="mine"))["event.id"] == "mine"
    assert uuid.UUID(ORIGIN.document(ALERT)["event.id"]).version == 7


def test_two_events_of_one_moment_have_different_ids() -> None:
    assert len({ORIGIN.document(REQUEST)["event.id"] for _ in range(1000)}) == 1000


@given(MOMENTS)
def test_an_id_is_a_uuid_of_version_7_that_holds_its_moment(at: float) -> None:
    value = uuid.UUID(new_event_id(at))
    assert (value.version, value.variant) == (7, uuid.RFC_4122)
    assert value.int >> 80 == int(at * 1000)


@given(st.lists(st.integers(0, 2**47), min_size=2, max_size=9, unique=True))
def test_ids_sort_as_their_milliseconds_do(milliseconds: list[int]) -> None:
    ids = [new_event_id(moment / 1000) for moment in sorted(milliseconds)]
    order = [uuid.UUID(value).int >> 80 for value in ids]
    assert sorted(ids) == ids or len(set(order)) < len(order)


@given(MOMENTS)
def test_the_moment_is_written_in_utc(at: float) -> None:
    assert ORIGIN.document(dataclasses.replace(REQUEST, at=at))["@timestamp"] == timestamp(at)
