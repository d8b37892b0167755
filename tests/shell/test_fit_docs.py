"""docs/fit.md shows what the tool prints, and counts what ships."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llmops.cli import app
from llmops.shell.fitting import read_known

PAGE = (Path(__file__).parents[2] / "docs" / "fit.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```\n\$ llmops (.*)\n([^`]*)```", PAGE)


@pytest.mark.parametrize(("command", "shown"), BLOCKS, ids=[command for command, _ in BLOCKS])
def test_a_block_of_the_page_is_what_the_tool_prints(command: str, shown: str) -> None:
    printed = CliRunner().invoke(app, shlex.split(command)).stdout
    assert "\n".join(line.rstrip() for line in printed.splitlines()) == shown.rstrip()


def test_the_page_answers_each_rule_of_thumb_with_a_block() -> None:
    assert len(BLOCKS) == 5


def test_the_page_counts_what_ships() -> None:
    known = read_known()
    assert f"the {len(known.models)} models that are known offline; --cards: {len(known.cards)} GPUs" in PAGE
