"""Alerts that are pending or firing, objectives that cannot be met here, and the line of the last benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from textual.content import Content

from llmops.alerts.phrases import Phrase
from llmops.overview import AlertLine, BenchmarkLine, SloChip
from llmops.tui.language import Words
from llmops.tui.numbers import clock, fixed, milliseconds, span
from llmops.tui.session import Session
from llmops.tui.widgets.panel import Panel
from llmops.untrusted import safe_line

_DIM = "$foreground 60%"
_PARTS = ("why", "to_set")


class AlertsPanel(Panel):
    """One line for each alert, firing ones first; then two for each objective that this server cannot meet."""

    def __init__(self, session: Session, *, id: str | None = None) -> None:
        super().__init__(session, id=id)
        self.border_title = session.words("alerts.title")

    def lines(self) -> Iterable[Content]:
        """What is wrong, since when, and why."""
        overview = self.session.overview
        if overview is None:
            return ()
        words = self.session.words
        alerts = [alert_content(alert, overview.at, words) for alert in overview.alerts]
        return [*alerts, *(line for chip in overview.unattainable for line in unattainable_content(chip, words))]


def alert_content(alert: AlertLine, now: float, words: Words) -> Content:
    """An alert on one line."""
    firing = alert.state == "firing"
    style = "bold $warning" if firing else "$foreground"
    return Content.assemble(
        (f" {words('alerts.firing') if firing else words('alerts.pending')}", style),
        (f" {safe_line(alert.name, 28)} ", "bold"),
        (f"{safe_line(alert.severity, 8)}, {words('alerts.since', span=span(now - alert.since))}  ", _DIM),
        safe_line(alert.reason, 120),
    )


def unattainable_content(chip: SloChip, words: Words) -> tuple[Content, Content]:
    """Why an objective cannot be met on one line, what to set on the next."""
    parts: Mapping[str, Phrase] = {} if chip.unattainable is None else chip.unattainable.values
    why, to_set = (safe_line(parts[name].text(words.language), 300) if name in parts else "" for name in _PARTS)
    head = f" {safe_line(chip.name, 28)} {words('slo.unattainable')}  "
    return Content.assemble((head, "bold"), why), Content.styled(f"   {to_set}", _DIM)


class BenchLine(Panel):
    """How the last self-benchmark went."""

    def lines(self) -> Iterable[Content]:
        """One line, or nothing before the first run."""
        overview = self.session.overview
        if overview is None or not overview.benchmarks:
            return ()
        return (benchmark_content(overview.benchmarks[0], self.session.words),)


def benchmark_content(run: BenchmarkLine, words: Words) -> Content:
    """A benchmark on one line."""
    delta = run.delta_throughput_pct
    text = words(
        "bench.line",
        time=clock(run.at),
        trigger=safe_line(run.trigger, 12),
        rate=fixed(run.output_tokens_per_s, 6, 1).strip(),
        ttft=milliseconds(run.ttft_p50_s).strip(),
        failed=run.failed,
        total=run.completed + run.failed,
        change="" if delta is None else words("bench.change", delta=f"{delta:+.1f}"),
    )
    regression = (words("bench.regression"), "bold $warning") if run.regression else ""
    return Content.assemble((f" {text}", _DIM), regression)
