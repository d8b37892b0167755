from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from llmops.engine.build import build_engine
from llmops.engine.errors import ModelNotLoaded
from llmops.engine.loading import content_hash, find


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
        find(name, None)


async def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelNotLoaded, match=r"no config\.json"):
        await build_engine("transformers", str(tmp_path)).start()


async def test_a_folder_with_broken_weights_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(tiny_folder, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"not weights at all")
    with pytest.raises(ModelNotLoaded, match="can't be loaded"):
        await build_engine("transformers", str(broken)).start()


def test_the_version_of_a_folder_is_its_content_and_not_its_place(tiny_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_folder, tmp_path / "copy")
    assert content_hash(copy) == content_hash(tiny_folder)
    (copy / "notes.md").write_text("written beside the model")
    assert content_hash(copy) == content_hash(tiny_folder)
    with (copy / "config.json").open("a") as file:
        file.write("\n")
    assert content_hash(copy) != content_hash(tiny_folder)
