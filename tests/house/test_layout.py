"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BANNED = {"utils", "util", "helpers", "helper", "common", "misc", "base"}
SOURCES = sorted(path for folder in ("llmops", "training", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
CODE = SOURCES + sorted((ROOT / "tests").rglob("*.py"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_fits_one_reading(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= (150 if path.match("tui/app.py") else 300)
    assert path.stem not in BANNED
    if path in SOURCES:
        docstring = ast.get_docstring(ast.parse(text))
        assert docstring, "a module opens with one sentence: what it is for"
        for function in functions(path):
            assert (function.end_lineno or 0) - function.lineno < 60, f"{function.name} is over 60 lines"


def test_no_class_is_a_manager_of_something() -> None:
    for path in SOURCES:
        names = [node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]
        assert not [name for name in names if name.endswith("Manager")], path


def test_the_genai_names_are_spelled_in_one_module_only() -> None:
    """The conventions still change: everybody else asks `name_of`."""
    spelled = [
        path.relative_to(ROOT) for path in SOURCES if re.search(r"""["']gen_ai\.""", path.read_text(encoding="utf-8"))
    ]
    assert [str(path) for path in spelled] == ["llmops/events/documents.py"]


def test_no_test_mocks_the_code() -> None:
    mocks = "unittest." + "mock"
    assert not [path for path in CODE if mocks in path.read_text(encoding="utf-8")]


def test_every_station_says_what_it_is_for() -> None:
    for package in (ROOT / "llmops").rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(package.read_text(encoding="utf-8"))), package
