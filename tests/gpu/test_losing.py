"""Cards that are pulled out, drivers that go away, and both come back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pynvml
import pytest

from llmops.gpu.contract import SamplerUnavailable
from llmops.gpu.nvml import NvmlSampler, attached_cards
from tests.gpu.driver import Driver


class Machine:
    """Two cards, a sampler, and a clock that the test turns."""

    def __init__(self, driver: Driver) -> None:
        self.now = 0.0
        self.driver = driver
        driver.add()
        driver.add()
        self.sampler = NvmlSampler(clock=lambda: self.now)

    def ids(self, *, after_s: float = 1.0) -> list[str]:
        """Of the samples, a while later."""
        self.now += after_s
        return [sample.device_id for sample in self.sampler.sample(self.now)]


@pytest.fixture
def machine(driver: Driver) -> Machine:
    return Machine(driver)


def test_a_card_that_is_pulled_out_leaves_the_other_one(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    machine.driver[0, "gone"] = pynvml.NVML_ERROR_GPU_IS_LOST
    assert [machine.ids() for _ in range(30)] == [["GPU-1"]] * 30
    assert caplog.messages == ["NVIDIA Test 0 12GB (GPU-0) is away (GPU is lost): trying again every 60 s"]
    assert machine.driver.calls("nvmlInitWithFlags") == 1


def test_a_card_that_comes_back_is_found_within_a_minute(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    machine.driver[0, "gone"] = pynvml.NVML_ERROR_GPU_IS_LOST
    machine.ids()
    assert machine.ids(after_s=70) == ["GPU-1"], "looked for, and not there yet"
    del machine.driver[0, "gone"]
    assert machine.ids(after_s=30) == ["GPU-1"]
    assert machine.ids(after_s=40) == ["GPU-0", "GPU-1"]
    assert caplog.messages[-1] == "NVIDIA Test 0 12GB (GPU-0) is back"
    asked = machine.driver.calls("nvmlInitWithFlags")
    assert machine.ids(after_s=600) == ["GPU-0", "GPU-1"]
    assert machine.driver.calls("nvmlInitWithFlags") == asked


def test_what_a_card_could_not_tell_is_asked_again_after_it_was_away(machine: Machine) -> None:
    del machine.driver[0, "power"]
    machine.ids()
    machine.driver[0, "gone"] = pynvml.NVML_ERROR_RESET_REQUIRED
    machine.ids()
    del machine.driver[0, "gone"]
    machine.driver[0, "power"] = 99_000
    machine.now += 61
    assert machine.sampler.sample(1.0)[0].power_w == 99.0


def test_the_last_sample_of_a_card_tells_of_the_error_that_it_died_of(machine: Machine) -> None:
    machine.ids()
    machine.driver[1, "xids"] = 79
    machine.driver[1, "gone"] = pynvml.NVML_ERROR_GPU_IS_LOST
    machine.now += 1
    alive, dead = machine.sampler.sample(machine.now)
    assert (alive.xid_count, dead.device_id) == (0, "GPU-1")
    assert (dead.xid_count, dead.xid_last, dead.temperature_c) == (1, 79, None)
    del machine.driver[1, "gone"]
    machine.driver[1, "xids"] = "79,79"
    machine.now += 61
    machine.sampler.sample(machine.now)
    assert machine.sampler.sample(machine.now)[1].xid_count == 2, "counted on over its absence"


def test_a_card_that_answers_nothing_is_away(machine: Machine) -> None:
    functions = ("MemoryInfo", "UtilizationRates", "PowerUsage", "EnforcedPowerLimit", "TotalEnergyConsumption")
    more = ("Temperature", "ClockInfo", "CurrentClocksEventReasons", "TotalEccErrors", "FieldValues", "NvLinkState")
    for function in functions + more:
        machine.driver[0, f"nvmlDeviceGet{function}"] = pynvml.NVML_ERROR_UNKNOWN
    assert machine.ids() == ["GPU-1"]


def _unload(driver: Driver) -> None:
    driver["driver"] = 0


def _lose_all(driver: Driver) -> None:
    driver[0, "gone"] = driver[1, "gone"] = pynvml.NVML_ERROR_GPU_IS_LOST


def _update(driver: Driver) -> None:
    for function in ("nvmlDeviceGetMemoryInfo", "nvmlInitWithFlags"):
        driver[f"fail.{function}"] = pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH


@pytest.mark.parametrize("lose", [_unload, _lose_all, _update])
def test_a_lost_driver_is_told_once_and_looked_for_every_ten_seconds(
    machine: Machine, caplog: pytest.LogCaptureFixture, lose: Callable[[Driver], None]
) -> None:
    machine.ids()
    lose(machine.driver)
    assert [machine.ids() for _ in range(30)] == [[]] * 30
    assert machine.driver.calls("nvmlInitWithFlags") == 1 + 2
    assert len(caplog.records) == (2 if lose is _lose_all else 1)


def test_a_driver_that_is_back_is_found_with_new_handles(machine: Machine) -> None:
    machine.ids()
    machine.driver["driver"] = 0
    assert machine.ids() == []
    machine.driver["driver"] = 1
    assert machine.ids(after_s=11) == ["GPU-0", "GPU-1"]
    assert machine.sampler.sample(1.0)[0].temperature_c == 61.0


def test_a_driver_that_went_away_while_a_card_was_looked_for_is_told(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    machine.driver[0, "gone"] = pynvml.NVML_ERROR_GPU_IS_LOST
    machine.ids()
    machine.driver["driver"] = 0
    assert machine.ids(after_s=61) == []
    assert caplog.messages[-1].startswith("the GPU driver went away")


def test_a_driver_without_cards_is_no_gpu(driver: Driver) -> None:
    with pytest.raises(SamplerUnavailable, match=r"^NVML does not answer"):
        NvmlSampler()
    assert driver.calls("nvmlShutdown") == 1


def test_a_card_that_is_away_at_the_start_does_not_hide_the_other_one(driver: Driver) -> None:
    driver.add()
    driver.add()
    driver[0, "gone"] = pynvml.NVML_ERROR_GPU_IS_LOST
    assert [sample.device_id for sample in NvmlSampler().sample(1.0)] == ["GPU-1"]


def test_a_card_that_is_added_is_sampled_at_once(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    driver.add()
    attached = 1
    sampler = NvmlSampler(attached=lambda: attached)
    assert [sample.device_id for sample in sampler.sample(1.0)] == ["GPU-0"]
    driver.add()
    assert [sample.device_id for sample in sampler.sample(2.0)] == ["GPU-0"], "NVML counts once"
    attached = 2
    assert [sample.device_id for sample in sampler.sample(3.0)] == ["GPU-0", "GPU-1"]
    assert caplog.messages == ["NVIDIA Test 1 12GB (GPU-1) is new"]
    asked = driver.calls("nvmlInitWithFlags")
    attached = 1
    assert len(sampler.sample(4.0)) == 2, "whether it answers is asked of the card itself"
    assert driver.calls("nvmlInitWithFlags") == asked
    sampler.close()


def test_a_card_that_nvml_does_not_show_is_looked_for_once(driver: Driver) -> None:
    driver.add()
    attached = 1
    sampler = NvmlSampler(attached=lambda: attached)
    attached = 2
    assert [len(sampler.sample(now)) for now in (1.0, 2.0, 3.0)] == [1, 1, 1]
    assert driver.calls("nvmlInitWithFlags") == 2
    sampler.close()


def test_cards_that_the_driver_has_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmops.gpu.nvml._ATTACHED", tmp_path / "gpus")
    assert attached_cards() == 0
    for address in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / "gpus" / address).mkdir(parents=True)
    assert attached_cards() == 2
