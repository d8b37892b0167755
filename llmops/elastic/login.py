"""Who we are, as a header carries it: what can't be sent is told in a sentence that never quotes the secret."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from llmops.elastic.errors import ElasticProblem
from llmops.state.files import read_private

_MOST_BYTES = 1 << 16
_KEY = re.compile(r"[\x21-\x7e]+")


def plain_key(key: str) -> str | None:
    """Without the line break that a secret from a file ends with; None where no header can carry it."""
    bare = key.strip()
    return bare if _KEY.fullmatch(bare) else None


def key_from(path: Path) -> str | None:
    """The key in a file of ours; None where it is damaged. Raises OSError, UnusableFile among them."""
    return plain_key(read_private(path, most_bytes=_MOST_BYTES, secret=True).decode("utf-8", errors="replace"))


def named_key(key: str) -> str:
    """The key of the dial. Raises ElasticProblem."""
    if bare := plain_key(key):
        return bare
    sentence = "The API key that elastic names is not one line of plain characters: copy it anew."
    raise ElasticProblem("elastic_login", sentence)


def basic(username: str, password: str) -> str:
    """User and password, encoded: clients do it in ASCII, the server reads UTF-8. Raises ElasticProblem."""
    if ":" in username:
        raise ElasticProblem("elastic_login", "elastic.username has a colon, which no login can carry: use another.")
    try:
        return base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
    except UnicodeEncodeError:
        sentence = "elastic.username or elastic.password is no UTF-8: set them in a terminal that speaks it."
        raise ElasticProblem("elastic_login", sentence) from None


def header(login: tuple[str, str] | str) -> str:
    """The value of `Authorization`, for user and password or an encoded key. Raises ElasticProblem."""
    return f"Basic {basic(*login)}" if isinstance(login, tuple) else f"ApiKey {named_key(login)}"
