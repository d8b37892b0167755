"""The status strip: health, model, badges and the time; objectives, queue, speed and alerts below."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from textual.content import Content

from llmops.overview import Overview, SloChip
from llmops.tui.layout import fit
from llmops.tui.numbers import clock, fixed, percent, span
from llmops.tui.widgets.panel import Panel
from llmops.untrusted import safe_line

_STALE_TICKS = 3.0
_STALE_AT_LEAST_S = 3.0
_RECORD_STALE_S = 15.0
_HEALTH_STYLE = {
    "all_good": "bold $success reverse",
    "slo_breach": "bold $error reverse",
    "serve_unreachable": "bold $error reverse",
    "serve_dead": "bold $error reverse",
    "nothing_readable": "bold $error reverse",
}
_CHIP_STYLE = {
    "ok": "$success",
    "at_risk": "$warning",
    "breached": "bold $error",
    "no_data": "$foreground 50%",
    "unattainable": "$foreground 50%",
}
_CHIP_SIGN = {"ok": "✓", "at_risk": "!", "breached": "✗", "no_data": "·", "unattainable": "≠"}
_STANDING = ("breached", "at_risk", "unattainable", "no_data", "ok")
_MORE_CELLS = 4
"""`+1` and two spaces."""
_DIM = "$foreground 60%"


class StatusStrip(Panel):
    """Two lines at the top of every screen."""

    def lines(self) -> Iterable[Content]:
        """Who serves and how it is; then the numbers."""
        overview = self.session.overview
        if overview is None:
            reason = self.session.feed_error or self.session.words("strip.connecting", url=self.session.url)
            return (Content.styled(f" {safe_line(reason)}", "bold"),)
        return self._spread(self._who(overview), Content.styled(f"{clock(overview.at)} ", _DIM)), self._numbers(
            overview
        )

    def _spread(self, left: Content, right: Content) -> Content:
        gap = max(1, self.size.width - left.cell_length - right.cell_length)
        return Content.assemble(left, " " * gap, right)

    def _who(self, overview: Overview) -> Content:
        words, serve = self.session.words, overview.serve
        style = _HEALTH_STYLE.get(overview.reason, "bold $warning reverse")
        parts: list[Content | tuple[str, str] | str] = [
            (f" {words(f'reason.{overview.reason}')} ", style),
            "  ",
        ]
        if serve is None:
            parts.append((words("strip.no_model"), _DIM))
        else:
            model = safe_line(serve.model.id.rsplit("/", 1)[-1], 40 if self._wide else 24)
            parts += [(model, "bold"), (f"@{safe_line(serve.model.version)[:8]}", _DIM)]
        for badge in self._badges(overview):
            parts += ["  ", (f" {badge} ", "bold $accent reverse")]
        return Content.assemble(*parts)

    @property
    def _wide(self) -> bool:
        return fit(self.size.width, 30).wide

    def _badges(self, overview: Overview) -> Iterable[str]:
        words = self.session.words
        age_s = stale_s(overview, self.session.seen_at, self.session.refresh_s, time.monotonic())
        if age_s is not None and not self.session.paused:
            yield words("badge.stale", age=span(age_s))
        if self.session.history.restarted(overview.at):
            yield words("badge.restarted")
        if self.session.paused:
            yield words("badge.paused")
        if overview.serve is not None and overview.serve.model.is_demo:
            yield words("badge.demo")

    def _numbers(self, overview: Overview) -> Content:
        rest = self._load(overview)
        room = self.size.width - rest.cell_length - 1
        if overview.objectives_error is not None:
            error = safe_line(overview.objectives_error, max(20, room - 2))
            return Content.assemble(" ", (error, "bold $error"), "  ", rest)
        return Content.assemble(" ", *self._chips(overview.slo, room), rest)

    def _chips(self, slo: Sequence[SloChip], room: int) -> list[Content | tuple[str, str] | str]:
        """In their order. Where it is narrow, those that stand worst say most; what finds no place is counted."""
        worst_first = sorted(slo, key=_standing)
        forms = {chip.name: self._forms(chip) for chip in slo}
        shown: dict[str, Content] = {}
        for size in range(max((len(each) for each in forms.values()), default=0)):
            for place, chip in enumerate(worst_first, 1):
                form = forms[chip.name][size : size + 1]
                known = shown[chip.name].cell_length if chip.name in shown else 0
                spare = 0 if size or place == len(slo) else _MORE_CELLS
                if form and (known or not size) and form[0].cell_length - known <= room - spare:
                    room -= form[0].cell_length - known
                    shown[chip.name] = form[0]
        left_out = len(slo) - len(shown)
        parts: list[Content | tuple[str, str] | str] = [shown[chip.name] for chip in slo if chip.name in shown]
        return [*parts, (f"+{left_out}  ", _DIM)] if left_out else parts

    def _load(self, overview: Overview) -> Content:
        """Queue, speed and alerts."""
        words, serve = self.session.words, overview.serve
        run_word = "strip.running" if self._wide else "strip.running.short"
        queue = f"{fixed(serve.waiting if serve else None, 2)}/{serve.waiting_capacity if serve else '--'}"
        running = f"{fixed(serve.running if serve else None, 2)}/{serve.running_capacity if serve else '--'}"
        parts: list[Content | tuple[str, str] | str] = [
            (f"{words('strip.queue')} ", _DIM),
            f"{queue}  ",
            (f"{words(run_word)} ", _DIM),
            f"{running}  ",
        ]
        parts += [f"{fixed(overview.output_tokens_per_s, 6, 1)} ", (words("strip.tokens"), _DIM), "  "]
        count = len(overview.firing)
        style = "bold $warning" if count else _DIM
        parts += [(f"{words('strip.alerts')} {count}", style)]
        return Content.assemble(*parts)

    def _forms(self, chip: SloChip) -> list[Content]:
        """From the shortest to the longest: sign and name, the ratio, what is used of the budget, a longer name."""
        words, style = self.session.words, _CHIP_STYLE[chip.state]

        def head(key: str, most: int) -> tuple[str, str]:
            name = words(key) if words.knows(key) else safe_line(chip.name, most)
            return f"{_CHIP_SIGN[chip.state]} {name}", style

        short, name = head(f"slo.{chip.name}.short", 5), head(f"slo.{chip.name}", 16)
        if chip.state in ("no_data", "unattainable"):
            why = words("slo.unattainable" if chip.state == "unattainable" else "slo.unknown")
            told: list[tuple[tuple[str, str], ...]] = [(short, (" --", _DIM))]
            if self._wide:
                told += [(name, (f" {why}", _DIM))]
        else:
            ratio = (f" {percent(chip.good_ratio, 5, 2)}%", style)
            used = (f" {words('slo.used', bad=chip.bad, allowed=chip.allowed_bad)}", _DIM)
            told = [(short, ratio), *([(short, ratio, used), (name, ratio, used)] if self._wide else [])]
        return [Content.assemble(*parts, "  ") for parts in ((short,), *told)]


def _standing(chip: SloChip) -> tuple[int, float]:
    """Worst first: by state, then by what is left of the budget."""
    return _STANDING.index(chip.state), 1.0 if chip.budget_remaining is None else chip.budget_remaining


def stale_s(overview: Overview, seen_at: float | None, refresh_s: float, now: float) -> float | None:
    """How old the data is when it is older than it should be, else None: no look came, or nobody writes the record."""
    silent_s = now - seen_at if seen_at is not None else 0.0
    if silent_s > max(_STALE_AT_LEAST_S, _STALE_TICKS * refresh_s):
        return silent_s
    age_s = overview.record_age_s
    written = overview.serve is None or bool(overview.serve.devices)
    return age_s if age_s is not None and age_s > _RECORD_STALE_S and written else None
