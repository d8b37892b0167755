from __future__ import annotations

import io

from llmops.sinks import LoguruSink, configure_log
from llmops.sinks.repeats import EVERY_S, Repeats


class _Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def _refused(kind: object = "queue_full", level: str = "warning") -> dict[str, object]:
    return {"event.id": "1", "log.level": level, "message": f"503 {kind} 0.000 s", "error.type": kind}


def test_of_a_flood_the_first_is_told_and_then_how_many_followed() -> None:
    clock = _Clock()
    repeats = Repeats(clock)
    assert [repeats.worth(_refused()) for _ in range(5)] == [True, False, False, False, False]
    assert repeats.due() == []
    clock.now += EVERY_S
    assert not repeats.worth(_refused())  # what was not told yet comes first
    assert repeats.due() == ["queue_full: 5 more"]
    assert repeats.due() == []


def test_what_comes_seldom_is_told_each_time() -> None:
    clock = _Clock()
    repeats = Repeats(clock)
    for _ in range(3):
        assert repeats.worth(_refused())
        clock.now += EVERY_S
        assert repeats.due() == []


def test_kinds_do_not_hide_each_other_and_failures_of_ours_are_never_folded() -> None:
    repeats = Repeats(_Clock())
    assert repeats.worth(_refused("queue_full"))
    assert repeats.worth(_refused("rate_limited"))
    assert all(repeats.worth(_refused("oom", "error")) for _ in range(3))
    assert all(repeats.worth({"log.level": "warning", "message": "a benchmark regressed"}) for _ in range(3))


def test_a_clock_set_back_neither_hides_nor_loses_anything() -> None:
    clock = _Clock()
    repeats = Repeats(clock)
    assert repeats.worth(_refused())
    assert not repeats.worth(_refused())
    clock.now -= 50
    assert repeats.due() == ["queue_full: 1 more"]


def test_the_log_ends_with_what_was_not_told_yet() -> None:
    stream, sink = io.StringIO(), LoguruSink()
    configure_log("INFO", stream)
    sink.write([_refused() for _ in range(40)])
    sink.close()
    assert [line.split(maxsplit=3)[3] for line in stream.getvalue().splitlines()] == [
        "503 queue_full 0.000 s",
        "queue_full: 39 more",
    ]
