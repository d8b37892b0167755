"""The command line: a verb is answered by its own part alone, as the whole would."""

from __future__ import annotations

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from llmops.cli import app, app_for

VERBS = sorted(get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_answered_by_its_part_as_by_the_whole(verb: str) -> None:
    part = app_for([verb, "--help"])
    assert len(get_command(part).commands) < len(VERBS)  # type: ignore[attr-defined]
    told, expected = (CliRunner().invoke(each, [verb, "--help"]) for each in (part, app))
    assert (told.exit_code, told.output) == (0, expected.output)


@pytest.mark.parametrize("words", [[], ["--help"], ["--version"], ["nonsense"], [""]])
def test_without_a_verb_the_whole_answers(words: list[str]) -> None:
    assert app_for(words) is app


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["slo", "--json", "report"], "write --json after report: "),
        (["slo", "--state", "elsewhere", "status"], "write --state after status: "),
        (["alerts", "--json", "history"], "write --json after history: "),
        (["bench", "--url", "http://127.0.0.1:9", "quality"], "write --url after quality: "),
    ],
)
def test_a_flag_of_the_group_is_not_forgotten_by_its_verbs(words: list[str], told: str) -> None:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert told in done.stderr
