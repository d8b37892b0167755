"""Files that people hand over give one sentence soon, however large, deep or damaged they are."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from llmops.documents import BadDocument, load_json, load_toml, shown
from llmops.overview.objectivefile import read_objectives
from llmops.settings import BadConfiguration, load
from llmops.slo import BadObjectives

SOON_S = 30.0
ALIASES = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefghijkl", "bcdefghijklm", strict=True)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [{','.join([f'*{before}'] * 9)}]}}\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
YAML = {
    "aliases": (ALIASES, "more than 10000 values, those of aliases included"),
    "merges": (MERGES, "more than 10000 values, those of aliases included"),
    "a cycle": ("a: &a [*a]", "an alias leads back into its own anchor"),
    "depth": ("[" * 40 + "]" * 40, "more than 32 levels"),
    "great depth": ("[" * 100_000, "more than 32 levels"),
    "values": ("a: 1\n" * 100_000, "more than 10000 values"),
    "documents": ("--- {}\n" * 100_000, "more than 10000 values"),
    "a long number": ("kind: " + "1:" * 10_000 + "1", "a value of more than 1000 characters"),
    "a null character": ("a: \0", "not YAML"),
}
TOML = {
    "depth": ("a = " + "[" * 2000, "nested too deeply"),
    "dots": ("a" + ".a" * 100_000 + " = 1", "more than 4096 characters in line 1"),
    "digits": ("a = 0x" + "f" * 10_000, "more than 4096 characters in line 1"),
    "decimals": ("a = " + "9" * 4000, "is no part of it"),
}


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [("o.yaml", *case) for case in YAML.values()] + [("o.toml", *case) for case in TOML.values()],
    ids=[*YAML, *(f"toml {name}" for name in TOML)],
)
def test_objectives_without_end_are_refused_soon(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    began = time.monotonic()
    with pytest.raises(BadObjectives) as caught:
        read_objectives(path)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith(f"{path} cannot be used: ")
    assert len(str(caught.value)) < 500
    assert time.monotonic() - began < SOON_S


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 2000, "a" + ".a" * 9999 + "=1", "[serve]\nport = 0x" + "f" * 4000, "\udcff"]
)
def test_settings_without_end_are_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    path = tmp_path / "llmops.toml"
    path.write_text(text, errors="surrogateescape")
    monkeypatch.setenv("LLMOPS_CONFIG", str(path))
    with pytest.raises(BadConfiguration) as caught:
        load()
    assert len(str(caught.value)) < 500


def test_json_is_bounded_in_depth_size_and_encoding(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    for content, sentence in (
        (b"[" * 100_000, "nested too deeply"),
        (b"9" * 10_000, "is not JSON: Exceeds the limit"),
        ('{"a": 1}'.encode("utf-16"), "is not UTF-8"),
        (b"{", "is not JSON"),
        (b" " * (1 << 21), "is larger than 1 MiB"),
    ):
        path.write_bytes(content)
        with pytest.raises(BadDocument, match=sentence):
            load_json(path, most_bytes=1 << 20)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"):
        load_toml(path)


def test_what_is_shown_of_a_value_is_bounded() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert len(shown(deep)) < 50
    assert shown(1 << 100_000) == "a value that is too large to show"
    assert len(shown("x" * 10_000)) < 300
    while deep:  # taken apart by hand: the interpreter would do it recursively
        deep = deep[0]  # type: ignore[assignment]
