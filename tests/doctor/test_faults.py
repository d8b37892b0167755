"""Each fault, planted alone on a sound machine, is found, with why and what mends it."""

from __future__ import annotations

import email.utils
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pynvml
import pytest

from llmops.doctor import collect_cards
from llmops.doctor.card_checks import check_driver
from llmops.doctor.facts import DiskFacts, GpuFacts
from llmops.doctor.machine_checks import check_disk
from llmops.store import open_store
from tests.doctor.planting import GIB, TORCH, Machine, showing_date
from tests.elastic.answering import Asked, answering
from tests.store.events import request

OF_THIS_MACHINE = {"memory", "disk"}
NOBODY = 65534
PAGE_BYTES = 8192


def test_a_sound_machine_has_no_fault(machine: Machine) -> None:
    found = machine.examine()
    assert {name for name, each in found.items() if each["state"] != "ok"} <= OF_THIS_MACHINE
    assert "NVML answers: driver 570.86, runs CUDA up to 12.8; 1 x NVIDIA Test 12GB." in found["gpu driver"]["why"]
    assert "elasticsearch" not in found, "nobody uses it"


def test_a_port_that_another_program_has(machine: Machine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        machine.dial("serve.port", str(port))
        found = machine.examine()["port"]
    assert found["state"] == "error"
    assert found["why"].startswith(f"127.0.0.1:{port} is taken")
    assert f"({os.getpid()})" in found["why"]
    assert found["command"].startswith(f"llmops up --port {port + 1}")


def test_a_state_directory_that_is_not_ours(machine: Machine) -> None:
    machine.state.mkdir()
    if os.geteuid() == 0:
        os.chown(machine.state, NOBODY, NOBODY)
        assert machine.examine()["state"]["why"].startswith(f"{machine.state} belongs to user {NOBODY}, and we are 0")
    else:
        machine.state.chmod(0o500)
        found = machine.examine()["state"]
        machine.state.chmod(0o700)
        assert (found["state"], "permission denied" in found["why"]) == ("error", True)


@pytest.mark.parametrize("name", ["api-keys.json", "user-hash.key", "ship/key"])
def test_a_key_that_others_may_read(machine: Machine, name: str) -> None:
    path = machine.state / name
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    path.chmod(0o644)
    machine.dial("elastic.url", "http://127.0.0.1:1")
    found = machine.examine()["permissions"]
    assert found["state"] == "error"
    assert found["why"] == f"{path} holds a secret, and others on this machine may read it (mode 644)."
    assert found["command"] == f"chmod go-rwx {path}"
    subprocess.run(["sh", "-c", found["command"]], check=True)
    assert "permissions" not in machine.examine()


def test_a_settings_file_with_a_secret_that_others_may_read(machine: Machine) -> None:
    path = machine.work / "llmops.toml"
    path.write_text('[alerts]\nwebhook_secret = "hush"\n')
    path.chmod(0o644)
    assert "llmops.toml holds a secret" in machine.examine()["permissions"]["why"]


def test_a_journal_that_cannot_be_written(machine: Machine) -> None:
    machine.state.mkdir()
    (machine.state / "journal").write_text("in the way")
    found = machine.examine()["journal"]
    assert found["state"] == "error"
    assert "(not a directory): nothing is recorded." in found["why"]


def test_a_store_that_is_damaged(machine: Machine) -> None:
    path = machine.state / "llmops.sqlite"
    store = open_store(path)
    store.record([request(1_700_000_000.0 + number) for number in range(500)])
    store.close()
    assert machine.examine()["store"]["why"] == "The record holds 500 events and is sound."
    size = path.stat().st_size
    for share in (1, 16):  # one page, which nobody reads when the file is opened; then most of it
        with path.open("r+b") as file:
            file.seek(size // 2 // PAGE_BYTES * PAGE_BYTES)
            file.write(b"\xff" * PAGE_BYTES * share)
        found = machine.examine()["store"]
        assert (found["state"], found["command"].split("  ")[0]) == ("error", "llmops watch")


def test_a_dial_that_cannot_be_used(machine: Machine) -> None:
    (machine.work / "llmops.toml").write_text('[engine]\nmax_running = "many"\n')
    found = machine.examine()
    assert found["dials"]["state"] == "error"
    assert "engine.max_running in llmops.toml is 'many'" in found["dials"]["why"]
    assert str(machine.state) in found["state"]["why"], "the flag counts all the same"


def test_an_elasticsearch_of_the_version_before(machine: Machine) -> None:
    def eight(asked: Asked) -> tuple[int, object]:
        if "compatible-with=9" in asked.accept:
            return 400, {"error": {"type": "media_type_header_exception", "reason": "Invalid media-type"}}
        return 200, {"version": {"number": "8.17.0"}}

    with answering(eight) as url:
        machine.dial("elastic.url", url)
        found = machine.examine()["elasticsearch"]
    assert (found["state"], "8.17.0" in found["why"], "9.x" in found["why"]) == ("error", True, True)


def test_an_elasticsearch_that_is_of_our_version_is_ok_and_one_that_says_eight_is_not(machine: Machine) -> None:
    for number, state in (("9.1.0", "ok"), ("8.19.1", "error")):
        with answering(lambda _, number=number: (200, {"version": {"number": number}})) as url:  # type: ignore[misc]
            machine.dial("elastic.url", url)
            assert machine.examine()["elasticsearch"]["state"] == state


def test_an_elasticsearch_that_is_not_there(machine: Machine) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        machine.dial("elastic.url", url)
        found = machine.examine()["elasticsearch"]
    assert found["why"].startswith(f"No Elasticsearch answers at {url}")
    assert found["command"].startswith(f"curl -sS {url}")


@pytest.mark.parametrize(("off_s", "side"), [(3600, "ahead of"), (-3600, "behind")])
def test_a_clock_that_is_an_hour_off(machine: Machine, off_s: int, side: str) -> None:
    with showing_date(email.utils.formatdate(time.time() + off_s, usegmt=True)) as url:
        machine.dial("engine.kind", "upstream")
        machine.dial("engine.upstream_url", url)
        found = machine.examine()["clock"]
    assert found["state"] == "warning"
    assert f"{side} ours" in found["why"]
    assert "timedatectl" in found["command"]


def test_a_clock_that_agrees(machine: Machine) -> None:
    with showing_date(email.utils.formatdate(time.time(), usegmt=True)) as url:
        machine.dial("engine.kind", "upstream")
        machine.dial("engine.upstream_url", url)
        assert machine.examine()["clock"]["why"] == "Our clock agrees with the upstream."


def test_a_torch_that_is_newer_than_the_driver(machine: Machine) -> None:
    machine.library("torch", TORCH.replace("12.8", "13.0").replace("lambda: True, get", "lambda: False, get"))
    found = machine.examine()["torch"]
    assert found["state"] == "error"
    assert "is built for CUDA 13.0, and driver 570.86 runs CUDA up to 12.8" in found["why"]
    assert found["command"].endswith(" torch --torch-backend=cu128")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("raise ImportError('libbitsandbytes_cuda128.so: no such file')", "cannot be imported (ImportError: libbits"),
        ("import os\nos.abort()", "crashed with SIGABRT"),
        ("import ctypes\nctypes.string_at(0)", "crashed with SIGSEGV"),
        ("import sys\nsys.exit(0)", "gave an answer that can't be read"),
    ],
)
def test_a_bitsandbytes_that_cannot_be_loaded(machine: Machine, text: str, why: str) -> None:
    machine.library("bitsandbytes/__init__", text)
    found = machine.examine()["bitsandbytes"]
    assert (found["state"], why in found["why"]) == ("warning", True)
    machine.dial("engine.quantization", "nf4")
    assert machine.examine()["bitsandbytes"]["state"] == "error", "the dials ask for it"


def test_a_torch_that_never_comes_back_is_not_waited_for(machine: Machine) -> None:
    machine.library("torch", "import time\ntime.sleep(60)")
    begin = time.monotonic()
    facts = collect_cards.torch_facts(timeout_s=1.0)
    assert facts.broken == "gave no answer within 1 s"
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(("number", "why"), [(18, "different versions"), (9, "not loaded"), (4, "may not ask")])
def test_a_driver_that_cannot_be_asked(machine: Machine, number: int, why: str) -> None:
    machine.driver["fail.nvmlInitWithFlags"] = number
    facts = collect_cards.gpu_facts(machine.state, timeout_s=20.0)
    found = check_driver(GpuFacts(problem=facts.problem, told=facts.told, is_on_bus=True))
    assert (found.state, why in found.why) == ("error", True)
    if number == 18:
        assert machine.examine()["gpu driver"]["command"] == "sudo reboot"


def test_a_card_without_its_library_is_an_error_and_no_card_is_the_cpu(machine: Machine, tmp_path: Path) -> None:
    machine.driver["fail.nvmlInitWithFlags"] = pynvml.NVML_ERROR_LIBRARY_NOT_FOUND
    bare = collect_cards.gpu_facts(machine.state, timeout_s=20.0, root=tmp_path)
    assert check_driver(bare).state == "ok"
    assert "runs on the CPU" in check_driver(bare).why
    device = tmp_path / "sys" / "bus" / "pci" / "devices" / "0000:01:00.0"
    device.mkdir(parents=True)
    (device / "vendor").write_text("0x10de\n")
    (device / "class").write_text("0x030200\n")
    found = check_driver(collect_cards.gpu_facts(machine.state, timeout_s=20.0, root=tmp_path))
    assert (found.state, "libnvidia-ml.so.1" in found.why) == ("error", True)


def test_memory_of_the_card_that_another_process_holds(machine: Machine) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        machine.driver[0, "compute0"], machine.driver[0, "compute0.used"] = other.pid, 8 * GIB
        machine.driver[0, "memory.used"] = 8 * GIB
        found = machine.examine()["vram"]
        mends = "nvidia-smi" if collect_cards.is_contained() else f"kill {other.pid}"
        assert (found["state"], found["command"].split("  ")[0]) == ("warning", mends)
        assert f"({other.pid}) 8.0 GiB" in found["why"]
        (machine.state / "run").mkdir(parents=True)
        (machine.state / "run" / "serve-8000.json").write_text(f'{{"process_id": {other.pid}}}')
        ours = machine.examine()["vram"]
        assert (ours["state"], "serve holds 8.0 GiB" in ours["why"]) == ("ok", True)
        other.communicate(b"\n")


@pytest.mark.parametrize(
    ("free_bytes", "free_files", "state"),
    [(GIB // 2, 9, "error"), (3 * GIB // 2, 9, "warning"), (50 * GIB, 0, "error")],
)
def test_a_disk_that_is_nearly_full(free_bytes: int, free_files: int, state: str) -> None:
    disk = DiskFacts(path=Path("/a b"), total_bytes=100 * GIB, free_bytes=free_bytes, free_files=free_files)
    found = check_disk(disk, fire=0.001, fire_bytes=GIB, clear=0.002, clear_bytes=2 * GIB)
    assert found.state == state
    assert "'/a b'" in (found.command or ""), "the command can be pasted"
