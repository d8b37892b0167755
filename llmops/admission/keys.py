"""API keys: made here, shown once, and known afterwards only by their hash."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable
from typing import Any

PREFIX = "lk-"
_SECRET_BYTES = 32
_LONGEST = 256
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_VERSION = 1


class BadKeys(Exception):
    """Keys that cannot be read, or a name that none can have; `str(error)` is one sentence with the fix."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it is kept. digest: SHA-256 of the whole key; created_at: Unix seconds.

    is_front_end: its holder serves others and may name, in a header, the end user of each request.

    SHA-256 and nothing slower: a key is 256 random bits, so there is no dictionary to try, and a hash made slow on
    purpose would only be a lever for whoever sends wrong keys.
    """

    id: str
    name: str
    digest: str
    last4: str
    created_at: float
    is_front_end: bool = False


class KeyRing:
    """Every key that opens."""

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        self.keys = tuple(keys)
        self._digests = tuple((bytes.fromhex(key.digest), key) for key in self.keys)

    def find(self, presented: bytes) -> ApiKey | None:
        """The key that was presented. Every kept one is compared, each in constant time, whichever fits."""
        if len(presented) > _LONGEST:
            return None
        digest = hashlib.sha256(presented).digest()
        found = None
        for kept, key in self._digests:
            if hmac.compare_digest(kept, digest):
                found = key
        return found

    def with_key(self, key: ApiKey) -> KeyRing:
        """One more."""
        return KeyRing((*self.keys, key))

    def without(self, key_id: str) -> KeyRing:
        """One less; an unknown id changes nothing."""
        return KeyRing(key for key in self.keys if key.id != key_id)


def make_key(name: str, now: float, *, is_front_end: bool = False) -> tuple[ApiKey, str]:
    """A new key and its text, which is kept nowhere. Raises BadKeys for a name that the record should not hold."""
    if not _NAME.fullmatch(name):
        raise BadKeys("A key's name is 1 to 64 of A-Z, a-z, 0-9 and . _ @ -, and begins with a letter or digit.")
    text = PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(_SECRET_BYTES)).rstrip(b"=").decode()
    digest = hashlib.sha256(text.encode()).hexdigest()
    key_id = secrets.token_hex(4)
    key = ApiKey(id=key_id, name=name, digest=digest, last4=text[-4:], created_at=now, is_front_end=is_front_end)
    return key, text


def write_keys(ring: KeyRing) -> str:
    """As text for a file."""
    keys = [
        {
            "id": key.id,
            "name": key.name,
            "sha256": key.digest,
            "last4": key.last4,
            "created_at": key.created_at,
            "front_end": key.is_front_end,
        }
        for key in ring.keys
    ]
    return json.dumps({"version": _VERSION, "keys": keys}, indent=2) + "\n"


def read_keys(text: str) -> KeyRing:
    """The keys of a file. Raises BadKeys when it is none of ours."""
    try:
        content = json.loads(text)
        if content["version"] != _VERSION:
            raise BadKeys(f"it is of version {content['version']!r}, and this llmops reads {_VERSION}")
        return KeyRing([_read_key(each) for each in content["keys"]])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise BadKeys(f"it is not what `llmops keys` writes ({type(error).__name__})") from None


def _read_key(each: dict[str, Any]) -> ApiKey:
    key = ApiKey(
        id=str(each["id"]),
        name=str(each["name"]),
        digest=str(each["sha256"]),
        last4=str(each["last4"]),
        created_at=float(each["created_at"]),
        is_front_end=each.get("front_end") is True,
    )
    if len(bytes.fromhex(key.digest)) != hashlib.sha256().digest_size or not _NAME.fullmatch(key.name):
        raise ValueError
    return key
