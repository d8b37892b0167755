"""The table of requests: rows diffed by key, so that a tick touches only what is new."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from rich.style import Style
from rich.text import Text
from textual.message import Message
from textual.widgets import DataTable

from llmops.store.contract import RequestRow
from llmops.tui.keys import bindings
from llmops.tui.language import Words
from llmops.tui.numbers import clock, fixed, milliseconds
from llmops.untrusted import safe_line

_BOLD, _DIM, _PLAIN = Style(bold=True), Style(dim=True), Style()


class Cell(Text):
    """A cell that knows its place in a sorted column; never markup."""

    def __init__(self, text: str, order: float | str, style: Style) -> None:
        super().__init__(text, style=style, no_wrap=True, end="")
        self.order = order


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """What one column shows of a row, and in which order `s` sorts by it."""

    name: str
    width: int
    show: Callable[[RequestRow], str]
    order: Callable[[RequestRow], float | str]
    wide_only: bool = False

    @property
    def is_number(self) -> bool:
        """Its title stands above the last digit."""
        return self.name not in ("at", "id", "user", "outcome")


def short_id(request_id: str) -> str:
    """The last eight characters: the first ones are a clock and the same for all of a minute."""
    return safe_line(request_id)[-8:]


def what_became(row: RequestRow) -> str:
    """The one word for a request: the error's slug, the finish reason, or the outcome."""
    return row.error_type or row.finish_reason or row.outcome


def tokens_per_s(row: RequestRow) -> float | None:
    """Pace after the first token."""
    return 1.0 / row.tpot_s if row.tpot_s else None


COLUMNS: tuple[Column, ...] = (
    Column("at", 8, lambda row: clock(row.at), lambda row: row.at),
    Column("id", 8, lambda row: short_id(row.request_id), lambda row: row.request_id),
    Column("user", 10, lambda row: safe_line(row.user or "--", 10), lambda row: row.user or "", wide_only=True),
    Column("status", 5, lambda row: fixed(row.status_code, 5), lambda row: row.status_code),
    Column("outcome", 16, lambda row: safe_line(what_became(row), 16), what_became),
    Column("duration", 7, lambda row: fixed(row.duration_s, 7, 3), lambda row: row.duration_s),
    Column("ttft", 7, lambda row: milliseconds(row.ttft_s, 7), lambda row: row.ttft_s or 0.0),
    Column("queue", 8, lambda row: milliseconds(row.queue_s, 8), lambda row: row.queue_s or 0.0, wide_only=True),
    Column("rate", 7, lambda row: fixed(tokens_per_s(row), 7, 1), lambda row: tokens_per_s(row) or 0.0, wide_only=True),
    Column("input", 5, lambda row: fixed(row.input_tokens, 5), lambda row: row.input_tokens or 0),
    Column("output", 5, lambda row: fixed(row.output_tokens, 5), lambda row: row.output_tokens or 0),
)
SORTABLE = ("at", "duration", "ttft", "output", "status")


class RequestsTable(DataTable[Cell]):
    """Newest first unless sorted otherwise. The cursor stays on its request; at the top it follows the newest."""

    BINDINGS = bindings("list")

    class Opened(Message):
        """Enter on a request."""

        def __init__(self, request_id: str) -> None:
            super().__init__()
            self.request_id = request_id

    def __init__(self, words: Words, *, id: str | None = None) -> None:
        super().__init__(id=id, cursor_type="row", zebra_stripes=False)
        self._words = words
        self._wide: bool | None = None
        self._held: dict[str, RequestRow] = {}
        self.sorted_by = "at"

    def widen(self, wide: bool) -> None:
        """All columns, or those that fit 80 cells."""
        if wide == self._wide:
            return
        self._wide = wide
        rows = list(self._held.values())
        self.clear(columns=True)
        self._held.clear()
        for column in self._columns():
            self.add_column(self._title(column), width=column.width, key=column.name)
        self.take(rows)

    def take(self, rows: Sequence[RequestRow]) -> None:
        """Show exactly these rows; the table is touched only where it differs."""
        if self._wide is None:
            return
        wanted = {row.event_id: row for row in rows}
        if wanted.keys() == self._held.keys():
            return
        at_top, key = self.cursor_row == 0, self.cursor_key()
        gone = self._held.keys() - wanted.keys()
        if len(gone) * 2 > len(self._held):
            self.clear()
            self._held.clear()
        for event_id in gone & self._held.keys():
            self.remove_row(event_id)
            del self._held[event_id]
        for event_id, row in wanted.items():
            if event_id not in self._held:
                self.add_row(*self._cells(row), key=event_id)
                self._held[event_id] = row
        self._arrange(None if at_top else key)

    def sort_next(self) -> str:
        """Sort by the next column in turn; returns its name."""
        self.sorted_by = SORTABLE[(SORTABLE.index(self.sorted_by) + 1) % len(SORTABLE)]
        for key, column in self.columns.items():
            column.label = self._title(next(each for each in COLUMNS if each.name == key.value))
        self._arrange(None)
        return self.sorted_by

    def cursor_key(self) -> str | None:
        """`event.id` of the row under the cursor."""
        if not self.is_valid_row_index(self.cursor_row):
            return None
        return self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value

    def current(self) -> RequestRow | None:
        """The request under the cursor."""
        return self._held.get(self.cursor_key() or "")

    def action_down(self) -> None:
        """Next row."""
        self.action_cursor_down()

    def action_up(self) -> None:
        """Previous row."""
        self.action_cursor_up()

    def action_top(self) -> None:
        """First row."""
        self.move_cursor(row=0)

    def action_bottom(self) -> None:
        """Last row."""
        self.move_cursor(row=self.row_count - 1)

    def action_open(self) -> None:
        """Drill into the request under the cursor."""
        row = self.current()
        if row is not None:
            self.post_message(self.Opened(row.request_id))

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """A click on the row under the cursor."""
        event.stop()
        self.action_open()

    def _columns(self) -> Sequence[Column]:
        return [column for column in COLUMNS if self._wide or not column.wide_only]

    def _title(self, column: Column) -> Text:
        mark = "▾" if column.name == self.sorted_by else ""
        title = Text(f"{self._words(f'column.{column.name}')}{mark}", no_wrap=True)
        if column.is_number:
            title.pad_left(max(0, column.width - title.cell_len))
        return title

    def _cells(self, row: RequestRow) -> list[Cell]:
        style = _BOLD if row.outcome == "failure" else (_DIM if row.synthetic or row.outcome == "unknown" else _PLAIN)
        return [Cell(column.show(row), column.order(row), style) for column in self._columns()]

    def _arrange(self, cursor: str | None) -> None:
        self.sort(self.sorted_by, key=lambda cell: cell.order, reverse=True)
        row = self.get_row_index(cursor) if cursor in self._held and cursor is not None else 0
        self.move_cursor(row=row, animate=False)
