"""The support archive: findings, dials, versions, the files there are and the last events, all without secrets."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import io
import json
import os
import platform
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr

import llmops
from llmops.doctor import redaction
from llmops.doctor.examine import Facts
from llmops.doctor.finding import Finding
from llmops.doctor.redaction import Redactor
from llmops.settings import Loaded, Settings
from llmops.store.lines import event_of
from llmops.store.segments import look_at

LAST_EVENTS = 200
_TAIL_BYTES = 1 << 19
_MOST_FILES = 500
_SECRET_BYTES = 1 << 16
_READ_ME = """What `llmops doctor` found on this machine, for whoever helps. Look through it before you send it.

findings.json  each check: ok, warning or error, why, and what mends it
facts.json     what the checks looked at
dials.json     every dial and where it came from; no secret, of an address only scheme, host and port
versions.json  Python, the system, the libraries
files.json     names, sizes and permissions in the state directory; no content
events.jsonl   the last events: kind, time, numbers and our own words; no prompt, answer, user, key or id
"""


def write(path: Path, loaded: Loaded, facts: Facts, findings: Sequence[Finding], now: float) -> None:
    """For its owner's eyes. Raises OSError, FileExistsError among them: nothing is written over."""
    content = dict(_content(loaded, facts, findings))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
            for name, text in content.items():
                member = tarfile.TarInfo(f"llmops-doctor/{name}")
                body = text.encode("utf-8", "backslashreplace")
                member.size, member.mtime, member.mode = len(body), int(now), 0o600
                archive.addfile(member, io.BytesIO(body))
    except OSError:
        path.unlink(missing_ok=True)  # half an archive helps nobody
        raise


def _content(loaded: Loaded, facts: Facts, findings: Sequence[Finding]) -> Iterator[tuple[str, str]]:
    state = loaded.settings.state
    redactor = Redactor(secrets_of(loaded.settings), Path.home())
    yield "README.txt", _READ_ME
    told = [
        dataclasses.asdict(each) | {"why": redactor.sentence(each.why), "command": redactor.text(each.command or "")}
        for each in findings
    ]
    yield "findings.json", _json(told)
    plain = json.loads(json.dumps(_plain(dataclasses.asdict(facts)), default=str))
    plain["dials_problem"] = redactor.sentence(facts.dials_problem or "")
    yield "facts.json", _json(redactor.every(plain))
    yield "dials.json", _json(redaction.dials(loaded, redactor))
    yield "versions.json", _json(redactor.every(_versions()))
    yield "files.json", _json(redactor.every(_files(state.directory)))
    yield "events.jsonl", "".join(f"{json.dumps(each)}\n" for each in last_events(state.journal))


def secrets_of(settings: Settings) -> Iterator[str]:
    """In clear, each secret dial and each key in the state directory, to look for it."""
    for _, section in settings:
        for _, value in section:
            for each in value if isinstance(value, tuple) else (value,):
                if isinstance(each, SecretStr):
                    yield each.get_secret_value()
    directory = settings.state.directory
    for path in (directory / "user-hash.key", directory / "ship" / "key", directory / "api-keys.json"):
        try:
            raw = path.read_bytes()[:_SECRET_BYTES]
        except OSError:
            continue
        yield raw.hex()
        yield from re.findall(r"[^\s\"'{}\[\],:]{16,}", raw.decode("utf-8", "replace"))


def last_events(journal: Path) -> list[dict[str, Any]]:
    """The newest of each file, the newest file first, as much of them as may leave."""
    found: list[dict[str, Any]] = []
    for segment in reversed(look_at(journal)[0]):
        if len(found) >= LAST_EVENTS:
            break
        try:
            with segment.path.open("rb") as file:
                file.seek(max(0, segment.size_bytes - _TAIL_BYTES))
                lines = file.read(_TAIL_BYTES).splitlines(keepends=True)
        except OSError:
            continue
        events = (event_of(line) for line in reversed(lines))
        kept = (redaction.event(each) for each in events if each is not None)
        found += [each for each in kept if each][: LAST_EVENTS - len(found)]
    return found


def _plain(value: Any) -> Any:
    """Keys as JSON takes them."""
    if isinstance(value, Mapping):
        return {
            "-".join(map(str, key)) if isinstance(key, tuple) else str(key): _plain(at) for key, at in value.items()
        }
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _versions() -> dict[str, str]:
    found = {"llmops": llmops.__version__, "python": platform.python_version(), "system": platform.platform()}
    for line in importlib.metadata.requires("llmops") or []:
        name = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
        if "extra ==" not in line:
            try:
                found[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                found[name] = "not installed"
    return found


def _files(directory: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(directory.rglob("*"))[:_MOST_FILES]:
        try:
            status = path.lstat()
        except OSError:
            continue
        name = str(path.relative_to(directory))
        found[name] = {"bytes": status.st_size, "mode": oct(status.st_mode & 0o7777), "owner": status.st_uid}
    return found


def _json(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"
