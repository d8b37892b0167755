"""The documents keep up with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llmops.api.errors import STATUS
from llmops.events.documents import EVENT_TYPES
from llmops.events.names import fields_of

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "README.zh-CN.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_every_field_that_is_written_is_documented_with_its_type() -> None:
    page = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    for event_type in EVENT_TYPES:
        for field, kind in fields_of(event_type).values():
            assert f"| `{field}` | {kind} |" in page


def test_every_slug_of_the_table_is_documented() -> None:
    page = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    routing = {"not_found", "method_not_allowed"}  # unknown paths, which leave no event
    assert not {slug for slug in STATUS if f"`{slug}`" not in page} - routing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("rule", ["serve_down", "vram", "slo"])
def test_every_rule_has_a_runbook(rule: str) -> None:
    assert (ROOT / "docs" / "runbooks" / f"{rule}.md").exists()
