"""`llmops fit` answers at once, offline, about the card here or another, and refuses in one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from llmops.cli import app
from llmops.engine.build import DEMO_MODEL
from llmops.engine.dials import EngineDials
from llmops.engine.errors import ModelNotLoaded
from llmops.engine.finding import find
from llmops.settings import StateSettings
from llmops.store import open_store
from tests.gpu.driver import Driver
from tests.store.events import benchmark

QWEN = "Qwen/Qwen2.5-7B-Instruct"


def fit(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["fit", *arguments])
    return done.exit_code, done.stdout, done.stderr


def told(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(fit(*arguments, "--json")[1])
    return found


@pytest.fixture
def without_gpu(driver: Driver) -> None:
    """A driver that has no card."""


def test_a_model_on_a_simulated_card_gets_a_table_a_bar_and_a_command() -> None:
    code, shown, _ = fit(QWEN, "--gpu", "RTX 4070 12GB")
    assert code == 0
    lines = shown.splitlines()
    assert lines[1] == "on RTX 4070 (11.6 GiB free, simulated); context 4,096 tokens, batch 1"
    rows = {line.split()[0]: line for line in lines[3:7]}
    assert list(rows) == ["bf16", "int8", "nf4", "nf4-double"]
    assert "no" in rows["bf16"] and "--" in rows["bf16"]
    assert "comfortable" in rows["nf4"]
    assert "█" in lines[7] and "weights" in lines[8]
    assert any("in RAM (engine.cpu_offload)" in line for line in lines)
    assert lines[-1] == f"Verify: llmops bench quality {QWEN} --quantization int8"


def test_what_fits_a_card_is_ranked_and_can_ask_for_context_and_speed() -> None:
    code, shown, _ = fit("--gpu", "2x3090", "--ctx", "16384", "--speed", "10")
    assert code == 0
    assert shown.splitlines()[0].startswith("On 2 x RTX 3090 (23.6 GiB free on each, simulated)")
    assert "16,384" in shown
    assert fit("--gpu", "GTX 1660 Super", "--speed", "9999")[0] == 1
    assert fit("--gpu", "GTX 1660 Super", "--speed", "9999")[1].endswith("None of the known models fits.\n")


def test_programs_get_json() -> None:
    found = told("Llama-3.1-70B", "--gpu", "2x3090", "--ctx", "2048", "--batch", "2")
    assert found["best"] == "nf4-double"
    assert found["box"]["count"] == 2
    assert [each["quant"] for each in found["fits"]] == ["bf16", "int8", "nf4", "nf4-double"]
    row = found["fits"][-1]
    assert row["needs"]["total"] == sum(size for part, size in row["needs"].items() if part != "total")
    assert row["tokens_per_s"]["low"] < row["tokens_per_s"]["high"]
    assert found["tensor_parallel"]["verdict"] in ("tight", "risky", "comfortable", "no")
    assert told("--gpu", "4090")["fits"][0]["verdict"] in ("tight", "comfortable")
    assert told(QWEN, "--gpu", "RTX 4070")["offload"]["slower"] > 1


def test_one_way_of_storing_can_be_asked_for_and_a_model_that_does_not_fit_is_exit_1() -> None:
    code, shown, _ = fit(QWEN, "--gpu", "4060", "--quant", "awq")
    assert code == 0
    assert shown.splitlines()[-1] == f"Verify: llmops up {QWEN}, then llmops bench"
    assert fit("Llama-3.1-70B", "--gpu", "4060", "--quant", "bf16")[0] == 1


def test_experts_that_stay_in_16_bits_are_said_to() -> None:
    assert "Experts keep 16 bits" in fit("Qwen3-30B-A3B", "--gpu", "H100 SXM 80GB", "--quant", "nf4")[1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["Qwen/Qwen2.5-8B-Instruct", "--gpu", "4090"], "did you mean Qwen/Qwen2.5-"),
        ([QWEN, "--gpu", "RTX 4079"], "did you mean RTX 40"),
        ([QWEN, "--gpu", "4090", "--ctx", "40000"], "was made for 32768 tokens; give at most 32768."),
        ([QWEN, "--gpu", "4090", "--quant", "q4"], "--quant q4: "),
        (["--gpu", "4090", "--quant", "nf4"], "--quant goes with a model"),
        (["Mixtral-8x7B", "--gpu", "H200", "--quant", "awq"], "download it and give its folder."),
        ([" ", "--gpu", "4090"], "`llmops fit --models` lists them."),
        (["./nowhere", "--gpu", "4090"], "./nowhere: there is no config.json in it, so it holds no model."),
        (["\x1b[2Jx", "--gpu", "4090"], "␛[2Jx: neither a folder"),
    ],
)
def test_a_question_that_is_wrong_gets_one_sentence_and_exit_2(arguments: list[str], sentence: str) -> None:
    code, shown, said = fit(*arguments)
    assert (code, shown) == (2, "")
    assert said.startswith("llmops fit: ")
    assert sentence in said
    assert said.count("\n") == 1


@pytest.mark.usefixtures("without_gpu")
def test_without_a_gpu_it_judges_the_ram_and_says_that_the_cpu_will_serve(tmp_path: Path) -> None:
    code, shown, _ = fit(str(DEMO_MODEL), "--state", str(tmp_path))
    assert code == 0
    assert "of RAM free" in shown
    assert "No NVIDIA GPU answers here. llmops serve will run it on the CPU, at " in shown
    assert '--gpu "RTX 4070 12GB"' in shown
    assert "memory bandwidth" in shown
    code, shown, _ = fit("--state", str(tmp_path))
    assert code == 0
    assert "llmops serve will run a model on the CPU" in shown
    found = told(str(DEMO_MODEL), "--state", str(tmp_path))
    assert (found["box"]["kind"], found["best"] in ("float32", "bf16")) == ("cpu", True)
    assert found["fits"][0]["tokens_per_s"]["basis"] == "memory bandwidth"


@pytest.mark.usefixtures("without_gpu")
def test_what_is_too_large_for_the_ram_is_exit_1(tmp_path: Path) -> None:
    code, shown, _ = fit("Llama-3.1-70B", "--ctx", "100000", "--batch", "4096", "--state", str(tmp_path))
    assert code == 1
    assert "there is not enough free RAM for it" in shown
    assert fit("--speed", "1e12", "--state", str(tmp_path))[0] == 1


@pytest.mark.usefixtures("without_gpu")
@pytest.mark.parametrize(
    "question", [["no/such-model"], [QWEN, "--quant", "q4"], [QWEN, "--ctx", "40000"], ["README.md"]]
)
def test_a_wrong_question_is_exit_2_without_a_gpu_too(question: list[str], tmp_path: Path) -> None:
    assert fit(*question, "--state", str(tmp_path))[0] == 2


@pytest.mark.usefixtures("without_gpu")
def test_without_a_gpu_the_record_s_own_runs_say_how_fast(tmp_path: Path) -> None:
    store = open_store(StateSettings(directory=tmp_path).store)
    store.record(
        [
            benchmark(1.0, request_model=DEMO_MODEL.name, tpot_p50_s=0.01, dtype="float32"),
            benchmark(2.0, "b2", request_model="Qwen2.5-0.5B-Instruct", tpot_p50_s=0.3, dtype="float32"),
        ]
    )
    store.close()
    row = told(str(DEMO_MODEL), "--ctx", "1", "--state", str(tmp_path))["fits"][0]
    assert row["tokens_per_s"]["basis"] == "measured here"
    assert row["tokens_per_s"]["low"] < 100 < row["tokens_per_s"]["high"]
    assert told("Qwen3-0.6B", "--state", str(tmp_path))["fits"][0]["tokens_per_s"]["basis"] == "calibrated here"
    assert "what `llmops bench` measured here" in fit(str(DEMO_MODEL), "--state", str(tmp_path))[1]


def test_a_gguf_gets_the_sentence_that_serve_has(tmp_path: Path) -> None:
    file = tmp_path / "small.Q4_1.gguf"
    file.write_bytes(b"GGUF")
    for name in (str(file), str(tmp_path)):
        code, shown, said = fit(name, "--gpu", "4090")
        assert (code, shown) == (2, "")
        with pytest.raises(ModelNotLoaded) as refused:
            find(name, EngineDials())
        assert said == f"llmops fit: {refused.value}\n"
        assert "llama-server" in said


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x")
    assert "is a file: give the folder that holds it." in fit(str(tmp_path / "model.safetensors"), "--gpu", "4090")[2]


def test_the_lists_are_there() -> None:
    assert "Qwen/Qwen2.5-7B-Instruct" in fit("--models")[1]
    assert "RTX 4090" in fit("--cards")[1]
    models = json.loads(fit("--models", "--json")[1])
    assert len(models) >= 40
    assert all(model["parameters"] > 0 and model["seen_in"] for model in models)
    assert len(json.loads(fit("--cards", "--json")[1])) >= 40


def test_a_folder_is_read_by_the_headers_of_its_files(tmp_path: Path) -> None:
    found = told(str(DEMO_MODEL), "--gpu", "4090", "--quant", "bf16")
    assert found["fits"][0]["sizes_from"] == "headers of 1 files"
    (tmp_path / "config.json").write_text((DEMO_MODEL / "config.json").read_text())
    from_config = told(str(tmp_path), "--gpu", "4090", "--quant", "bf16")
    assert from_config["fits"][0]["sizes_from"] == "config.json"
    assert from_config["fits"][0]["needs"] == found["fits"][0]["needs"]


@pytest.mark.parametrize(
    ("config", "came"),
    [
        ({"quant_method": "gptq", "bits": 4}, "gptq-int4"), ({"quant_method": "gptq", "bits": 8}, "gptq-int8"),
        ({"quant_method": "awq"}, "awq"), ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "int8"),
        ({"quant_method": "bitsandbytes"}, "nf4"), ({"quant_method": "fp8"}, "bf16"),
        ({"quant_method": "bitsandbytes", "bnb_4bit_use_double_quant": True}, "nf4-double"),
    ],
)  # fmt: skip
def test_a_folder_that_came_quantised_is_taken_as_it_is(tmp_path: Path, config: dict[str, Any], came: str) -> None:
    plain = json.loads((DEMO_MODEL / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(plain | {"quantization_config": config}))
    (tmp_path / "model.safetensors").symlink_to(DEMO_MODEL / "model.safetensors")
    found = told(str(tmp_path), "--gpu", "4090")
    assert [each["quant"] for each in found["fits"]] == [came]
    other = "int8" if came != "int8" else "nf4"
    assert fit(str(tmp_path), "--gpu", "4090", "--quant", other)[0] == 2


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("{", "can't be read as JSON"), ("[]", "holds no JSON object"), ("{}", "lacks hidden_size"),
        ('{"hidden_size": "wide", "vocab_size": 1, "num_hidden_layers": 1}', "can't be counted"),
        ('{"hidden_size": -4, "vocab_size": 1, "num_hidden_layers": 1, "num_attention_heads": 1, '
         '"intermediate_size": 8}', "sizes below 1"),
    ],
)  # fmt: skip
def test_a_config_that_is_no_model_gets_a_sentence(tmp_path: Path, written: str, sentence: str) -> None:
    (tmp_path / "config.json").write_text(written)
    code, _, said = fit(str(tmp_path), "--gpu", "4090")
    assert code == 2
    assert sentence in said


def test_a_folder_whose_weights_are_broken_says_so(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((DEMO_MODEL / "config.json").read_text())
    (tmp_path / "model.safetensors").write_bytes(b"no weights at all")
    code, _, said = fit(str(tmp_path), "--gpu", "4090")
    assert code == 2
    assert "download it again" in said


def test_a_copy_in_the_hub_cache_goes_before_the_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    place = tmp_path / "models--me--tiny"
    (place / "refs").mkdir(parents=True)
    (place / "snapshots").mkdir()
    (place / "snapshots" / "abc").symlink_to(DEMO_MODEL)
    (place / "refs" / "main").write_text("abc")
    assert told("me/tiny", "--gpu", "4090")["fits"][0]["sizes_from"] == "headers of 1 files"


def test_the_card_here_is_judged_by_its_free_memory_and_by_its_own_runs(driver: Driver, tmp_path: Path) -> None:
    driver.add()
    driver[0, "name"], driver[0, "bus"] = "NVIDIA GeForce RTX 4090", 384
    driver[0, "memory.total"], driver[0, "memory.used"] = 24 << 30, 4 << 30
    assert told(QWEN, "--state", str(tmp_path))["fits"][0]["tokens_per_s"]["basis"] == "table"
    store = open_store(StateSettings(directory=tmp_path).store)
    run = benchmark(
        1.0, request_model="Qwen/Qwen2.5-3B-Instruct", tpot_p50_s=0.036, dtype="bfloat16", cuda_version="12.8"
    )
    store.record([run])
    store.close()
    found = told(QWEN, "--state", str(tmp_path))
    assert found["box"]["name"] == "RTX 4090"
    assert found["fits"][0]["free"] == 20 << 30
    assert found["fits"][0]["tokens_per_s"]["basis"] == "calibrated here"
    assert "calibrated here (1 run, error 0 %)" in fit(QWEN, "--state", str(tmp_path))[1]


def test_it_answers_without_the_libraries_that_load_models_or_dials() -> None:
    code = (
        "import sys\nfrom llmops.cli import app\n"
        f"try:\n    app(['fit', '{QWEN}', '--gpu', '4090'])\nexcept SystemExit:\n    pass\n"
        "print(*(name for name in sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {
        "pydantic",
        "torch",
        "transformers",
        "bitsandbytes",
        "textual",
        "fastapi",
        "numpy",
        "llmops.settings",
        "httpx",
    }
    assert not heavy & set(done.stderr.split())
