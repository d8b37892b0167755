from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from llmops.bench import quality
from llmops.bench.quality import Quality, measure_quality, shipped_texts, verdict
from llmops.bench.quality_table import as_quality_table
from llmops.engine.dials import EngineDials, Quantization
from llmops.engine.errors import ModelNotLoaded
from llmops.settings import Settings, StateSettings
from llmops.shell import quality as verb
from tests.engine import tiny_model

TEXTS = {"en": "Continuous batching shares one forward pass between all who wait for an answer."}
CPU = EngineDials(device="cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state=StateSettings(directory=tmp_path))


def test_the_unquantised_model_comes_first_and_is_the_measure(folder: Path) -> None:
    told: list[str] = []
    measured = list(measure_quality(str(folder), CPU, ["int8", "none", "int8"], texts=TEXTS, tell=told.append))
    plain, int8 = measured
    assert (plain.quantization, int8.quantization) == ("none", "int8")
    assert plain.agreement is None
    assert int8.agreement is not None
    assert int8.agreement > 0.8
    assert int8.weights_bytes < plain.weights_bytes
    assert plain.tokens == int8.tokens
    assert plain.generation_tokens_per_s is not None
    assert plain.generation_tokens_per_s > 1
    assert told[0] == "none: Hashing: 0 %"
    assert told[-1] == "int8: Scoring: 100%"


def test_a_model_that_cannot_be_loaded_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelNotLoaded, match=r"no config\.json"):
        next(measure_quality(str(tmp_path), CPU, ["nf4"], texts=TEXTS))


def test_the_texts_that_ship_are_half_english_and_half_chinese() -> None:
    texts = shipped_texts()
    assert set(texts) == {"en", "zh"}
    assert 900 < len(texts["en"].split()) < 1200
    assert 1200 < sum("\u4e00" <= sign <= "\u9fff" for sign in texts["zh"]) < 2000


def one(quantization: Quantization, perplexity: float, agreement: float | None) -> Quality:
    return Quality(
        quantization=quantization,
        model="m",
        version="v",
        dtype="float32",
        perplexity={"en": perplexity},
        agreement=agreement,
        divergence=None if agreement is None else 0.01,
        weights_bytes=14_200_000,
        tokens=10,
        tokens_per_s=123.4,
        generation_tokens_per_s=10.0,
    )


def test_the_table_shows_changes_against_the_unquantised_model() -> None:
    console = Console(width=100, record=True)
    console.print(as_quality_table([one("none", 10.0, None), one("nf4", 11.0, 0.975)]))
    plain, nf4 = (line.split() for line in console.export_text().splitlines()[1:3])
    assert plain == ["none", "14.2", "MB", "10.00", "--", "--", "10.0", "123"]
    assert nf4 == ["nf4", "14.2", "MB", "11.00", "+10.0%", "97.5%", "0.0100", "10.0", "123"]
    assert as_quality_table([]).row_count == 0


def test_the_table_has_room_in_a_terminal_of_80_columns() -> None:
    console = Console(width=80, record=True)
    four = {"en": 68.48, "zh": 20.67}
    rows = [one("none", 10.0, None), one("nf4-double", 11.0, 0.6)]
    console.print(
        as_quality_table([dataclasses.replace(each, perplexity=four, weights_bytes=538_100_000) for each in rows])
    )
    shown = console.export_text()
    assert len(shown.splitlines()) == 3
    assert "…" not in shown


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"weights_bytes": 5_396_000, "perplexity": {"en": 10.18}, "generation_tokens_per_s": 14.0},
            "nf4 saves 62 % of memory and costs 1.8 % of perplexity; generation is 1.4 times as fast.",
        ),
        (
            {"perplexity": {"en": 9.9}, "generation_tokens_per_s": 4.0},
            "nf4 takes as much memory and lowers perplexity by 1.0 %; generation is 2.5 times as slow.",
        ),
        (
            {"weights_bytes": 7_100_000, "generation_tokens_per_s": 10.3},
            "nf4 saves 50 % of memory and costs 10.0 % of perplexity; generation is about as fast.",
        ),
        (
            {"weights_bytes": 7_100_000, "generation_tokens_per_s": None},
            "nf4 saves 50 % of memory and costs 10.0 % of perplexity; the speed of its generation cannot be measured.",
        ),
    ],
)
def test_each_quantisation_has_one_sentence_that_weighs_it(changes: dict[str, Any], sentence: str) -> None:
    assert verdict(dataclasses.replace(one("nf4", 11.0, 0.9), **changes), one("none", 10.0, None)) == sentence


def test_a_model_that_hardly_knows_the_texts_is_said_to() -> None:
    assert "its perplexity says little" in verdict(one("nf4", 13000.0, 0.9), one("none", 13386.0, None))


def test_the_verb_prints_json_that_can_be_read_back(
    folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(quality, "shipped_texts", lambda: TEXTS)
    assert verb.run(settings, str(folder), ["nf4"], as_json=True) == 0
    plain, nf4 = json.loads(capsys.readouterr().out)
    assert plain["perplexity"]["en"] > 1
    assert 0 < nf4["agreement"] <= 1
    assert plain["verdict"] is None
    assert nf4["verdict"].startswith("nf4 saves ")


def test_the_verb_prints_a_table(
    folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(quality, "shipped_texts", lambda: TEXTS)
    assert verb.run(settings, str(folder), ["nf4-double"], as_json=False) == 0
    shown = capsys.readouterr().out
    assert "in float32" in shown
    assert all(heading in shown for heading in ("generation", "reading", "generation and reading in tokens/s"))
    assert "\nnf4-double saves " in shown


def test_what_cannot_be_done_is_one_line_and_an_exit_code(
    tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb.run(settings, None, ["int4"], as_json=False) == 2
    assert "--quantization int4: give none, nf4, nf4-double, int8." in capsys.readouterr().err
    assert verb.run(settings, str(tmp_path), [], as_json=False) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_ctrl_c_ends_it_without_a_traceback(
    folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("llmops.engine.loading.load", stop)
    assert verb.run(settings, str(folder), [], as_json=False) == 130
    assert capsys.readouterr().err == "llmops bench quality: stopped.\n"
