"""The overview: device left, throughput and latency right, alerts, the last benchmark, and the requests."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from llmops.overview import Overview
from llmops.store.contract import RequestRow
from llmops.tui.keys import KEYMAP, bindings, told
from llmops.tui.layout import fit
from llmops.tui.screens.detail import RequestDetail
from llmops.tui.screens.frame import Frame
from llmops.tui.widgets.alerts import AlertsPanel, BenchLine
from llmops.tui.widgets.chart import LatencyChart, ThroughputChart, percentiles
from llmops.tui.widgets.device import DevicePanel
from llmops.tui.widgets.requests import RequestsTable, what_became
from llmops.untrusted import safe_line

_MOST_ALERTS = 4


class OverviewScreen(Frame):
    """Key 1."""

    BINDINGS = bindings("overview")
    SCOPES = ("everywhere", "list", "overview")
    AUTO_FOCUS = "#requests"

    def body(self) -> ComposeResult:
        """All panels; `on_resize` hides what does not fit."""
        with Horizontal(id="top"):
            yield DevicePanel(self.session, id="device")
            with Vertical(id="charts"):
                yield ThroughputChart(self.session, id="throughput")
                yield LatencyChart(self.session, id="latency")
        yield AlertsPanel(self.session, id="alerts")
        yield BenchLine(self.session, id="benchmark")
        with Vertical(id="requests-panel"):
            yield RequestsTable(self.session.words, id="requests")
            yield Static("", id="empty", markup=False)
            yield Input(placeholder=self.session.words("requests.filter"), id="filter")

    def on_mount(self) -> None:
        """The filter appears when asked for."""
        self._filter.display = False
        self._arrange(self.app.size.width, self.app.size.height)

    def on_resize(self, event: events.Resize) -> None:
        """Shed or bring back panels."""
        self._arrange(event.size.width, event.size.height)

    def show(self) -> None:
        """Panels redraw themselves; the table takes the rows that pass the filter."""
        self._arrange(self.app.size.width, self.app.size.height)
        overview = self.session.overview
        if overview is not None:
            rows = self._matching(overview.requests)
            self._table.take(rows)
            self._explain(overview, rows)
        super().show()

    def _arrange(self, width: int, height: int) -> None:
        layout = fit(width, height)
        overview = self.session.overview
        said = len(overview.alerts) + 2 * len(overview.unattainable) if overview else 0
        told_by = {"alerts": bool(said), "benchmark": bool(overview and overview.benchmarks)}
        for name in ("device", "throughput", "latency", "alerts", "benchmark"):
            _set_display(self.query_one(f"#{name}"), name in layout.panels and told_by.get(name, True))
        top = self.query_one("#top")
        self.set_class(not layout.wide, "narrow")
        _set_display(top, layout.top_rows > 0)
        if top.styles.height is None or top.styles.height.value != layout.top_rows:
            top.styles.height = layout.top_rows
        rows = 1 + min(said, _MOST_ALERTS)
        panel = self.query_one("#alerts")
        if panel.styles.height is None or panel.styles.height.value != rows:
            panel.styles.height = rows
        self.query_one("#device", DevicePanel).chart = "device_chart" in layout.panels
        self._table.widen(layout.wide)

    def _matching(self, rows: Sequence[RequestRow]) -> list[RequestRow]:
        needle = self._filter.value.strip().lower()
        return [row for row in rows if needle in _searchable(row)] if needle else list(rows)

    def _explain(self, overview: Overview, rows: Sequence[RequestRow]) -> None:
        """The title of the table, and what to do when it is empty."""
        words = self.session.words
        needle = self._filter.value.strip()
        title = words("requests.title")
        if self._table.sorted_by != "at":
            title += " " + words("requests.sorted", column=words(f"column.{self._table.sorted_by}"))
        if needle:
            note = words("requests.matching", shown=len(rows), all=len(overview.requests), needle=safe_line(needle, 24))
        else:
            counts = "  ".join(f"{safe_line(name, 20)} {count}" for name, count in sorted(overview.outcomes.items()))
            note = words("requests.outcomes", counts=counts) if counts else ""
            if counts and not self.query_one("#latency").display:
                note += "  " + percentiles(overview, words)
        self.query_one("#requests-panel").border_title = Content(f"{title}  {note}".rstrip())
        empty = not overview.requests
        _set_display(self._empty, empty)
        _set_display(self._table, not empty)
        if empty:
            self._empty.update(self._advice(overview))

    def _advice(self, overview: Overview) -> str:
        words = self.session.words
        if not overview.recorded:
            return words("requests.no_record", path=safe_line(self.session.store_path))
        chat = next(key for key in KEYMAP if key.action == "chat")
        return words("requests.empty", chat=told(chat, self.session.keys))

    @property
    def _table(self) -> RequestsTable:
        return self.query_one(RequestsTable)

    @property
    def _filter(self) -> Input:
        return self.query_one("#filter", Input)

    @property
    def _empty(self) -> Static:
        return self.query_one("#empty", Static)

    def action_filter(self) -> None:
        """Write a filter; Enter keeps it, Esc drops it."""
        self._filter.display = True
        self._filter.focus()

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._table.sort_next()
        self.show()

    def action_back(self) -> None:
        """Drop the filter."""
        self._filter.value = ""
        self._filter.display = False
        self._table.focus()

    def on_input_changed(self) -> None:
        """Filter while writing."""
        self.show()

    def on_input_submitted(self) -> None:
        """Back to the rows, the filter stays."""
        self._filter.display = bool(self._filter.value.strip())
        self._table.focus()

    def on_requests_table_opened(self, message: RequestsTable.Opened) -> None:
        """Drill in."""
        self.app.push_screen(RequestDetail(self.session, message.request_id))

    def copyable(self) -> str | None:
        """The full id of the request under the cursor."""
        row = self._table.current()
        return row.request_id if row else None


def _searchable(row: RequestRow) -> str:
    parts = (row.request_id, row.user, row.model, row.outcome, what_became(row), str(row.status_code))
    return " ".join(part for part in parts if part).lower()


def _set_display(widget: Widget, visible: bool) -> None:
    """Only when it changes: each assignment costs a new layout."""
    if widget.display != visible:
        widget.display = visible
