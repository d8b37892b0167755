from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from llmops.events import Event, SampleEvent
from llmops.gpu.loop import SamplingLoop
from llmops.gpu.pretend import PretendSampler


class _Counted:
    """Counts, and fails on the ticks it is told to."""

    def __init__(self, failing: Callable[[int], bool] = lambda _: False, takes_s: float = 0.0) -> None:
        self.ticks = 0
        self.closed = threading.Event()
        self._failing = failing
        self._takes_s = takes_s

    def sample(self, now: float) -> Sequence[SampleEvent]:
        self.ticks += 1
        time.sleep(self._takes_s)
        if self._failing(self.ticks):
            raise RuntimeError("no answer")
        return PretendSampler().sample(now)

    def close(self) -> None:
        self.closed.set()


def _until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 5.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_samples_are_decorated_emitted_and_kept() -> None:
    emitted: list[Event] = []

    def decorate(sample: SampleEvent) -> SampleEvent:
        return dataclasses.replace(sample, requests_running=3)

    loop = SamplingLoop(PretendSampler(), emitted.append, 60.0, decorate)
    assert not loop.latest
    loop.start()
    _until(lambda: emitted)
    loop.stop()
    samples = list(loop.latest)
    assert [sample.requests_running for sample in samples] == [3, 3]
    assert emitted == samples


def test_it_ends_at_once_even_with_a_long_interval_and_releases_the_devices() -> None:
    sampler = _Counted()
    loop = SamplingLoop(sampler, lambda _: None, 3600.0)
    loop.start()
    _until(lambda: sampler.ticks)
    started = time.monotonic()
    loop.stop()
    loop.stop()
    assert time.monotonic() - started < 1.0
    assert sampler.closed.is_set()


def test_stopping_what_never_began_is_harmless() -> None:
    SamplingLoop(_Counted(), lambda _: None, 1.0).stop()


def test_a_failure_is_told_once_and_leaves_no_stale_numbers(caplog: pytest.LogCaptureFixture) -> None:
    sampler = _Counted(failing=lambda tick: 2 <= tick <= 5)
    latest: dict[int, int] = {}
    loop = SamplingLoop(sampler, lambda _: None, 0.02)
    loop.start()
    while sampler.ticks < 8:
        latest[sampler.ticks] = len(loop.latest)
        time.sleep(0.001)
    loop.stop()
    assert latest[5] == 0
    assert len(loop.latest) == 2
    assert len(caplog.records) == 1


def test_the_pace_does_not_drift_by_what_a_sample_takes() -> None:
    sampler = _Counted(takes_s=0.04)
    loop = SamplingLoop(sampler, lambda _: None, 0.05)
    started = time.monotonic()
    loop.start()
    _until(lambda: sampler.ticks >= 11)
    elapsed = time.monotonic() - started
    loop.stop()
    assert 0.45 < elapsed < 0.8, "ten intervals of 50 ms, not of 90"


def test_a_sampler_slower_than_the_interval_skips_ticks() -> None:
    sampler = _Counted(takes_s=0.05)
    loop = SamplingLoop(sampler, lambda _: None, 0.001)
    loop.start()
    time.sleep(0.3)
    loop.stop()
    assert sampler.ticks < 10


def test_a_call_that_hangs_leaves_no_stale_numbers_and_is_told_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    sampler = _Hanging()
    loop = SamplingLoop(sampler, lambda _: None, 0.01, stale_s=0.2)
    loop.start()
    _until(lambda: loop.latest)
    sampler.is_free.clear()
    _until(lambda: not loop.latest)
    assert not caplog.records
    time.sleep(0.2)
    sampler.is_free.set()
    _until(lambda: loop.latest)
    loop.stop()
    assert len(caplog.records) == 1
    assert caplog.messages[0].startswith("the hardware took 0.")


def test_stopping_does_not_wait_for_ever_for_a_call_that_hangs() -> None:
    sampler = _Hanging()
    sampler.is_free.clear()
    loop = SamplingLoop(sampler, lambda _: None, 0.01)
    loop.start()
    started = time.monotonic()
    loop.stop(patience_s=0.1)
    assert time.monotonic() - started < 2.0
    sampler.is_free.set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ended_by_itself_is_known() -> None:
    class _Deadly(_Counted):
        def sample(self, now: float) -> Sequence[SampleEvent]:
            raise SystemExit

    loop, healthy = SamplingLoop(_Deadly(), lambda _: None, 0.01), SamplingLoop(_Counted(), lambda _: None, 0.01)
    assert loop.is_alive, "it has not begun"
    loop.start()
    healthy.start()
    _until(lambda: not loop.is_alive)
    assert healthy.is_alive
    healthy.stop()
    assert healthy.is_alive, "it was asked to end"


class _Hanging(_Counted):
    """Answers while it is free."""

    def __init__(self) -> None:
        super().__init__()
        self.is_free = threading.Event()
        self.is_free.set()

    def sample(self, now: float) -> Sequence[SampleEvent]:
        self.is_free.wait()
        return super().sample(now)
