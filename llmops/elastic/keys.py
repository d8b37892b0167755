"""API keys with the least that a reader or a writer of our streams needs, kept in files that only we can read."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elasticsearch import ApiError, BadRequestError, Elasticsearch, NotFoundError

from llmops.elastic.client import KEY_FILE, plain_words, reason_of
from llmops.elastic.errors import ElasticProblem
from llmops.elastic.login import key_from
from llmops.state.files import replace

OURS = ("logs-llmops.*", "metrics-llmops.*")
READ: Mapping[str, Any] = {
    "cluster": ["monitor"],
    "indices": [{"names": list(OURS), "privileges": ["read", "view_index_metadata"]}],
}
"""Questions. `monitor` shows the version and the templates."""
SHIP: Mapping[str, Any] = {
    "cluster": ["monitor"],
    "indices": [
        {
            "names": list(OURS),
            "privileges": ["create_doc", "auto_configure", "read", "view_index_metadata", "maintenance"],
        }
    ],
}
"""Adds documents, and asks which are there after a refresh; can change and delete none."""
KEYS: Mapping[str, tuple[str, Mapping[str, Any]]] = {KEY_FILE: ("llmops-ship", SHIP), "read-key": ("llmops-read", READ)}
"""File -> name of the key at the server, and what it may."""


def make_key(client: Elasticsearch, name: str, role: Mapping[str, Any]) -> str:
    """A new key, encoded as `elastic.api_key` wants it. Raises ElasticProblem."""
    try:
        answer = client.security.create_api_key(name=name, role_descriptors={name: dict(role)})
    except BadRequestError as error:
        if "derived" not in str(error.body):
            raise
        sentence = "A key can't make keys: run `llmops elk setup` with elastic.username and elastic.password."
        raise ElasticProblem("elastic_forbidden", sentence) from error
    return str(answer.body["encoded"])


def ensure_keys(client: Elasticsearch, folder: Path, *, renew: bool = False) -> list[str]:
    """Make the keys that are missing or no longer accepted; a sentence for each. Raises ElasticProblem or OSError."""
    with plain_words(client):
        if not _secured(client):
            return ["Security is off at this server: no keys are needed, and anyone who reaches it can change all."]
        return [_ensure(client, folder / file, *named, renew=renew) for file, named in KEYS.items()]


def _ensure(client: Elasticsearch, path: Path, name: str, role: Mapping[str, Any], *, renew: bool) -> str:
    old = key_from(path) if path.exists() else None  # one that is damaged is made anew
    if old and not renew and _accepted(client, old):
        return f"Key {name}: accepted as it is, in {path}."
    replace(path, f"{make_key(client, name, role)}\n".encode("ascii"))
    if old is not None and renew:
        _take_back(client, old)
    return f"Key {name}: made, in {path}."


def _accepted(client: Elasticsearch, key: str) -> bool:
    try:
        client.options(api_key=key).security.authenticate()
    except ApiError as error:
        if error.meta.status == 401:
            return False
        raise
    return True


def _take_back(client: Elasticsearch, key: str) -> None:
    """Only the one that was ours: another box may have a key of the same name."""
    with contextlib.suppress(ValueError, NotFoundError):
        client.security.invalidate_api_key(ids=[base64.b64decode(key, validate=True).decode("ascii").split(":")[0]])


def _secured(client: Elasticsearch) -> bool:
    try:
        client.security.authenticate()
    except BadRequestError as error:
        if "no handler found" in reason_of(error):
            return False
        raise
    return True
