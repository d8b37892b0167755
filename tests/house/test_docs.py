"""The documents keep up with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llmops.api.errors import STATUS
from llmops.api.schema import ChatRequest, CompletionRequest, EmbeddingRequest
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


def test_every_error_code_and_route_of_the_api_is_documented() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert not {code for _, _, code in STATUS.values() if f"`{code}`" not in page}
    for path in ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/models", "/health/live", "/metrics"):
        assert path in page


def test_every_field_that_a_request_may_have_is_documented() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    fields = {name for model in (ChatRequest, CompletionRequest, EmbeddingRequest) for name in model.model_fields}
    assert not {name for name in fields if f"`{name}" not in page}


@pytest.mark.parametrize("picture", sorted((ROOT / "docs").glob("*.svg")), ids=lambda path: path.name)
def test_a_picture_loads_nothing_from_elsewhere(picture: Path) -> None:
    assert re.findall(r"""(?:url\(|href=|src=|@import)\s*["']?https?:[^"')]*""", picture.read_text("utf-8")) == []


def test_pages_show_no_picture_of_another_server() -> None:
    assert not [page.name for page in PAGES if re.search(r"!\[[^]]*\]\(https?:|<img", page.read_text("utf-8"))]


def test_dashboards_name_no_other_server() -> None:
    assert not [path.name for path in (ROOT / "dashboards").glob("*.json") if "://" in path.read_text("utf-8")]
