from __future__ import annotations

import asyncio
import errno
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llmops.engine.build import build_engine
from llmops.engine.content import content_hash
from llmops.engine.dials import EngineDials, Quantization
from llmops.engine.errors import ModelNotLoaded
from llmops.engine.finding import find
from llmops.engine.loading import load
from llmops.engine.progress import Progress
from llmops.engine.transformers_embedding import TransformersEmbedding
from tests.engine import tiny_encoder
from tests.engine.answers import ask, text_of


async def test_a_folder_that_is_not_there_is_named_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(ModelNotLoaded, match=r"No model at .*Give a folder or a name such as"):
        await build_engine("transformers", str(tmp_path / "nothing")).start()


async def test_a_name_that_is_nowhere_is_refused_quickly_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelNotLoaded, match=r"neither a local folder nor on the hub \(offline\?"):
        await build_engine("transformers", "nobody/no-such-model-here").start()


@pytest.mark.parametrize("name", ["not a name!", "-x-", "a--b"])
def test_a_name_that_the_hub_cannot_have_is_refused(name: str) -> None:
    with pytest.raises(ModelNotLoaded):
        find(name, EngineDials())


async def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelNotLoaded, match=r"no config\.json"):
        await build_engine("transformers", str(tmp_path)).start()


async def test_a_folder_with_broken_weights_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(tiny_folder, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"not weights at all")
    with pytest.raises(ModelNotLoaded, match="download it again"):
        await build_engine("transformers", str(broken)).start()


def test_the_version_of_a_folder_is_its_content_and_not_its_place(tiny_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_folder, tmp_path / "copy")
    assert content_hash(copy) == content_hash(tiny_folder)
    (copy / "notes.md").write_text("written beside the model")
    assert content_hash(copy) == content_hash(tiny_folder)
    with (copy / "config.json").open("a") as file:
        file.write("\n")
    assert content_hash(copy) != content_hash(tiny_folder)


@pytest.fixture
def edited(tiny_folder: Path, tmp_path: Path) -> Callable[[dict[str, Any]], str]:
    """A copy of the tiny model with another config.json."""

    def edit(changes: dict[str, Any]) -> str:
        folder = shutil.copytree(tiny_folder, tmp_path / "edited")
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))
        return str(folder)

    return edit


@pytest.mark.parametrize(
    ("changes", "quantization", "sentence"),
    [
        (
            {"quantization_config": {"quant_method": "gptq"}},
            "nf4",
            r"already quantised \(gptq\): set engine\.quant.* none",
        ),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "none", r"needs a package that is not here"),
        ({"model_type": "from-the-future"}, "none", r"this transformers does not know: upgrade it"),
        (
            {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}},
            "none",
            r"brings Python code of its own.*engine\.trust_remote_code = true",
        ),
        ({"vocab_size": 7}, "none", "can't be loaded"),
    ],
)
def test_a_config_that_cannot_be_served_is_refused_with_the_fix(
    edited: Callable[[dict[str, Any]], str], changes: dict[str, Any], quantization: Quantization, sentence: str
) -> None:
    with pytest.raises(ModelNotLoaded, match=sentence):
        load(edited(changes), EngineDials(quantization=quantization, device="cpu"))


def test_a_config_that_is_no_json_is_refused(edited: Callable[[dict[str, Any]], str]) -> None:
    folder = edited({})
    (Path(folder) / "config.json").write_text("{")
    with pytest.raises(ModelNotLoaded, match="can't be read as JSON"):
        load(folder, EngineDials(device="cpu"))


def test_a_wrong_dial_is_refused_before_anything_is_looked_for() -> None:
    with pytest.raises(ModelNotLoaded, match=r"engine\.device is 'gpu'"):
        load("nobody/no-such-model-here", EngineDials(device="gpu"))


@pytest.mark.parametrize("name", ["model.gguf", "notes.txt"])
def test_a_file_is_not_a_model(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(ModelNotLoaded, match=r"llama-server|give the folder that holds it"):
        find(str(tmp_path / name), EngineDials())
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelNotLoaded, match="llama-server"):
        find(str(tmp_path), EngineDials())


def test_what_was_expected_and_what_is_there_are_told_in_one_line(
    tiny_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="llmops"):
        loaded = load(str(tiny_folder), EngineDials(device="cpu", quantization="nf4"))
    lines = [record.message for record in caplog.records]
    lines = [line for line in lines if not line.startswith("Loading")]  # on a busy machine its progress is logged too
    assert lines == ["weights: 0.2 MB predicted, 0.2 MB measured"]
    assert loaded.places == {"cpu"}
    assert loaded.weights_bytes > 0


def test_a_folder_that_came_quantised_is_taken_as_it_is(tiny_folder: Path, tmp_path: Path) -> None:
    four_bit = load(str(tiny_folder), EngineDials(device="cpu", quantization="nf4"))
    folder = tmp_path / "saved"
    four_bit.model.save_pretrained(folder)
    four_bit.tokenizer.save_pretrained(folder)
    again = load(str(folder), EngineDials(device="cpu"))
    assert again.quantization == "bitsandbytes"
    assert again.weights_bytes == pytest.approx(four_bit.weights_bytes, rel=0.01)


def test_weights_that_are_not_there_are_not_made_up(tiny_folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny_folder, tmp_path / "torn")
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        ModelNotLoaded, match=r"lacks 1 of the model's weights \(model\.layers\.1\.mlp\.up_proj\.weight"
    ):
        load(str(folder), EngineDials(device="cpu"))


@pytest.mark.model
@pytest.mark.parametrize("quantization", ["nf4", "nf4-double", "int8"])
async def test_every_quantisation_answers_in_a_batch_and_says_so(quantization: Quantization, capfd: Any) -> None:
    engine = build_engine("transformers", None, EngineDials(quantization=quantization, device="cpu"))
    await engine.start()
    try:
        answers = [text_of(engine, ask(engine, "What is P99?", max_tokens=8)) for _ in range(2)]
        first, second = await asyncio.gather(*answers)
        assert engine.card.quantization == quantization
    finally:
        await engine.stop()
    assert first == second != ""
    assert "MatMul8bitLt" not in capfd.readouterr().err


class Hub:
    """What the loader asks of the hub, answered from memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, size: int = 100) -> None:
        self.folder, self.size, self.asked = folder, size, list[dict[str, Any]]()
        monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: SimpleNamespace(sha=folder.name))
        monkeypatch.setattr("huggingface_hub.snapshot_download", self.download)

    def download(self, name: str, **told: Any) -> Any:
        self.asked.append(told)
        if told.get("dry_run"):
            return [
                SimpleNamespace(will_download=True, file_size=self.size),
                SimpleNamespace(will_download=False, file_size=1 << 60),
            ]
        if bars := told.get("tqdm_class"):
            with bars(desc="Reconstructing", total=0, disable=False, name="x") as bar:
                bar.total = self.size
                bar.update(self.size // 2)
                bar.set_postfix_str("1 MB/s")
            bars(desc="Downloading bytes", total=0).update(self.size)
        return str(self.folder)


def test_a_download_says_how_far_it_is_and_gives_the_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hub = Hub(monkeypatch, tmp_path)
    progress = Progress()
    assert find("some/model", EngineDials(revision="v1"), progress) == (tmp_path, tmp_path.name)
    assert progress.sentence == "Downloading: 50 %"
    assert [asked["revision"] for asked in hub.asked] == [tmp_path.name] * 2
    assert "*.py" not in hub.asked[1]["allow_patterns"]
    find("some/model", EngineDials(trust_remote_code=True))
    assert "*.py" in hub.asked[-1]["allow_patterns"]


def test_a_download_that_has_no_room_is_refused_before_it_begins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub = Hub(monkeypatch, tmp_path, size=10**16)
    with pytest.raises(ModelNotLoaded, match=r"needs 10000000\.00 GB and .* free: make room .* HF_HOME"):
        find("some/model", EngineDials())
    assert len(hub.asked) == 1


def test_a_disk_that_fills_during_the_download_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hub = Hub(monkeypatch, tmp_path)

    def full(name: str, **told: Any) -> Any:
        if told.get("dry_run"):
            return hub.download(name, **told)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("huggingface_hub.snapshot_download", full)
    with pytest.raises(ModelNotLoaded, match="make room"):
        find("some/model", EngineDials())


@pytest.mark.parametrize("there", [True, False])
def test_offline_never_asks_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, there: bool) -> None:
    hub = Hub(monkeypatch, tmp_path)
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", None)
    if there:
        assert find("some/model", EngineDials(offline=True)) == (tmp_path, tmp_path.name)
        assert hub.asked[0]["local_files_only"]
        return
    monkeypatch.setattr("huggingface_hub.snapshot_download", None)
    with pytest.raises(ModelNotLoaded, match=r"engine\.offline is set.*`hf download some/model`"):
        find("some/model", EngineDials(offline=True))


def test_a_gated_model_says_what_to_accept(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.errors import GatedRepoError

    def gated(*_: Any, **__: Any) -> Any:
        raise GatedRepoError.__new__(GatedRepoError)

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", gated)
    with pytest.raises(ModelNotLoaded, match=r"gated: accept its licence.*hf auth login"):
        find("some/model", EngineDials())


def _mapped_files(folder: Path) -> list[str]:
    return [line for line in Path("/proc/self/maps").read_text("utf-8").splitlines() if str(folder.resolve()) in line]


def test_no_weights_stay_a_mapping_of_their_file(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    loaded = load(str(folder), EngineDials(device="cpu"))
    assert _mapped_files(folder) == []
    before = {name: tensor.clone() for name, tensor in loaded.model.state_dict().items()}
    weights = folder / "model.safetensors"
    with weights.open("r+b") as file:  # in place, as cp and rsync --inplace do
        file.write(b"\xff" * weights.stat().st_size)
    with weights.open("r+b") as file:
        file.truncate(100)
    assert all(bool((tensor == before[name]).all()) for name, tensor in loaded.model.state_dict().items())


async def test_no_weights_of_an_embedding_model_stay_a_mapping_of_their_file(tmp_path: Path) -> None:
    folder = tiny_encoder.build(tmp_path)
    engine = TransformersEmbedding(str(folder), EngineDials(device="cpu"))
    await engine.start()
    try:
        assert _mapped_files(folder) == []
        before = (await engine.embed(["the same"])).vectors
        (folder / "model.safetensors").write_bytes(b"nothing")
        assert (await engine.embed(["the same"])).vectors == before
    finally:
        await engine.stop()
