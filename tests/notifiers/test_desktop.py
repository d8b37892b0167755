"""A message on the desktop, through a real program of that name."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from llmops.notifiers import DeliveryFailed, Desktop
from tests.notifiers.notices import item, notification

KEEP = "import json, pathlib, sys; pathlib.Path(__file__).with_name('said').write_text(json.dumps(sys.argv[1:]))"


def program(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """The only `notify-send` there is."""
    path = folder / "notify-send"
    path.write_text(f"#!{sys.executable}\n{code}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_texts_are_arguments_whatever_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, KEEP)
    told = notification(item(name="显存 $(touch pwned); --help", reason="<b>bold</b> & \x1b[31m"))
    Desktop().deliver(told)
    *options, title, body = json.loads((tmp_path / "said").read_text())
    assert (options, title) == (["--app-name=llmops", "--urgency=critical", "--"], told.title)
    assert "＜b＞bold＜/b＞ ＆ " in body
    assert "显存 $(touch pwned)" in body
    assert body.isprintable()


@pytest.mark.parametrize(
    ("action", "severity", "urgency"),
    [("firing", "page", "critical"), ("repeat", "ticket", "normal"), ("resolved", "page", "low")],
)
def test_only_a_page_that_fires_is_critical(
    action: str, severity: str, urgency: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, monkeypatch, KEEP)
    Desktop().deliver(notification(item(action, severity=severity)))
    assert f"--urgency={urgency}" in json.loads((tmp_path / "said").read_text())


def test_a_machine_without_it_is_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeliveryFailed, match="there is no notify-send") as failed:
        Desktop().deliver(notification())
    assert failed.value.is_final


def test_one_that_fails_is_worth_another_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, "raise SystemExit(3)")
    with pytest.raises(DeliveryFailed, match="failed with status 3") as failed:
        Desktop().deliver(notification())
    assert not failed.value.is_final


def test_one_that_hangs_costs_a_timeout_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, "import time; time.sleep(30)")
    began = time.monotonic()
    with pytest.raises(DeliveryFailed, match="did not end in time"):
        Desktop(timeout_s=0.5).deliver(notification())
    assert time.monotonic() - began < 5.0
