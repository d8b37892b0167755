"""NVIDIA cards through NVML: handles are kept, what a card cannot tell is asked once, a lost driver is awaited."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pynvml

from llmops.events import SampleEvent
from llmops.gpu.contract import SamplerUnavailable

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_RETRY_S = 10.0
_MHZ = 1e6
_THROTTLE = {
    0x0000000000000004: "sw_power_cap",
    0x0000000000000008: "hw_slowdown",
    0x0000000000000020: "sw_thermal",
    0x0000000000000040: "hw_thermal",
    0x0000000000000080: "hw_power_brake",
}
"""Bits of nvmlDeviceGetCurrentClocksEventReasons that mean a slower card (nvml.h); idle and user settings are none."""

_NEVER = (
    pynvml.NVML_ERROR_NOT_SUPPORTED,
    pynvml.NVML_ERROR_NO_PERMISSION,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
    pynvml.NVML_ERROR_INVALID_ARGUMENT,
)
_GONE = (
    pynvml.NVML_ERROR_UNINITIALIZED,
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
    pynvml.NVML_ERROR_GPU_IS_LOST,
    pynvml.NVML_ERROR_RESET_REQUIRED,
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
)
"""The driver or the card is away: every handle is stale. A mismatch is a driver that was updated under us."""


class NvmlSampler:
    """One event per card. Raises SamplerUnavailable when there is no driver at the start."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._cards: list[_Card] = []
        self._retry_at = 0.0
        try:
            self._open()
        except pynvml.NVMLError as error:
            self.close()
            raise SamplerUnavailable(f"NVML does not answer ({error}): is the NVIDIA driver installed?") from None

    def sample(self, now: float) -> Sequence[SampleEvent]:
        """Every card; none while the driver is away, which is said once and tried again every 10 s."""
        try:
            if not self._cards and self._clock() >= self._retry_at:
                self._open()
            return [card.sample(now) for card in self._cards]
        except pynvml.NVMLError as error:
            if self._cards:
                _log.warning("the GPU driver went away (%s): trying again every %.0f s", error, _RETRY_S)
            self.close()
            self._retry_at = self._clock() + _RETRY_S
            return ()

    def close(self) -> None:
        """Shut NVML down."""
        self._cards = []
        with contextlib.suppress(pynvml.NVMLError):  # it was not up
            pynvml.nvmlShutdown()

    def _open(self) -> None:
        pynvml.nvmlInit()
        driver = _text(pynvml.nvmlSystemGetDriverVersion())
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        self._cards = [_Card(handle, driver) for handle in handles]
        if not self._cards:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)


class _Card:
    def __init__(self, handle: Any, driver: str) -> None:
        self._handle = handle
        self._driver = driver
        self._id = _text(pynvml.nvmlDeviceGetUUID(handle))
        self._name = _text(pynvml.nvmlDeviceGetName(handle))
        self._unsupported: set[str] = set()

    def sample(self, now: float) -> SampleEvent:
        handle = self._handle
        memory = self._ask("memory", lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))  # none where RAM is shared
        rates = self._ask("utilization", lambda: pynvml.nvmlDeviceGetUtilizationRates(handle))
        power_mw = self._ask("power", lambda: pynvml.nvmlDeviceGetPowerUsage(handle))
        limit_mw = self._ask("limit", lambda: pynvml.nvmlDeviceGetEnforcedPowerLimit(handle))
        energy_mj = self._ask("energy", lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle))
        celsius = self._ask("temperature", lambda: pynvml.nvmlDeviceGetTemperature(handle, 0))
        sm = self._ask("sm", lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM))
        mem = self._ask("mem", lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM))
        reasons = self._ask("throttle", lambda: int(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)))
        corrected = self._ask("corrected", lambda: _ecc_errors(handle, pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED))
        uncorrected = self._ask("uncorrected", lambda: _ecc_errors(handle, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED))
        return SampleEvent(
            at=now,
            device_id=self._id,
            device_name=self._name,
            device_model=self._name,
            vendor="nvidia",
            driver_version=self._driver,
            utilization=None if rates is None else rates.gpu / 100,
            memory_used_bytes=None if memory is None else int(memory.used),
            memory_limit_bytes=None if memory is None else int(memory.total),
            memory_utilization=memory.used / memory.total if memory is not None and memory.total else None,
            memory_controller_utilization=None if rates is None else rates.memory / 100,
            power_w=_scaled(power_mw, 1e-3),
            power_limit_w=_scaled(limit_mw, 1e-3),
            energy_j=_scaled(energy_mj, 1e-3),
            temperature_c=_scaled(celsius, 1.0),
            clock_sm_hz=_scaled(sm, _MHZ),
            clock_memory_hz=_scaled(mem, _MHZ),
            throttle_reasons=tuple(name for bit, name in _THROTTLE.items() if (reasons or 0) & bit),
            ecc_corrected=corrected,
            ecc_uncorrected=uncorrected,
        )

    def _ask(self, metric: str, ask: Callable[[], _T]) -> _T | None:
        """The metric; None for ever once the card said that it has none, None this time at a passing error."""
        if metric in self._unsupported:
            return None
        try:
            return ask()
        except pynvml.NVMLError as error:
            if error.value in _GONE:
                raise
            if error.value in _NEVER:
                self._unsupported.add(metric)
            return None


def _ecc_errors(handle: Any, kind: int) -> int:
    """Memory errors since the driver was loaded."""
    return int(pynvml.nvmlDeviceGetTotalEccErrors(handle, kind, pynvml.NVML_VOLATILE_ECC))


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else float(value) * factor


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
