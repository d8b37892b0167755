"""Charts over the last minutes: output tokens a second, and the slowest request of each step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.content import Content

from llmops.overview import Overview
from llmops.tui.history import pool
from llmops.tui.language import Words
from llmops.tui.numbers import fixed, milliseconds
from llmops.tui.widgets.braille import braille, nice_top
from llmops.tui.widgets.panel import Panel

_AXIS = 7
_DIM = "$foreground 60%"


class Chart(Panel):
    """A line over time with its scale at the left; says so when there is nothing to draw."""

    decimals = 0
    style = "$primary"
    floor = 1.0

    def points(self, overview: Overview) -> tuple[Sequence[tuple[float, float]], float]:
        """What to draw, and how long a point stands, in seconds."""
        raise NotImplementedError

    def lines(self) -> Iterable[Content]:
        """The chart, from the session's newest overview."""
        overview = self.session.overview
        width, rows = self.size.width - _AXIS, self.size.height
        if overview is None or width < 4 or rows < 1:
            return
        shown = self._pooled(overview, width * 2)
        known = [value for value in shown if value is not None]
        if not known:
            yield Content.styled(" " * _AXIS + self.session.words("chart.empty"), _DIM)
            return
        top = nice_top(max(known), self.floor)
        for row, text in enumerate(braille(shown, rows, top)):
            label = fixed(top, 5, self.decimals) if row == 0 else ("    0" if row == rows - 1 else " " * 5)
            yield Content.assemble((f"{label} ▕", _DIM), (text, self.style))

    def _pooled(self, overview: Overview, columns: int) -> list[float | None]:
        """Slices start on multiples of their length, so that the line moves without flicker."""
        points, hold_s = self.points(overview)
        slice_s = overview.window_s / columns
        until = (overview.at // slice_s + 1) * slice_s
        return pool(points, until - overview.window_s, until, columns, hold_s)


class ThroughputChart(Chart):
    """Output tokens a second."""

    floor = 10.0

    def points(self, overview: Overview) -> tuple[Sequence[tuple[float, float]], float]:
        """From what was seen, one point a look."""
        return self.session.history.tokens_per_s.points(), max(overview.series_step_s, 2 * self.session.refresh_s)

    def heading(self) -> str:
        """Now and the peak of the window."""
        words, overview = self.session.words, self.session.overview
        points = [value for _, value in self.session.history.tokens_per_s.points()]
        now, peak = overview.output_tokens_per_s if overview else None, max(points, default=None)
        told = words("chart.now", now=fixed(now, 6, 1), peak=fixed(peak, 6, 1))
        return f"{words('chart.tokens')}  {told}"


class LatencyChart(Chart):
    """The slowest request of each step, so that no outlier hides in an average."""

    style = "$secondary"
    decimals = 2
    floor = 0.1

    def points(self, overview: Overview) -> tuple[Sequence[tuple[float, float]], float]:
        """From the record."""
        series = ((bucket.start, bucket.max_duration_s) for bucket in overview.series)
        return [(at, value) for at, value in series if value is not None], overview.series_step_s

    def heading(self) -> str:
        """Exact percentiles of the window."""
        words, overview = self.session.words, self.session.overview
        if overview is None:
            return words("chart.latency")
        first = words("chart.first", ttft=milliseconds(overview.first_token.p50, 5))
        return f"{words('chart.latency')}  {percentiles(overview, words)}  {first}"


def percentiles(overview: Overview, words: Words) -> str:
    """Exact percentiles of the last minutes, in seconds."""
    latency = overview.latency
    return words(
        "chart.percentiles", p50=fixed(latency.p50, 5, 2), p95=fixed(latency.p95, 5, 2), p99=fixed(latency.p99, 5, 2)
    )
