"""Delivery never blocks the one who tells."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from llmops.alerts import say
from llmops.notifiers import Delivered, Delivery, DeliveryFailed, Notification
from tests.notifiers.notices import item, notification


class Memory:
    """A channel that remembers; waits for its gate, and fails when it is told to."""

    def __init__(self, name: str = "memory", failure: Exception | None = None) -> None:
        self.name = name
        self.heard: list[Notification] = []
        self.gate = threading.Event()
        self.gate.set()
        self._failure = failure

    def deliver(self, notification: Notification) -> None:
        self.gate.wait(10)
        if self._failure:
            raise self._failure
        self.heard.append(notification)


def test_every_channel_hears_every_notice_in_order() -> None:
    one, two = Memory(), Memory()
    delivery = Delivery([one, two])
    told = [notification(), notification(item("resolved"))]
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
        delivery.tell(notification())
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
        delivery.tell(notification())
    assert delivery.failed >= 2
    assert "too many notifications wait" in caplog.text
    assert notification().text in caplog.text
    slow.gate.set()
    delivery.close()


@pytest.mark.parametrize("failure", [DeliveryFailed("it is full", is_final=True), RuntimeError("a bug")])
def test_a_failure_is_logged_with_the_alert_and_the_next_notice_still_comes(
    caplog: pytest.LogCaptureFixture, failure: Exception
) -> None:
    broken, whole = Memory("broken", failure), Memory()
    delivery = Delivery([broken, whole])
    delivery.tell(notification())
    delivery.tell(notification(item("resolved")))
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
    delivery.tell(notification())
    assert not delivery.close(0.2)
    assert "slow is still busy" in caplog.text
    slow.gate.set()


class Moody(Memory):
    """Refuses the first few times."""

    def __init__(self, refusals: int, **how: bool) -> None:
        super().__init__("moody")
        self.tries = 0
        self._refusals, self._how = refusals, how

    def deliver(self, notification: Notification) -> None:
        self.tries += 1
        if self.tries <= self._refusals:
            raise DeliveryFailed("busy", **self._how)
        super().deliver(notification)


def delivered(moody: Moody, pauses_s: tuple[float, ...] = (0.0, 0.0)) -> list[Delivered]:
    reports: list[Delivered] = []
    delivery = Delivery([moody], reports.append, pauses_s=pauses_s)
    delivery.tell(notification())
    deadline = time.monotonic() + 5
    while not delivery.is_idle and time.monotonic() < deadline:
        time.sleep(0.005)
    assert delivery.close()
    return reports


def test_what_fails_is_tried_again_and_its_end_is_reported() -> None:
    moody = Moody(2)
    *failures, report = delivered(moody)
    assert [(each.attempts, each.why, each.is_given_up) for each in failures] == [
        (1, "busy", False),
        (2, "busy", False),
    ]
    assert (report.channel, report.attempts, report.why, moody.heard) == ("moody", 3, None, [notification()])


def test_after_the_last_pause_it_is_reported_and_tried_again_less_often(caplog: pytest.LogCaptureFixture) -> None:
    *_, report = delivered(Moody(9))
    assert (report.attempts, report.is_given_up) == (3, True)
    assert report.why == "busy; tried 3 times, and again every 300 s"
    assert notification().text in caplog.text


def test_a_refusal_that_is_final_is_tried_again_only_after_the_long_pause() -> None:
    moody = Moody(9, is_final=True)
    (report,) = delivered(moody)
    assert (moody.tries, report.why) == (1, "busy; tried 1 times, and again every 300 s")


def test_what_is_between_two_tries_when_it_closes_is_left_for_the_next_start() -> None:
    reports: list[Delivered] = []
    moody = Moody(9)
    delivery = Delivery([moody], reports.append, pauses_s=(60.0,))
    delivery.tell(notification())
    while not moody.tries:
        time.sleep(0.005)
    assert delivery.close(2.0)
    assert ([report.is_given_up for report in reports], delivery.failed) == ([False], 1)


def test_a_notification_may_be_for_some_channels_only() -> None:
    one, two = Memory("one"), Memory("two")
    delivery = Delivery([one, two])
    assert delivery.channels == ["one", "two"]
    delivery.tell(notification(), {"two"})
    assert delivery.close()
    assert (one.heard, two.heard) == ([], [notification()])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_channel_whose_thread_has_ended_is_known_and_the_others_go_on() -> None:
    class _Deadly(Memory):
        def deliver(self, notification: Notification) -> None:
            raise SystemExit

    good = Memory("good")
    delivery = Delivery([_Deadly("deadly"), good])
    assert delivery.ended == []
    delivery.tell(notification())
    deadline = time.monotonic() + 5
    while not (delivery.ended and good.heard):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert delivery.ended == ["deadly"]
    delivery.close()
    assert delivery.ended == []


def test_a_channel_that_was_out_gets_everything_once_it_takes_something() -> None:
    """One refusal is final, so that the next try of it would be in five minutes."""
    moody = Moody(1, is_final=True)
    delivery = Delivery([moody])
    first, second = notification(), notification(item(name=say("vram"), rule_id="vram"))
    delivery.tell(first)
    _wait(lambda: bool(delivery.failing))
    assert delivery.failing == {"moody": "busy"}
    delivery.tell(second)
    _wait(lambda: len(moody.heard) == 2)
    assert moody.heard == [second, first]
    assert delivery.failing == {}
    delivery.close()


def test_a_resolution_never_overtakes_the_alert_that_the_channel_has_not_taken() -> None:
    moody = Moody(1, is_final=True)
    delivery = Delivery([moody])
    firing, resolved = notification(), notification(item("resolved"))
    delivery.tell(firing)
    _wait(lambda: bool(delivery.failing))
    delivery.tell(resolved)
    assert not delivery.withdraw({firing.id, "unknown"}, "moody")
    assert delivery.withdraw({firing.id, resolved.id}, "moody")
    assert delivery.close()
    assert moody.heard == []


def _wait(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)
