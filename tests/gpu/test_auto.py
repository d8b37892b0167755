"""Which sampler a program gets, with a driver, without one, and with one that hangs."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time

import pytest

from llmops.gpu.auto import AutoSampler
from llmops.gpu.build import build_sampler
from llmops.gpu.contract import SamplerUnavailable
from llmops.gpu.nvml import NvmlSampler
from tests.gpu.driver import Driver

_WITHOUT = """
import logging
logging.basicConfig(level=logging.INFO, format="%(message)s")
from llmops.gpu.build import build_sampler
print([sample.device_type for now in range(100) for sample in build_sampler("auto").sample(now)][:1])
build_sampler("nvml")
"""


def test_without_a_library_auto_samples_the_machine_and_nvml_says_why_not() -> None:
    """In a process of its own, with a loader that finds nothing: this machine may have a driver."""
    done = subprocess.run([sys.executable, "-c", _WITHOUT], capture_output=True, text=True, check=False, env=_bare())
    if "NVML Shared Library Not Found" not in done.stderr:
        pytest.skip("this machine has an NVIDIA driver")
    assert done.stdout == "['cpu']\n"
    assert "no NVIDIA GPU answers here, so processor and memory are sampled: " in done.stderr
    assert "`--gpu pretend` shows what a card would look like." in done.stderr
    assert "SamplerUnavailable: NVML does not answer (NVML Shared Library Not Found):" in done.stderr
    assert done.stderr.rstrip().endswith("; `--gpu auto` does without.")


def _bare() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("LD_LIBRARY_PATH", "STANDIN_NVML")}


def test_auto_says_once_that_there_is_no_gpu(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    driver["driver"] = 0
    sampler = AutoSampler()
    for now in range(200):
        assert [sample.device_type for sample in sampler.sample(float(now))] == ["cpu"]
    assert len(caplog.records) == 1
    assert driver.calls("nvmlInitWithFlags") == 4, "once a minute"


def test_auto_samples_the_cards_once_there_are_some(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sampler = AutoSampler()
    assert [sample.device_type for sample in sampler.sample(0.0)] == ["cpu"]
    driver.add()
    assert [sample.device_type for sample in sampler.sample(30.0)] == ["cpu"]
    assert [sample.device_id for sample in sampler.sample(61.0)] == ["GPU-0"]
    assert caplog.messages[-1] == "an NVIDIA driver answers now: its cards are sampled"
    driver["driver"] = 0
    assert list(sampler.sample(62.0)) == [], "a lost card is silence, not a processor"
    sampler.close()


def test_a_clock_that_was_set_back_does_not_keep_auto_from_looking(driver: Driver) -> None:
    sampler = AutoSampler()
    sampler.sample(1e9)
    driver.add()
    assert [sample.device_id for sample in sampler.sample(5e8)] == ["GPU-0"]


def test_nvml_is_nvml_where_a_driver_answers(driver: Driver) -> None:
    driver.add()
    assert isinstance(build_sampler("nvml"), NvmlSampler)


def test_nvml_without_a_driver_says_what_is_here_and_what_does_without(driver: Driver) -> None:
    driver["driver"] = 0
    with pytest.raises(
        SamplerUnavailable, match=r"^NVML does not answer \(Driver Not Loaded\): .*`--gpu auto` does without\.$"
    ):
        build_sampler("nvml")


def test_a_driver_that_hangs_holds_up_nothing(driver: Driver) -> None:
    driver.add()
    driver["hang.nvmlInitWithFlags"] = 1
    started = time.monotonic()
    build_sampler("auto")
    with pytest.raises(SamplerUnavailable, match=r"^NVML has not answered for 0.2 s: if `nvidia-smi` hangs too"):
        build_sampler("nvml", driver_within_s=0.2)
    assert time.monotonic() - started < 5.0
    del driver["hang.nvmlInitWithFlags"]
