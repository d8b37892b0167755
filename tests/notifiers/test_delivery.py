"""Delivery never blocks the one who tells."""

from __future__ import annotations

import threading
import time

import pytest

from llmops.notifiers import Delivery, DeliveryFailed, Notice
from tests.notifiers.notices import notice


class Memory:
    """A channel that remembers; waits for its gate, and fails when it is told to."""

    def __init__(self, name: str = "memory", failure: Exception | None = None) -> None:
        self.name = name
        self.heard: list[Notice] = []
        self.gate = threading.Event()
        self.gate.set()
        self._failure = failure

    def deliver(self, notice: Notice) -> None:
        self.gate.wait(10)
        if self._failure:
            raise self._failure
        self.heard.append(notice)


def test_every_channel_hears_every_notice_in_order() -> None:
    one, two = Memory(), Memory()
    delivery = Delivery([one, two])
    told = [notice(), notice("resolved")]
    for each in told:
        delivery.tell(each)
    assert delivery.close()
    assert one.heard == two.heard == told


def test_a_channel_that_hangs_delays_neither_the_teller_nor_the_others() -> None:
    slow, quick = Memory("slow"), Memory("quick")
    slow.gate.clear()
    delivery = Delivery([slow, quick])
    began = time.monotonic()
    for _ in range(5):
        delivery.tell(notice())
    assert time.monotonic() - began < 0.5
    while len(quick.heard) < 5:
        assert time.monotonic() - began < 5
        time.sleep(0.01)
    assert slow.heard == []
    slow.gate.set()
    assert delivery.close()


def test_what_finds_no_place_is_lost_loudly(caplog: pytest.LogCaptureFixture) -> None:
    slow = Memory("slow")
    slow.gate.clear()
    delivery = Delivery([slow], capacity=1)
    for _ in range(4):
        delivery.tell(notice())
    assert delivery.failed >= 2
    assert "too many notices wait" in caplog.text
    assert notice().line in caplog.text
    slow.gate.set()
    delivery.close()


@pytest.mark.parametrize("failure", [DeliveryFailed("it is full"), RuntimeError("a bug")])
def test_a_failure_is_logged_with_the_alert_and_the_next_notice_still_comes(
    caplog: pytest.LogCaptureFixture, failure: Exception
) -> None:
    broken, whole = Memory("broken", failure), Memory()
    delivery = Delivery([broken, whole])
    delivery.tell(notice())
    delivery.tell(notice("resolved"))
    assert delivery.close()
    assert (delivery.failed, len(whole.heard)) == (2, 2)
    assert (
        f"broken did not take an alert: {'' if isinstance(failure, DeliveryFailed) else 'RuntimeError: '}"
        in caplog.text
    )


def test_closing_does_not_wait_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    slow = Memory("slow")
    slow.gate.clear()
    delivery = Delivery([slow])
    delivery.tell(notice())
    assert not delivery.close(0.2)
    assert "slow is still busy" in caplog.text
    slow.gate.set()
