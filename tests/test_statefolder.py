"""The folder is found without the dials, and is the one that the dials say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmops.settings import load
from llmops.statefolder import quick_state_directory

FOLDERS = st.none() | st.sampled_from(["", "here", "~/there", "/somewhere/else", "a b", "."])


@pytest.fixture
def nothing_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty working folder, and an environment that names no dial."""
    for name in [*os.environ]:
        if name.upper().startswith("LLMOPS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    flag=FOLDERS,
    variable=FOLDERS,
    other=st.sampled_from(["", "/elsewhere"]),
)
def test_it_is_the_folder_of_the_dials(nothing_said: Path, flag: str | None, variable: str | None, other: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if variable is not None:
            patch.setenv("LLMOPS_STATE__DIRECTORY", variable)
        patch.setenv("llmops_state__directory", other)
        assert quick_state_directory(flag) in (None, load({"state.directory": flag}).settings.state.directory)
        assert (quick_state_directory(flag) is None) == bool(other)


@pytest.mark.parametrize(("said", "folder"), [("/xdg", "/xdg/llmops"), ("", "~/.local/state/llmops")])
def test_without_a_word_it_is_where_state_is_kept(
    nothing_said: Path, monkeypatch: pytest.MonkeyPatch, said: str, folder: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", said)
    assert quick_state_directory(None) == Path(folder).expanduser()


@pytest.mark.parametrize("name", ["LLMOPS_CONFIG", "LLMOPS_STATE", "LLMOPS_STATE__DIR", "LLMOPS_SERVE__PORT"])
def test_a_file_of_dials_a_section_as_json_and_what_may_be_mistyped_are_for_whoever_reads_all_of_them(
    nothing_said: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "anything")
    assert quick_state_directory("given") is None


def test_so_is_a_file_in_the_working_folder(nothing_said: Path) -> None:
    (nothing_said / "llmops.toml").touch()
    assert quick_state_directory(None) is None
