from __future__ import annotations

import pynvml
import pytest

from llmops.gpu.contract import SamplerUnavailable
from llmops.gpu.driver import (
    Process,
    bandwidth_of,
    facts,
    memory_bandwidth_bytes_per_s,
    processes,
    reaches,
    versions,
)
from llmops.gpu.driver import (
    driver as open_driver,
)
from tests.gpu.driver import Driver


def test_versions_are_as_people_write_them(driver: Driver) -> None:
    with open_driver():
        found = versions()
    assert (found.driver, found.cuda, found.nvml) == ("575.57", (12, 9), "12.575.57")


def test_a_driver_that_does_not_tell_its_cuda_is_no_reason_to_fail(driver: Driver) -> None:
    del driver["cuda.version"]
    with open_driver():
        assert versions().cuda is None


def test_a_card_in_full(driver: Driver) -> None:
    driver.add()
    driver[0, "mig"] = 1
    driver[0, "part3.uuid"], driver[0, "part3.name"] = "MIG-3", "a part"
    with open_driver() as (handle,):
        card = facts(handle)
    assert (card.id, card.name, card.compute_capability) == ("GPU-0", "NVIDIA Test 0 12GB", (8, 9))
    assert (card.memory_total_bytes, card.memory_used_bytes) == (12 << 30, 3 << 30)
    assert (card.pcie_bytes_per_s, card.utilization) == (32e9, 0.5)
    assert (card.links, card.parts, card.processes) == ({0: True, 1: False, 2: True}, ("MIG-3",), ())


@pytest.mark.parametrize(
    ("bits", "clock_mhz", "expected"),
    [(192, 10_501, 504.0e9), (384, 9_751, 936.1e9), (6144, 3_201, 4916.7e9)],
    ids=["RTX 4070", "RTX 3090", "H200"],
)
def test_bandwidth_is_what_the_data_sheets_say(bits: int, clock_mhz: int, expected: float) -> None:
    assert memory_bandwidth_bytes_per_s(bits, clock_mhz * 1e6) == pytest.approx(expected, rel=0.001)


def test_bandwidth_comes_from_the_card(driver: Driver) -> None:
    driver.add()
    with open_driver() as (handle,):
        assert bandwidth_of(handle) == pytest.approx(504.0e9, rel=0.001)
    del driver[0, "bus"]
    with open_driver() as (handle,):
        assert bandwidth_of(handle) is None


def test_processes_are_told_with_their_memory(driver: Driver) -> None:
    driver.add()
    driver[0, "graphics0"], driver[0, "graphics0.used"] = 7, 1 << 20
    driver[0, "graphics1"], driver[0, "graphics1.used"] = 900, 5 << 20
    driver[0, "compute0"], driver[0, "compute0.used"] = 900, 5 << 30
    driver[0, "compute1"] = 901
    driver["process.900"] = "/usr/bin/python3"
    with open_driver() as (handle,):
        found = processes(handle)
    assert found == (
        Process(pid=900, name="/usr/bin/python3", used_bytes=5 << 30),
        Process(pid=7, name=None, used_bytes=1 << 20),
        Process(pid=901, name=None, used_bytes=None),
    )


def test_peers_reach_each_other_or_not_or_nobody_knows(driver: Driver) -> None:
    driver.add()
    driver.add()
    driver[1, "peer"] = pynvml.NVML_P2P_STATUS_CHIPSET_NOT_SUPPORTED
    with open_driver() as (first, second):
        assert (reaches(first, second), reaches(second, first)) == (True, False)
        del driver[0, "peer"]
        assert reaches(first, second) is None


def test_without_a_driver_it_is_one_sentence(driver: Driver) -> None:
    driver["driver"] = 0
    sentence = r"^NVML does not answer \(.*\): is the NVIDIA driver installed\?$"
    with pytest.raises(SamplerUnavailable, match=sentence), open_driver():
        pass


def test_a_driver_that_goes_away_meanwhile_is_the_same_sentence(driver: Driver) -> None:
    driver.add()
    with pytest.raises(SamplerUnavailable), open_driver() as (handle,):
        driver["driver"] = 0
        facts(handle)


def test_a_card_that_is_away_is_left_out(driver: Driver) -> None:
    driver.add()
    driver.add()
    driver[0, "gone"] = pynvml.NVML_ERROR_GPU_IS_LOST
    with open_driver() as handles:
        assert [facts(handle).id for handle in handles] == ["GPU-1"]


@pytest.mark.parametrize("cards", [1, 0])
def test_the_stand_in_forgets_the_test_before(driver: Driver, cards: int) -> None:
    driver["cards"] = cards
    with open_driver() as handles:
        assert len(handles) == cards
