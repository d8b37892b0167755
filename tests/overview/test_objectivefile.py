"""The file that `objectives.file` names, and what is told when it cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmops.overview.objectivefile import read_objectives, to_yaml
from llmops.overview.objectives import objectives_of
from llmops.settings import ObjectiveSettings
from llmops.slo import BadObjectives, to_toml

DIALS = objectives_of(ObjectiveSettings())


def test_without_a_file_the_dials_are_the_objectives() -> None:
    assert [each.id for each in DIALS] == ["availability", "latency", "ttft", "speed"]
    changed = objectives_of(ObjectiveSettings(ttft_threshold_s=0.5, ttft_target=0.5))
    assert (changed[2].threshold_s, changed[2].target) == (0.5, 0.5)


@pytest.mark.parametrize("name", ["o.toml", "o.yaml", "o.yml"])
def test_a_file_holds_them_as_toml_or_as_openslo(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(to_toml(DIALS) if name.endswith("toml") else to_yaml(DIALS), encoding="utf-8")
    assert objectives_of(ObjectiveSettings(file=str(path))) == DIALS


def test_an_empty_document_between_two_is_none(tmp_path: Path) -> None:
    path = tmp_path / "o.yaml"
    path.write_text(f"---\n---\n{to_yaml(DIALS[:1])}---\n", encoding="utf-8")
    assert read_objectives(path) == DIALS[:1]


@pytest.mark.parametrize(
    ("name", "written", "sentence"),
    [
        ("o.toml", b"x = ", "it is not TOML: Invalid value (at end of document)."),
        (
            "o.toml",
            b"[[objective]]\nid='a'\nmesure='b'",
            "has the field 'mesure', which is none: did you mean measure?",
        ),
        ("o.toml", b"\xff", "it is not UTF-8."),
        ("o.toml", b"#" * ((1 << 20) + 1), "it is larger than 1 MiB: name a file of objectives."),
        ("o.yaml", b"a: [", "it is not YAML at line 1: "),
        ("o.yaml", b"\x00", "it is not YAML: "),
        ("o.yaml", b"!!python/object:os.system {}", "it is not YAML at line 1: "),
        ("o.yaml", b"2026-99-99", "it is not YAML: month must be in 1..12."),
        ("o.yaml", b"[" * 5000, "it is not YAML"),
        ("o.yaml", b"", "there is no objective: write at least one, or leave objectives.file empty."),
        ("o.yaml", b"a: 1", "a of document 1 is not supported: it can have apiVersion, kind, metadata, spec."),
    ],
)
def test_what_cannot_be_used_is_one_sentence_that_names_the_file(
    tmp_path: Path, name: str, written: bytes, sentence: str
) -> None:
    path = tmp_path / name
    path.write_bytes(written)
    with pytest.raises(BadObjectives) as caught:
        read_objectives(path)
    assert str(caught.value).startswith(f"{path} cannot be used: ")
    assert sentence in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_cannot_be_opened_says_why(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadObjectives, match=r"^objectives.file names .* cannot be read .*: mend it, or leave"):
        read_objectives(tmp_path / name)
