"""The real binding, and a library that stands in for NVIDIA's."""

from __future__ import annotations

import pynvml
import pytest

from llmops.gpu.nvml import NvmlSampler
from tests.gpu.driver import Driver


@pytest.fixture
def sampler(driver: Driver) -> NvmlSampler:
    driver.add()
    return NvmlSampler()


def test_a_card_is_read_in_the_units_of_the_record(sampler: NvmlSampler) -> None:
    (sample,) = sampler.sample(5.0)
    assert (sample.at, sample.device_id, sample.device_type) == (5.0, "GPU-0", "gpu")
    assert (sample.device_model, sample.vendor, sample.driver_version) == ("NVIDIA Test 0 12GB", "nvidia", "575.57")
    assert (sample.utilization, sample.memory_controller_utilization) == (0.5, 0.25)
    assert (sample.memory_used_bytes, sample.memory_limit_bytes) == (3 << 30, 12 << 30)
    assert sample.memory_utilization == 0.25
    assert (sample.power_w, sample.power_limit_w, sample.energy_j) == (150.0, 200.0, 7.0)
    assert (sample.temperature_c, sample.clock_sm_hz, sample.clock_memory_hz) == (61.0, 1.9e9, 9e9)
    assert sample.throttle_reasons == ("sw_power_cap", "hw_thermal")
    assert (sample.ecc_corrected, sample.ecc_uncorrected) == (5, 1)
    assert (sample.xid_count, sample.xid_last, sample.nvlink_active_links) == (0, None, 2)


def test_every_card_is_a_sample_with_numbers_of_its_own(driver: Driver) -> None:
    for _ in range(3):
        driver.add()
    driver[1, "temperature"] = 88
    driver[2, "xids"] = 79
    samples = NvmlSampler().sample(1.0)
    assert [sample.device_id for sample in samples] == ["GPU-0", "GPU-1", "GPU-2"]
    assert [sample.temperature_c for sample in samples] == [61.0, 88.0, 61.0]
    assert [sample.xid_count for sample in samples] == [0, 0, 1]


def test_handles_and_names_are_asked_for_once(driver: Driver, sampler: NvmlSampler) -> None:
    for now in range(5):
        sampler.sample(float(now))
    for function in ("nvmlInitWithFlags", "nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetUUID", "nvmlDeviceGetName"):
        assert driver.calls(function) == 1


@pytest.mark.parametrize(
    ("names", "function", "attribute"),
    [
        (["memory.used"], "nvmlDeviceGetMemoryInfo", "memory_used_bytes"),
        (["utilization.gpu"], "nvmlDeviceGetUtilizationRates", "utilization"),
        (["power"], "nvmlDeviceGetPowerUsage", "power_w"),
        (["power.limit"], "nvmlDeviceGetEnforcedPowerLimit", "power_limit_w"),
        (["energy"], "nvmlDeviceGetTotalEnergyConsumption", "energy_j"),
        (["clock.sm", "clock.memory"], "nvmlDeviceGetClockInfo", "clock_sm_hz"),
        (["ecc.corrected", "ecc.uncorrected"], "nvmlDeviceGetTotalEccErrors", "ecc_corrected"),
        (["link0", "link1", "link2"], "nvmlDeviceGetNvLinkState", "nvlink_active_links"),
        (["pcie.tx", "pcie.rx"], "nvmlDeviceGetPcieThroughput", "pcie_tx_bytes_per_s"),
        (["mig"], "nvmlDeviceGetMigMode", "device_type"),
    ],
)
def test_what_a_card_does_not_have_is_none_and_is_not_asked_again(
    driver: Driver, sampler: NvmlSampler, names: list[str], function: str, attribute: str
) -> None:
    for name in names:
        del driver[0, name]
    first = sampler.sample(1.0)[0]
    assert getattr(first, attribute) in (None, "gpu")
    asked = driver.calls(function)
    assert sampler.sample(2.0)[0].temperature_c == 61.0
    assert driver.calls(function) == asked


def test_a_passing_error_costs_one_value_once(driver: Driver, sampler: NvmlSampler) -> None:
    driver["fail.nvmlDeviceGetPowerUsage"] = pynvml.NVML_ERROR_UNKNOWN
    assert sampler.sample(1.0)[0].power_w is None
    del driver["fail.nvmlDeviceGetPowerUsage"]
    assert sampler.sample(2.0)[0].power_w == 150.0


def test_older_drivers_are_asked_by_older_names(driver: Driver, sampler: NvmlSampler) -> None:
    driver["fail.nvmlDeviceGetCurrentClocksEventReasons"] = pynvml.NVML_ERROR_FUNCTION_NOT_FOUND
    for now in (1.0, 2.0):
        assert sampler.sample(now)[0].throttle_reasons == ("sw_power_cap", "hw_thermal")
    assert driver.calls("nvmlDeviceGetCurrentClocksEventReasons") == 1


def test_traffic_is_what_its_counters_grew_by(driver: Driver, sampler: NvmlSampler) -> None:
    assert sampler.sample(10.0)[0].pcie_tx_bytes_per_s is None, "nothing to compare with yet"
    driver[0, "pcie.tx"] = 5_000_000
    sample = sampler.sample(12.0)[0]
    assert (sample.pcie_tx_bytes_per_s, sample.pcie_rx_bytes_per_s) == (2e6, 0.0)
    driver[0, "pcie.tx"] = 7
    assert sampler.sample(13.0)[0].pcie_tx_bytes_per_s is None, "a counter that wrapped"
    driver[0, "pcie.tx"] = 1007
    assert sampler.sample(14.0)[0].pcie_tx_bytes_per_s == 1000.0
    assert sampler.sample(14.0)[0].pcie_tx_bytes_per_s is None, "no time has passed"
    assert driver.calls("nvmlDeviceGetPcieThroughput") == 0


def test_traffic_of_a_card_without_counters_is_what_nvml_measures(driver: Driver, sampler: NvmlSampler) -> None:
    del driver[0, "pcie.tx"]
    driver[0, "pcie.tx.kb"], driver[0, "pcie.rx.kb"] = 300, 400
    for now in (1.0, 2.0):
        sample = sampler.sample(now)[0]
        assert (sample.pcie_tx_bytes_per_s, sample.pcie_rx_bytes_per_s) == (300e3, 400e3)
    assert driver.calls("nvmlDeviceGetFieldValues") == 1


def test_errors_that_the_driver_reports_are_counted_without_those_of_programs(
    driver: Driver, sampler: NvmlSampler, caplog: pytest.LogCaptureFixture
) -> None:
    driver[0, "xids"] = "13,48,31"
    assert [(each.xid_count, each.xid_last) for each in sampler.sample(1.0)] == [(1, 48)]
    driver[0, "xids"] = "13,48,31,94,94"
    assert [(each.xid_count, each.xid_last) for each in sampler.sample(2.0)] == [(3, 94)]
    assert [(each.xid_count, each.xid_last) for each in sampler.sample(3.0)] == [(3, 94)]
    assert caplog.messages[0] == "the driver reports Xid 48 for GPU-0"


def test_a_card_that_cannot_report_errors_counts_none(driver: Driver) -> None:
    driver.add()
    del driver[0, "xids"]
    (sample,) = NvmlSampler().sample(1.0)
    assert (sample.xid_count, sample.temperature_c) == (None, 61.0)


def test_a_driver_without_events_samples_all_the_rest(driver: Driver) -> None:
    driver.add()
    driver["fail.nvmlEventSetCreate"] = pynvml.NVML_ERROR_NOT_SUPPORTED
    (sample,) = NvmlSampler().sample(1.0)
    assert (sample.xid_count, sample.temperature_c) == (None, 61.0)


def test_a_divided_card_is_a_sample_and_each_part_is_one_of_its_memory(driver: Driver, sampler: NvmlSampler) -> None:
    driver[0, "mig"] = 1
    del driver[0, "utilization.gpu"]
    for number, used in enumerate((1 << 30, 2 << 30)):
        driver[0, f"part{number}.uuid"] = f"MIG-{number}"
        driver[0, f"part{number}.name"] = "NVIDIA Test MIG 1g.5gb"
        driver[0, f"part{number}.memory.used"], driver[0, f"part{number}.memory.total"] = used, 5 << 30
    whole, first, second = sampler.sample(1.0)
    assert (whole.device_id, whole.utilization, whole.power_w) == ("GPU-0", None, 150.0)
    assert (first.device_id, first.device_name, first.device_type) == ("MIG-0", "NVIDIA Test MIG 1g.5gb", "gpu")
    assert (second.memory_used_bytes, second.memory_utilization, second.power_w) == (2 << 30, 0.4, None)
    del driver[0, "part0.uuid"]
    assert [sample.device_id for sample in sampler.sample(2.0)] == ["GPU-0", "MIG-1"]


def test_closing_gives_the_driver_back(driver: Driver, sampler: NvmlSampler) -> None:
    sampler.close()
    sampler.close()
    assert driver.calls("nvmlEventSetFree") >= 1
    with pytest.raises(pynvml.NVMLError):
        pynvml.nvmlDeviceGetCount()
        pynvml.nvmlShutdown()
        pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(0))
