"""Xid errors: what the driver reports of a card that went wrong, counted since sampling began."""

from __future__ import annotations

import ctypes
import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

import pynvml

from llmops.gpu.asking import DRIVER_GONE

_log = logging.getLogger(__name__)
OF_PROGRAMS = frozenset({13, 31, 43, 45, 68})
"""A program's own fault, the card is well: as NVIDIA's k8s-device-plugin has them (internal/rm/health.go)."""
_AT_MOST = 100
"""Events at one look: a card that reports without end is counted on at the next one."""


@dataclasses.dataclass(slots=True)
class XidCount:
    """Of one card, without those of programs."""

    count: int = 0
    last: int | None = None


class XidWatch:
    """Listens to every card that can report; a look never waits. `counts` outlive the driver: by id of the card."""

    def __init__(self, counts: dict[str, XidCount]) -> None:
        self._counts = counts
        self._set: Any = None
        self._ids: dict[int | None, str] = {}

    def listen(self, handles: Mapping[str, Any]) -> None:
        """To these cards, by id; no count where the driver has no events. Raises NVMLError when it is gone."""
        try:
            self._set = pynvml.nvmlEventSetCreate()
        except pynvml.NVMLError as error:
            _raise_if_gone(error)
            return
        for name, handle in handles.items():
            try:
                pynvml.nvmlDeviceRegisterEvents(handle, pynvml.nvmlEventTypeXidCriticalError, self._set)
            except pynvml.NVMLError as error:
                _raise_if_gone(error)
            else:
                self._ids[_address(handle)] = name
                self._counts.setdefault(name, XidCount())

    def look(self) -> None:
        """Count what was reported since. Raises NVMLError when the driver is gone."""
        for _ in range(_AT_MOST if self._ids else 0):
            try:
                event = pynvml.nvmlEventSetWait_v2(self._set, 0)
            except pynvml.NVMLError as error:
                _raise_if_gone(error)
                return
            self._add(event)

    def _add(self, event: Any) -> None:
        number, name = int(event.eventData), self._ids.get(_address(event.device))
        if not event.eventType & pynvml.nvmlEventTypeXidCriticalError or name is None or number in OF_PROGRAMS:
            return
        known = self._counts[name]
        known.count, known.last = known.count + 1, number
        _log.error("the driver reports Xid %d for %s", number, name)

    def close(self) -> None:
        """Stop listening. While NVML is up."""
        if self._set is not None:
            pynvml.nvmlEventSetFree(self._set)


def _address(handle: Any) -> int | None:
    """Two handles of one card are equal in this alone."""
    return ctypes.cast(handle, ctypes.c_void_p).value


def _raise_if_gone(error: pynvml.NVMLError) -> None:
    if error.value in DRIVER_GONE:
        raise error
