"""One card through NVML: a handle that is kept, and what is asked of it at each tick."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import pynvml

from llmops.events import SampleEvent
from llmops.gpu.asking import Questions
from llmops.gpu.identity import identify, memory_of
from llmops.gpu.links import active_links
from llmops.gpu.parts import Parts
from llmops.gpu.pcie import PcieRates
from llmops.gpu.samples import bare_sample, part_sample
from llmops.gpu.xids import XidCount

_MHZ = 1e6
_MILLI = 1e-3
_THROTTLE = {
    pynvml.nvmlClocksEventReasonSwPowerCap: "sw_power_cap",
    pynvml.nvmlClocksEventReasonHwSlowdown: "hw_slowdown",
    pynvml.nvmlClocksEventReasonSwThermalSlowdown: "sw_thermal",
    pynvml.nvmlClocksEventReasonHwThermalSlowdown: "hw_thermal",
    pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown: "hw_power_brake",
}
"""Bits that mean a slower card; idle and user settings are none."""


class Card:
    """What is fixed is read once. Raises NVMLError when the card or the driver is away."""

    def __init__(self, handle: Any, driver_version: str) -> None:
        self.handle = handle
        self.identity = identify(handle, driver_version)
        self._questions = Questions()
        self._pcie = PcieRates(handle, self._questions)
        self._parts = Parts(handle, driver_version, self._questions)

    def sample(self, now: float, xids: XidCount | None = None) -> Sequence[SampleEvent]:
        """The card, then each of its MIG parts. Raises NVMLError also when nothing at all is answered."""
        self._questions.answered = False
        sample = self._whole(now, xids)
        if not self._questions.answered:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return [sample, *(part_sample(handle, identity, now) for handle, identity in self._parts.found())]

    def _whole(self, now: float, xids: XidCount | None) -> SampleEvent:
        handle, ask, scaled = self.handle, self._questions.ask, self._scaled
        used, total = memory_of(handle, self._questions)
        rates = ask("utilization", lambda: pynvml.nvmlDeviceGetUtilizationRates(handle))
        tx, rx = self._pcie.rates(now)
        return dataclasses.replace(
            bare_sample(self.identity, now, xids),
            utilization=None if rates is None else rates.gpu / 100,
            memory_used_bytes=used,
            memory_limit_bytes=total,
            memory_utilization=used / total if used is not None and total else None,
            memory_controller_utilization=None if rates is None else rates.memory / 100,
            power_w=scaled("power", _MILLI, lambda: pynvml.nvmlDeviceGetPowerUsage(handle)),
            power_limit_w=scaled("limit", _MILLI, lambda: pynvml.nvmlDeviceGetEnforcedPowerLimit(handle)),
            energy_j=scaled("energy", _MILLI, lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)),
            temperature_c=scaled(
                "temperature",
                1.0,
                lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU),
                lambda: pynvml.nvmlDeviceGetTemperatureV(handle, pynvml.NVML_TEMPERATURE_GPU),
            ),
            clock_sm_hz=scaled("sm", _MHZ, lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)),
            clock_memory_hz=scaled("mem", _MHZ, lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM)),
            throttle_reasons=self._throttle_reasons(),
            ecc_corrected=self._ecc_errors(pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED),
            ecc_uncorrected=self._ecc_errors(pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED),
            pcie_tx_bytes_per_s=tx,
            pcie_rx_bytes_per_s=rx,
            nvlink_active_links=active_links(handle, self._questions),
        )

    def _throttle_reasons(self) -> tuple[str, ...]:
        bits = self._questions.ask(
            "throttle",
            lambda: int(pynvml.nvmlDeviceGetCurrentClocksEventReasons(self.handle)),
            lambda: int(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(self.handle)),  # drivers before 535
        )
        return tuple(name for bit, name in _THROTTLE.items() if (bits or 0) & bit)

    def _ecc_errors(self, kind: int) -> int | None:
        """Of the memory, since the driver was loaded."""
        volatile = pynvml.NVML_VOLATILE_ECC
        count = self._questions.ask(
            f"ecc {kind}", lambda: int(pynvml.nvmlDeviceGetTotalEccErrors(self.handle, kind, volatile))
        )
        return None if count is None else int(count)

    def _scaled(self, what: str, factor: float, *ways: Callable[[], int]) -> float | None:
        value = self._questions.ask(what, *ways)
        return None if value is None else float(value) * factor
