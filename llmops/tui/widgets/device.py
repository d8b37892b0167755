"""The device panel: how busy, how full, how hot; the GPU, or the machine where there is none."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content

from llmops.events.snapshot import DeviceSnapshot
from llmops.overview import Overview
from llmops.tui.history import pool
from llmops.tui.numbers import bar, fixed, gibibytes, percent
from llmops.tui.session import Session
from llmops.tui.widgets.braille import braille
from llmops.tui.widgets.panel import Panel
from llmops.untrusted import safe_line

_DIM = "$foreground 60%"
_ROOMY = 38
_MEMORY_WARN = 0.80
_MEMORY_RISK = 0.92
"""So little memory left that the next request may not fit."""


class DevicePanel(Panel):
    """Bars for each device, a line of the last minutes when `chart` is on, and what this screen costs."""

    def __init__(self, session: Session, *, id: str | None = None) -> None:
        super().__init__(session, id=id)
        self.border_title = session.words("device.title")
        self.chart = True

    def lines(self) -> Iterable[Content]:
        """The first device in full, others as one line each."""
        overview = self.session.overview
        if overview is None:
            return []
        if not overview.devices:
            text = [Content.styled(self.session.words("device.none"), _DIM)]
        else:
            text = [*self._device(overview.devices[0], overview)]
            text += [self._short(device) for device in overview.devices[1:]]
            text += self._missing_gpu(overview)
        own = Content.styled(self._own_cost(), _DIM)
        room = max(0, self.size.height - 1)
        spare = room - len(text)
        if self.chart and overview.devices and spare >= 2:
            text += self._line_of_busy(overview, spare)
        return [*text[:room], *[Content("")] * max(0, room - len(text)), own]

    def _device(self, device: DeviceSnapshot, overview: Overview) -> Iterable[Content]:
        words = self.session.words
        name = f"{device.type.upper()} {device.id}" if device.type.lower() == "gpu" else device.type.upper()
        yield Content.assemble((f"{safe_line(name, 8)} ", _DIM), (safe_line(device.name, self.size.width - 9), "bold"))
        yield self._bar(words("device.busy"), device.utilization, "$primary", "")
        ratio = memory_ratio(device)
        unit = " GiB" if self.size.width >= _ROOMY else "G"
        used = f" {gibibytes(device.memory_used_bytes)}/{gibibytes(device.memory_limit_bytes).strip()}{unit}"
        yield self._bar(words("device.memory"), ratio, memory_style(ratio), used)
        cache = overview.serve.kv_cache_utilization if overview.serve else None
        if cache is not None:
            yield self._bar(words("device.cache"), cache, "$secondary", "")
        if device.power_w is not None or device.temperature_c is not None:
            power = f"{words('device.power')} {fixed(device.power_w, 5)} W"
            yield Content(f"{power}   {words('device.temperature')} {fixed(device.temperature_c, 3)} °C")

    def _bar(self, name: str, fraction: float | None, style: str, suffix: str) -> Content:
        label = Content(name).pad_right(max(0, 6 - Content(name).cell_length))
        width = max(4, self.size.width - 6 - 5 - (16 if self.size.width >= _ROOMY else 13))
        return Content.assemble(label, (bar(fraction, width), style), f" {percent(fraction, 3)}%", (suffix, _DIM))

    def _short(self, device: DeviceSnapshot) -> Content:
        ratio = memory_ratio(device)
        return Content.assemble(
            (f"{safe_line(device.type.upper(), 4)} {safe_line(device.id, 6)} ", _DIM),
            f"{percent(device.utilization, 3)}% ",
            (f"{self.session.words('device.memory')} {percent(ratio, 3)}%", memory_style(ratio)),
        )

    def _missing_gpu(self, overview: Overview) -> list[Content]:
        """What to do about it, where that fits."""
        told = Content.styled(self.session.words("device.no_gpu"), _DIM)
        is_missing = all(device.type != "gpu" for device in overview.devices)
        return [told] if is_missing and told.cell_length <= self.size.width else []

    def _line_of_busy(self, overview: Overview, rows: int) -> list[Content]:
        columns = self.size.width * 2
        points = self.session.history.busy.points()
        shown = pool(points, overview.at - overview.window_s, overview.at + 1, columns, 2 * self.session.refresh_s)
        return [Content.styled(line, "$primary") for line in braille(shown, rows, 1.0)]

    def _own_cost(self) -> str:
        share, look_s = self.session.cpu_share, self.session.look_s
        cpu = fixed(None if share is None else share * 100.0, 4, 1)
        return self.session.words("device.own", cpu=cpu, look=fixed(None if look_s is None else look_s * 1000, 3))


def memory_ratio(device: DeviceSnapshot) -> float | None:
    """Used share of the memory, if both numbers are known."""
    if device.memory_used_bytes is None or not device.memory_limit_bytes:
        return None
    return device.memory_used_bytes / device.memory_limit_bytes


def memory_style(ratio: float | None) -> str:
    """Red only where the next request may run out of memory."""
    if ratio is None or ratio < _MEMORY_WARN:
        return "$secondary"
    return "bold $error" if ratio >= _MEMORY_RISK else "$warning"
