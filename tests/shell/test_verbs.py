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
