"""NVML without a card: the real binding says that nothing is there; a scripted one stands in for the rest."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from llmops.gpu.build import build_sampler
from llmops.gpu.contract import SamplerUnavailable
from llmops.gpu.nvml import NvmlSampler
from llmops.gpu.system import SystemSampler


def _driver_answers() -> bool:
    try:
        pynvml.nvmlInit()
        pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return False
    return True


without_driver = pytest.mark.skipif(_driver_answers(), reason="this machine has an NVIDIA driver")


@without_driver
def test_without_a_driver_nvml_says_so_in_one_sentence() -> None:
    with pytest.raises(SamplerUnavailable, match=r"^NVML does not answer \(.*\): is the NVIDIA driver installed\?$"):
        build_sampler("nvml")


@without_driver
def test_without_a_driver_auto_samples_the_machine_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert isinstance(build_sampler("auto"), SystemSampler)
    assert len(caplog.records) == 1


class _Driver:
    """What the binding would answer for one card; `fail` makes a call raise an NVML error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failures: dict[str, int] = {}
        self.calls: list[str] = []
        answers: dict[str, Callable[..., Any]] = {
            "nvmlInit": lambda: None,
            "nvmlShutdown": lambda: None,
            "nvmlSystemGetDriverVersion": lambda: b"575.57",
            "nvmlDeviceGetCount": lambda: 1,
            "nvmlDeviceGetHandleByIndex": lambda index: f"handle {index}",
            "nvmlDeviceGetUUID": lambda _: "GPU-1",
            "nvmlDeviceGetName": lambda _: "NVIDIA Test 12GB",
            "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(used=3 << 30, total=12 << 30),
            "nvmlDeviceGetUtilizationRates": lambda _: SimpleNamespace(gpu=50, memory=25),
            "nvmlDeviceGetPowerUsage": lambda _: 150_000,
            "nvmlDeviceGetEnforcedPowerLimit": lambda _: 200_000,
            "nvmlDeviceGetTotalEnergyConsumption": lambda _: 7_000,
            "nvmlDeviceGetTemperature": lambda _, __: 61,
            "nvmlDeviceGetClockInfo": lambda _, kind: {1: 1900, 2: 9000}[kind],
            "nvmlDeviceGetCurrentClocksThrottleReasons": lambda _: 0x1 | 0x4 | 0x40,
            "nvmlDeviceGetTotalEccErrors": lambda _, kind, __: kind,
        }
        for name, answer in answers.items():
            monkeypatch.setattr(pynvml, name, self._wrapped(name, answer))

    def _wrapped(self, name: str, answer: Callable[..., Any]) -> Callable[..., Any]:
        assert callable(getattr(pynvml, name)), "a name that the real binding does not have"

        def call(*arguments: Any) -> Any:
            self.calls.append(name)
            if name in self.failures:
                raise pynvml.NVMLError(self.failures[name])
            return answer(*arguments)

        return call


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> _Driver:
    return _Driver(monkeypatch)


def test_a_card_is_read_in_the_units_of_the_record(driver: _Driver) -> None:
    (sample,) = NvmlSampler().sample(5.0)
    assert (sample.at, sample.device_id, sample.device_type) == (5.0, "GPU-1", "gpu")
    assert (sample.device_model, sample.driver_version) == ("NVIDIA Test 12GB", "575.57")
    assert (sample.utilization, sample.memory_controller_utilization) == (0.5, 0.25)
    assert (sample.memory_used_bytes, sample.memory_utilization) == (3 << 30, 0.25)
    assert (sample.power_w, sample.power_limit_w, sample.energy_j) == (150.0, 200.0, 7.0)
    assert (sample.temperature_c, sample.clock_sm_hz, sample.clock_memory_hz) == (61.0, 1.9e9, 9e9)
    assert sample.throttle_reasons == ("sw_power_cap", "hw_thermal")
    assert (sample.ecc_corrected, sample.ecc_uncorrected) == (0, 1)


def test_handles_are_asked_for_once(driver: _Driver) -> None:
    sampler = NvmlSampler()
    for now in range(5):
        sampler.sample(float(now))
    assert driver.calls.count("nvmlDeviceGetHandleByIndex") == driver.calls.count("nvmlInit") == 1


@pytest.mark.parametrize(
    ("call", "attribute"),
    [
        ("nvmlDeviceGetMemoryInfo", "memory_used_bytes"),
        ("nvmlDeviceGetUtilizationRates", "utilization"),
        ("nvmlDeviceGetPowerUsage", "power_w"),
        ("nvmlDeviceGetTotalEnergyConsumption", "energy_j"),
        ("nvmlDeviceGetTotalEccErrors", "ecc_corrected"),
    ],
)
def test_what_a_card_does_not_have_is_none_and_is_not_asked_again(driver: _Driver, call: str, attribute: str) -> None:
    driver.failures[call] = pynvml.NVML_ERROR_NOT_SUPPORTED
    sampler = NvmlSampler()
    assert getattr(sampler.sample(1.0)[0], attribute) is None
    asked = driver.calls.count(call)
    assert sampler.sample(2.0)[0].temperature_c == 61.0
    assert driver.calls.count(call) == asked


def test_a_passing_error_costs_one_value_once(driver: _Driver) -> None:
    sampler = NvmlSampler()
    driver.failures["nvmlDeviceGetPowerUsage"] = pynvml.NVML_ERROR_UNKNOWN
    assert sampler.sample(1.0)[0].power_w is None
    driver.failures.clear()
    assert sampler.sample(2.0)[0].power_w == 150.0


def test_a_lost_driver_is_told_once_and_awaited(driver: _Driver, caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    sampler = NvmlSampler(clock=lambda: now[0])
    driver.failures = {
        "nvmlDeviceGetUtilizationRates": pynvml.NVML_ERROR_GPU_IS_LOST,
        "nvmlInit": pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
    }
    for second in range(30):
        now[0] = float(second)
        assert list(sampler.sample(now[0])) == []
    assert driver.calls.count("nvmlInit") == 1 + 2
    assert len(caplog.records) == 1
    driver.failures.clear()
    now[0] = 60.0
    assert len(sampler.sample(60.0)) == 1


def test_a_driver_without_cards_is_no_gpu(driver: _Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 0)
    with pytest.raises(SamplerUnavailable):
        NvmlSampler()
    assert driver.calls[-1] == "nvmlShutdown"
