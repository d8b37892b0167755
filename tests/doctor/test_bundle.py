"""The support archive holds what helps, and none of the secrets that lie about in dials, files and events."""

from __future__ import annotations

import json
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from llmops.cli import app
from llmops.doctor.redaction import HIDDEN, Redactor, event
from llmops.doctor.redaction import dials as shown_dials
from llmops.settings import load
from tests.doctor.planting import Machine
from tests.elastic.answering import answering
from tests.store.events import alert, request, sample, write

HOOK = "T0ken-of-the-hook"
SECRETS = {
    "alerts.webhook_secret": "whsec_aHVzaCBodXNo",
    "alerts.email_password": "correct horse battery",
    "alerts.apprise": '["tgram://123456:AAtelegram/chat"]',
    "engine.upstream_api_key": "upstream-key-zzz",
    "watch.api_key": "lk-watchwatchwatchwatch",
    "elastic.api_key": "ZWxhc3RpYzprZXk=",
    "elastic.password": "pa55",
    "watch.webhook_url": f"https://hooks.example.org/services/{HOOK}?sig=Sigil",
    "alerts.email_user": "ann@example.org",
    "alerts.email_to": '["bob.surname@example.org"]',
    "alerts.email_host": "mail.example.org",
    "alerts.email_from": "carol@example.org",
    "engine.upstream_url": "http://127.0.0.1:1/v1/Path-With-Token",
}
PLANTED = (
    *("aHVzaCBodXNo", "correct horse battery", "AAtelegram", "upstream-key-zzz", "lk-watchwatch", "ZWxhc3RpYzprZXk="),
    *("pa55", HOOK, "Sigil", "ann@", "bob.surname", "carol@", "Path-With-Token"),
    *("hash-of-a-key", "shipping-key", "Tell me a secret", "my-request-id", "a-model-of-mine", "ann-the-user"),
    *("10.9.8.7", "conversation-1", "quoted prompt", "frame-of-a-stack", "label-value", "reason-text", "raw-key-bytes"),
)


def plant(machine: Machine) -> None:
    for name, value in SECRETS.items():
        machine.dial(name, value)
    (machine.state / "ship").mkdir(parents=True)
    files = {
        "api-keys.json": '{"keys": [{"hash": "hash-of-a-key-0123456789"}]}',
        "ship/key": "shipping-key-0123456789",
        "user-hash.key": "raw-key-bytes-0123456789",
        "ship/dead-letters.jsonl": '{"line": "Tell me a secret"}',
    }
    for name, text in files.items():
        (machine.state / name).write_text(text)
        (machine.state / name).chmod(0o600)
    asked = request(
        1_700_000_000.0,
        request_id="my-request-id",
        request_model="a-model-of-mine",
        user_hash="ann-the-user",
        user_id="ann-the-user",
        client_ip="10.9.8.7",
        conversation_id="conversation-1",
        error_type="Tell me a secret, loudly!",
        error_message="quoted prompt lk-watchwatchwatchwatch",
        error_stack="frame-of-a-stack",
        input_tokens=12,
        finish_reasons=("stop",),
    )
    extra = {"labels.x": "label-value", "gen_ai.input.messages": "Tell me a secret", "message": "my-request-id"}
    told = alert(1_700_000_001.0, reason="reason-text", exemplars=("my-request-id",))
    documents = [asked | extra, sample(1_700_000_002.0), told, {"event.dataset": "theirs", "event.id": "x"}]
    write(machine.state / "journal" / "serve-1.jsonl", documents)


def contents(path: Path) -> dict[str, str]:
    with tarfile.open(path) as archive:
        files = ((member, archive.extractfile(member)) for member in archive.getmembers())
        return {member.name: file.read().decode() for member, file in files if file is not None}


def test_no_planted_secret_is_in_the_archive(machine: Machine, tmp_path: Path) -> None:
    plant(machine)
    path = tmp_path / "support.tar.gz"
    with answering(lambda _: (401, {"error": {"reason": "no user correct horse battery, pa55 is wrong"}})) as url:
        machine.dial("elastic.url", url)
        assert "pa55" in machine.examine(bundle=path)["elasticsearch"]["why"], "the server quotes it"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = contents(path)
    for name, text in found.items():
        assert not [secret for secret in PLANTED if secret in text], name
    assert {Path(name).name for name in found} == {
        *("README.txt", "findings.json", "facts.json", "dials.json", "versions.json", "files.json", "events.jsonl")
    }


def test_what_helps_is_in_the_archive(machine: Machine, tmp_path: Path) -> None:
    plant(machine)
    machine.dial("engine.max_running", "7")
    path = tmp_path / "support.tar.gz"
    machine.examine(bundle=path)
    found = {Path(name).name: text for name, text in contents(path).items()}
    dials = json.loads(found["dials.json"])
    assert dials["engine.max_running"] == {"value": "7", "from": "LLMOPS_ENGINE__MAX_RUNNING"}
    assert dials["watch.webhook_url"]["value"] == "https://hooks.example.org"
    assert json.loads(found["versions.json"])["torch"]
    assert json.loads(found["files.json"])["ship/key"]["mode"] == "0o600"
    assert json.loads(found["facts.json"])["torch"]["cuda"] == "12.8"
    events = [json.loads(line) for line in found["events.jsonl"].splitlines()]
    assert [each["event.dataset"] for each in events] == ["llmops.alert", "llmops.gpu", "llmops.request"]
    assert events[-1]["gen_ai.usage.input_tokens"] == 12
    assert events[-1]["gen_ai.response.finish_reasons"] == ["stop"]
    assert "error.type" not in events[-1], "it is no word of ours"


def test_the_value_of_a_dial_that_cannot_be_used_is_hidden(machine: Machine, tmp_path: Path) -> None:
    (machine.work / "llmops.toml").write_text('[watch]\nwebhook_url = "hooks/Sigil: oops"\n')
    path = tmp_path / "support.tar.gz"
    assert "Sigil" in machine.examine(bundle=path)["dials"]["why"], "the person at the terminal sees it"
    found = contents(path)
    assert not [name for name, text in found.items() if "Sigil" in text]
    assert f"watch.webhook_url in llmops.toml is {HIDDEN}" in found["llmops-doctor/findings.json"]


def test_nothing_is_written_over_and_a_place_that_is_none_is_one_sentence(machine: Machine, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("mine")
    for name, why in ((str(there), "is there already"), (str(tmp_path / "no" / "where"), "no such file or directory")):
        answer = CliRunner().invoke(app, ["doctor", "--state", str(machine.state), "--bundle", name])
        assert answer.exit_code == 2
        (line,) = answer.stderr.strip().splitlines()[-1:]
        assert line.startswith(f"llmops doctor: --bundle {name} ")
        assert why in line
    assert there.read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Authorization: Bearer abcdefghij", f"Authorization: {HIDDEN}"),
        ("password=hunter2, then", f"{HIDDEN}, then"),
        ("sk-proj-0123456789abcdefghij", HIDDEN),
        ("https://ann:pw@host:9200/path?key=1 failed", "https://host:9200 failed"),
        ("/home/me/llmops", "~/llmops"),
        ("the dial engine.max_running is fine", "the dial engine.max_running is fine"),
        ("known-secret!", f"{HIDDEN}!"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str, left: str) -> None:
    assert Redactor(["known-secret", "abc"], Path("/home/me")).text(text) == left


def test_an_event_of_no_kind_of_ours_stays_here() -> None:
    assert event({"event.dataset": "theirs", "llmops.queue.time": 1.0}) == {}
    hostile: dict[str, Any] = {"event.dataset": "llmops.request", "event.outcome": {"a": "b"}, "error.type": ["x", 1]}
    assert event(hostile | {"gen_ai.response.finish_reasons": ["\x1b[2J"]})["event.dataset"] == "llmops.request"
    assert "\x1b" not in json.dumps(event(hostile | {"gen_ai.response.finish_reasons": ["\x1b[2J"]}))


def test_every_dial_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_ALERTS__EMAIL_USER", "ann")
    told = shown_dials(load(), Redactor([], Path("/")))
    assert told["alerts.email_user"] == {"value": HIDDEN, "from": "LLMOPS_ALERTS__EMAIL_USER"}
    assert len(told) == len(list(load().rows()))
