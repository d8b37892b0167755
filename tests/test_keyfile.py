"""The file of keys: private, whole, followed while serve runs, and changed by one program at a time."""

from __future__ import annotations

import json
import logging
import stat
import threading
from pathlib import Path

import pytest

from llmops.admission.keys import BadKeys, make_key
from llmops.keyfile import KeyFile
from llmops.shell import keys as verb


def test_the_file_is_its_owners_alone_and_left_whole(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "state")
    file.add(make_key("ann", 1.0)[0])
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert sorted(path.name for path in file.path.parent.iterdir()) == ["api-keys.json", "api-keys.lock"]


def test_serve_notices_a_new_key_and_a_revoked_one(tmp_path: Path) -> None:
    serve, person = KeyFile(tmp_path), KeyFile(tmp_path)
    key, text = make_key("ann", 1.0)
    assert serve.ring().find(text.encode()) is None
    person.add(key)
    assert serve.ring().find(text.encode()) == key
    assert serve.ring() is serve.ring(), "read once for each change"
    assert person.remove(key.id) == key
    assert serve.ring().find(text.encode()) is None
    assert person.remove(key.id) is None
    person.add(key)
    assert serve.ring().find(text.encode()) == key
    person.path.unlink()
    assert serve.ring().find(text.encode()) is None


def test_a_file_that_breaks_is_told_once_and_the_keys_before_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = KeyFile(tmp_path)
    key, text = make_key("ann", 1.0)
    file.add(key)
    assert file.ring().find(text.encode())
    file.path.write_text("{")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert file.ring().find(text.encode())
    (record,) = caplog.records
    assert "api-keys.json cannot be read" in record.getMessage()
    with pytest.raises(BadKeys):
        file.add(make_key("bo", 1.0)[0])
    assert file.path.read_text() == "{", "what cannot be read is not overwritten"


def test_many_who_make_keys_at_once_lose_none(tmp_path: Path) -> None:
    threads = [
        threading.Thread(target=lambda name=name: KeyFile(tmp_path).add(make_key(name, 1.0)[0]))
        for name in "abcdefghij"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(key.name for key in KeyFile(tmp_path).read().keys) == list("abcdefghij")


def test_a_key_is_made_shown_once_listed_and_taken_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb.create(tmp_path, "ann", as_json=False) == 0
    text = capsys.readouterr().out.strip()
    found = KeyFile(tmp_path).ring().find(text.encode())
    assert found is not None
    assert verb.show(tmp_path, as_json=True) == 0
    listed = capsys.readouterr().out
    assert text not in listed
    (row,) = json.loads(listed)
    assert (row["id"], row["name"], row["last4"]) == (found.id, "ann", text[-4:])
    assert verb.show(tmp_path, as_json=False) == 0
    assert f"lk-...{text[-4:]}" in capsys.readouterr().out
    assert verb.revoke(tmp_path, "nothing") == 1
    assert verb.revoke(tmp_path, found.id) == 0
    assert KeyFile(tmp_path).ring().find(text.encode()) is None
    assert verb.show(tmp_path, as_json=False) == 0
    assert "keys create" in capsys.readouterr().err


def test_a_key_for_a_script_is_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb.create(tmp_path, "ci", as_json=True) == 0
    made = json.loads(capsys.readouterr().out)
    assert KeyFile(tmp_path).ring().find(made["key"].encode())
    assert made["name"] == "ci"


def test_what_cannot_be_done_is_one_sentence_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb.create(tmp_path, "no name", as_json=False) == 2
    assert capsys.readouterr().err.startswith("llmops keys: A key's name is")
    (tmp_path / "api-keys.json").write_text("[]")
    assert (verb.show(tmp_path, as_json=False), verb.revoke(tmp_path, "a")) == (2, 2)
    assert capsys.readouterr().err.count("delete it and make new keys") == 2
