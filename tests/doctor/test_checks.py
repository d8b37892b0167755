"""The checks alone: facts in, finding out."""

from __future__ import annotations

import pytest

from llmops.doctor.card_checks import check_driver, check_evenness, check_links, check_memory, check_nccl
from llmops.doctor.collect_machine import ahead
from llmops.doctor.exposure_checks import check_exposure
from llmops.doctor.facts import (
    BitsandbytesFacts,
    Card,
    ClockFacts,
    ExposureFacts,
    GpuFacts,
    Holder,
    MemoryFacts,
    PortFacts,
    TorchFacts,
)
from llmops.doctor.finding import Finding, exit_code, ok
from llmops.doctor.library_checks import check_bitsandbytes, check_torch, has_code_for
from llmops.doctor.machine_checks import check_clock, check_port
from llmops.doctor.machine_checks import check_memory as check_ram

GIB = 1 << 30
CARD = Card(name="card", id="GPU-0", used_bytes=GIB, total_bytes=12 * GIB, capability=(8, 9))
TWO = GpuFacts(driver="570", cuda=(12, 8), cards=(CARD, CARD))
TORCH = TorchFacts(version="2.13", cuda="12.8", cuda_available=True, architectures=("sm_80",), nccl="2.27.5")


def states(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(each.check, each.state) for each in findings]


def test_the_exit_code_is_that_of_the_worst() -> None:
    assert exit_code([]) == exit_code([ok("a", "b")]) == 0
    assert exit_code([ok("a", "b"), Finding(check="a", state="warning", why="")]) == 1
    assert exit_code([Finding(check="a", state="error", why=""), Finding(check="a", state="warning", why="")]) == 2


def test_a_driver_that_shows_no_card_is_an_error_only_where_one_is_in_the_machine() -> None:
    assert check_driver(GpuFacts()).state == "ok"
    assert check_driver(GpuFacts(is_on_bus=True)).state == "error"
    assert check_driver(GpuFacts(problem="failed", told="NVML gave no answer within 60 s")).state == "error"


@pytest.mark.parametrize(
    ("changed", "state", "word"),
    [
        ({}, "ok", "sees the GPU"),
        ({"broken": "crashed with SIGSEGV"}, "error", "crashed"),
        ({"cuda": None}, "error", "the CPU alone"),
        ({"cuda": None, "rocm": "6.4"}, "error", "ROCm"),
        ({"cuda": "13.0"}, "error", "can't be used"),
        ({"cuda": "12.9"}, "warning", "same major version"),
        ({"cuda": "12.10"}, "warning", "same major version"),
        ({"cuda": "11.8"}, "ok", "sees the GPU"),
        ({"cuda_available": False, "complaint": "Error 802"}, "error", "Error 802"),
        ({"architectures": ("sm_100", "sm_120")}, "error", "compute capability 8.9"),
        ({"architectures": ()}, "ok", "sees the GPU"),
    ],
)
def test_torch_is_held_against_driver_and_card(changed: dict[str, object], state: str, word: str) -> None:
    values = {each: getattr(TORCH, each) for each in TORCH.__dataclass_fields__} | changed
    found = check_torch(TorchFacts(**values), GpuFacts(driver="570", cuda=(12, 8), cards=(CARD,)))
    assert (found.state, word in found.why) == (state, True)


def test_torch_is_no_error_where_the_engine_does_without() -> None:
    assert check_torch(TorchFacts(broken="is gone"), GpuFacts(), is_needed=False).state == "warning"
    assert check_torch(TorchFacts(version="2.13+cpu"), GpuFacts()).state == "ok"
    assert check_torch(TorchFacts(version="2.13+cpu"), TWO, is_needed=False).why == "torch 2.13+cpu is not used."
    assert check_torch(TorchFacts(version="2.13+cpu"), TWO, uses_gpu=False).state == "ok"


def test_a_driver_too_old_for_every_build_is_to_be_renewed() -> None:
    old = GpuFacts(driver="470", cuda=(11, 4), cards=(CARD,))
    assert "a newer driver" in (check_torch(TORCH, old).command or "")


def test_machine_code_runs_on_its_major_version_and_ptx_on_newer_cards() -> None:
    assert has_code_for((8, 9), ("sm_80",))
    assert not has_code_for((8, 0), ("sm_86",))
    assert not has_code_for((12, 0), ("sm_80", "sm_90"))
    assert has_code_for((12, 0), ("sm_90a", "sm_120"))
    assert has_code_for((12, 0), ("compute_90",))
    assert has_code_for((9, 0), ("gfx", "sm_x"))


def test_bitsandbytes_is_an_error_where_the_dials_ask_for_it() -> None:
    cpu = BitsandbytesFacts(version="0.50")
    assert check_bitsandbytes(cpu, GpuFacts(), quantization="nf4").state == "ok"
    assert check_bitsandbytes(cpu, TWO, quantization="nf4").state == "error"
    wrong = BitsandbytesFacts(version="0.50", computes=False)
    assert check_bitsandbytes(wrong, GpuFacts(), quantization="none").state == "warning"


def test_memory_of_a_card_is_told_by_holder() -> None:
    def found(*holders: Holder, used: int = 8) -> Finding:
        card = Card(name="card", used_bytes=used * GIB, total_bytes=12 * GIB, holders=holders)
        return next(iter(check_memory(GpuFacts(cards=(card,)))))

    ours = Holder(pid=1, name="llmops", used_bytes=7 * GIB, is_ours=True)
    assert found(ours).state == "ok"
    assert found(used=1).state == "ok"
    assert "held by nobody that can be seen" in found().why
    theirs = Holder(pid=2, name=None, used_bytes=None)
    assert "a process of another container or user (2)" in found(theirs).why
    many = tuple(Holder(pid=pid, name="x", used_bytes=GIB) for pid in range(2, 9))
    assert "and 3 more" in found(*many).why
    assert next(iter(check_memory(GpuFacts(cards=(Card(name="shared"),))))).state == "ok"


def test_nobody_is_told_to_end_a_process_by_a_number_of_another_namespace() -> None:
    theirs = Holder(pid=2, name="python", used_bytes=8 * GIB)
    card = Card(name="card", used_bytes=8 * GIB, total_bytes=12 * GIB, holders=(theirs,))
    (here,) = check_memory(GpuFacts(cards=(card,)))
    (contained,) = check_memory(GpuFacts(cards=(card,), is_contained=True))
    assert (here.command or "").startswith("kill 2")
    assert "kill" not in (contained.command or "")


def test_several_cards_are_looked_at_together_and_one_is_not() -> None:
    one = GpuFacts(cards=(CARD,))
    assert not [*check_links(one), *check_nccl(one, TORCH), *check_evenness(one, device_map=None, mean_use={})]
    up, down = Card(name="a", links={0: True, 1: True}), Card(name="b", links={0: True, 1: False})
    assert states(list(check_links(GpuFacts(cards=(up, up), peers={(0, 1): True})))) == [
        ("nvlink", "ok"),
        ("peer access", "ok"),
    ]
    broken = list(check_links(GpuFacts(cards=(up, down), peers={(0, 1): False})))
    assert states(broken) == [("nvlink", "warning"), ("peer access", "warning")]
    assert "GPU 1: 1 of 2 up" in broken[0].why
    assert "over PCIe" in next(iter(check_links(TWO))).why


def test_nccl_is_told_or_missed() -> None:
    assert states(list(check_nccl(TWO, TORCH))) == [("nccl", "ok")]
    without = TorchFacts(version="2.13", cuda="12.8", cuda_available=True)
    assert states(list(check_nccl(TWO, without))) == [("nccl", "warning")]


def test_uneven_cards_are_told_with_the_usual_cause() -> None:
    busy, idle = Card(name="a", id="A", utilization=0.9), Card(name="b", id="B", utilization=0.0)
    pair = GpuFacts(cards=(busy, idle))
    (found,) = check_evenness(pair, device_map=None, mean_use={})
    assert (found.state, "unless engine.device_map" in found.why) == ("warning", True)
    (found,) = check_evenness(pair, device_map="auto", mean_use={"A": 0.9, "B": 0.1})
    assert "whole layers" in found.why
    assert "over the last hour" in found.why
    (found,) = check_evenness(pair, device_map=None, mean_use={"A": 0.5, "B": 0.5})
    assert found.state == "ok"
    (found,) = check_evenness(GpuFacts(cards=(CARD, CARD)), device_map=None, mean_use={})
    assert "none tells its use" in found.why


@pytest.mark.parametrize(("available", "state"), [(0.1, "error"), (1.0, "warning"), (8.0, "ok")])
def test_little_memory_is_told(available: float, state: str) -> None:
    assert check_ram(MemoryFacts(total_bytes=16 * GIB, available_bytes=int(available * GIB))).state == state


@pytest.mark.parametrize(
    ("refused", "word"), [("EACCES", "below 1024"), ("EADDRNOTAVAIL", "no address"), ("EAFNOSUPPORT", "EAFNOSUPPORT")]
)
def test_an_address_that_cannot_be_had_says_why(refused: str, word: str) -> None:
    found = check_port(PortFacts(host="192.0.2.1", port=80, refused=refused))
    assert (found.state, word in found.why) == ("error", True)


def test_a_serve_that_runs_may_have_its_port() -> None:
    assert check_port(PortFacts(host="", port=8000, refused="EADDRINUSE", is_serve=True)).state == "ok"
    assert "--port 0" in (check_port(PortFacts(host="", port=65535, refused="EADDRINUSE")).command or "")


def test_a_clock_is_off_by_no_more_than_the_way_and_the_whole_second_leave_open() -> None:
    assert ahead(10.0, 11.0, sent_at=10.5, came_at=10.6) == 0.0
    assert ahead(10.0, 11.0, sent_at=5.0, came_at=6.0) == 4.0
    assert ahead(10.0, 11.0, sent_at=20.0, came_at=21.0) == -9.0
    assert check_clock(ClockFacts(ahead_s={"serve": 1.5, "x": -1.9})).state == "ok"
    assert "behind ours" in check_clock(ClockFacts(ahead_s={"serve": 1.5, "x": -9.0})).why


@pytest.mark.parametrize(
    ("facts", "keys", "state", "word"),
    [
        (ExposureFacts(), "auto", "ok", "No serve answers"),
        (ExposureFacts(is_serve=True), "auto", "ok", "need a key"),
        (ExposureFacts(is_serve=True, running=("frpc",)), "auto", "ok", "serve.behind_proxy"),
        (ExposureFacts(is_serve=True, guarded_proxies=("nginx at http://127.0.0.1:80",)), "auto", "ok", "nginx at"),
        (ExposureFacts(is_serve=True, open_proxies=("nginx at http://127.0.0.1:80",)), "auto", "error", "nginx at"),
        (ExposureFacts(is_serve=True, gets_in=("a request for another host",)), "auto", "error", "another host"),
        (ExposureFacts(is_serve=True, gets_in=("a request for another host",)), "off", "warning", "is off"),
        (ExposureFacts(is_serve=True, open_proxies=("caddy at x",)), "off", "warning", "through caddy"),
    ],
)
def test_who_gets_in_without_a_key_is_told(facts: ExposureFacts, keys: str, state: str, word: str) -> None:
    found = check_exposure(facts, keys=keys, behind_proxy=False)
    assert (found.state, word in found.why) == (state, True)
