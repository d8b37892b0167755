"""`llmops doctor` as a person runs it."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from llmops.cli import app
from tests.doctor.planting import Machine


def test_a_person_reads_state_check_why_and_the_command(machine: Machine) -> None:
    machine.library("bitsandbytes/__init__", "raise ImportError('\\x1b[2Jgone')")
    answer = CliRunner().invoke(app, ["doctor", "--state", str(machine.state)])
    assert answer.exit_code in (1, 2)
    assert "warning" in answer.stdout
    assert "$ pip install --force-reinstall 'bitsandbytes>=0.48'" in " ".join(answer.stdout.split())
    assert "\x1b" not in answer.stdout


def test_the_doctor_leaves_nothing_behind(machine: Machine) -> None:
    machine.examine()
    assert not machine.state.exists()
    (machine.state / "journal").mkdir(parents=True)
    machine.examine()
    assert [path.name for path in machine.state.rglob("*")] == ["journal"]


def test_a_torch_file_in_the_folder_one_stands_in_is_not_run(machine: Machine) -> None:
    (machine.work / "torch.py").write_text("raise SystemExit('run')")
    (machine.work / "pynvml.py").write_text("raise SystemExit('run')")
    assert machine.examine()["torch"]["state"] == "ok"


def test_a_state_directory_below_a_file_is_an_error_and_not_a_crash(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    machine.state = tmp_path / "file" / "below"
    assert machine.examine()["state"]["state"] == "error"


def test_several_cards_are_asked_about_each_other(machine: Machine) -> None:
    machine.add_card()
    found = machine.examine()
    assert "over PCIe" in found["nvlink"]["why"]
    assert found["nccl"]["why"] == "NCCL 2.27.5."
    assert found["gpu evenness"]["why"] == "No GPU waits for another (GPU 0 5 %, GPU 1 5 %, now)."


def test_the_page_names_every_check_and_no_other(machine: Machine) -> None:
    page = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.+?`) \| [^|]+ \|$", page, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    machine.add_card()
    machine.dial("elastic.url", "http://127.0.0.1:1")
    always = set(machine.examine())
    assert always | {"permissions", "peer access"} == named
