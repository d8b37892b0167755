"""A channel that is out for a while loses no alert, and the record says what was not delivered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmops.notifiers import Delivered, Delivery, DeliveryFailed, Notification
from llmops.shell.alerts import as_object, why
from llmops.store import open_store
from llmops.watching.standing import Standing, standings
from llmops.watching.telling import KEY
from tests.alerts.test_serving import snapshot
from tests.watch.looks import Bench, Ear


class Door(Ear):
    """Takes nothing while it is shut."""

    def __init__(self) -> None:
        super().__init__()
        self.is_shut = False

    def deliver(self, notification: Notification) -> None:
        if self.is_shut:
            raise DeliveryFailed("it is shut")
        super().deliver(notification)


class Outage(Bench):
    """Its ear can be shut; what fails twice is tried again every second."""

    door: Door

    def channels(self, report: Callable[[Delivered], None]) -> Delivery:
        self.ear = self.door = self.door if hasattr(self, "door") else Door()
        self.delivery = Delivery([self.ear], report, pauses_s=(0.01,), retry_s=1.0)
        return self.delivery

    def standing(self) -> Standing:
        (one,) = standings(self.store, self.orders, self.pace, self.now)
        return one


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Outage]:
    box = Outage(tmp_path / "journal", open_store(tmp_path / "store.sqlite"))
    yield box
    box.close()


def page_while_shut(box: Outage) -> None:
    box.door.is_shut = True
    box.serve_is_gone()
    box.looks(7)
    box.settle(lambda: bool(box.delivery.failing))
    box.looks(1)


def test_a_page_is_delivered_once_its_channel_is_back_and_is_never_called_delivered_before(box: Outage) -> None:
    box.looks(1)
    page_while_shut(box)
    assert "NOT DELIVERED to ear after " in why(box.standing())
    (undelivered,) = as_object(box.standing())["undelivered"]
    assert (undelivered["channel"], undelivered["why"].split(";")[0]) == ("ear", "it is shut")
    box.door.is_shut = False
    box.settle(lambda: bool(box.ear.heard))
    box.looks(1)
    assert box.told() == ["firing serve_down"]
    assert why(box.standing()).startswith("told")
    assert "NOT DELIVERED" not in why(box.standing())


def test_a_restart_while_it_is_undelivered_delivers_it(box: Outage) -> None:
    box.looks(1)
    page_while_shut(box)
    box.restart()
    box.door.is_shut = False
    box.looks(1)
    assert box.told() == ["firing serve_down"]


def test_what_came_and_went_while_the_channel_was_out_is_not_delivered(box: Outage) -> None:
    box.looks(1)
    page_while_shut(box)
    box.answer = snapshot()
    box.looks(90)
    box.settle(lambda: box.delivery.is_idle)
    box.looks(2)
    assert list(standings(box.store, box.orders, box.pace, box.now)) == []
    box.door.is_shut = False
    assert box.told() == []
    kept = box.store.load_state(KEY)
    assert kept["on_the_way"] == []


def test_an_end_is_delivered_late_where_its_beginning_was_delivered(box: Outage) -> None:
    box.looks(1)
    box.serve_is_gone()
    box.looks(7)
    assert box.told() == ["firing serve_down"]
    box.door.is_shut = True
    box.answer = snapshot()
    box.looks(90)
    box.settle(lambda: bool(box.delivery.failing))
    box.door.is_shut = False
    box.settle(lambda: len(box.ear.heard) == 2)
    assert box.told() == ["firing serve_down", "resolved serve_down"]
