"""Finds out what an upstream serves and whether it answers; says what to change where it does neither."""

from __future__ import annotations

import time
from collections.abc import Sequence

from llmops.engine.dials import EngineDials
from llmops.engine.errors import ModelNotLoaded, UpstreamFailed
from llmops.engine.upstream_link import Link, NotReached
from llmops.engine.upstream_reading import Refused, Row, read_chunk, read_rows
from llmops.engine.upstream_refusals import quote

_LOOK_WITHIN_S = 10.0
_SHOWN_NAMES = 5
_LOADING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that a server, or the proxy before it, gives while its model loads."""


class NotYet(Exception):
    """The upstream is away or still loads; `str(error)` says which, as a part of a sentence."""


def checked(dials: EngineDials) -> None:
    """Raises ModelNotLoaded for an address or a key that can't be used."""
    url, key = dials.upstream.url, dials.upstream.api_key
    if not url:
        raise ModelNotLoaded(
            "The upstream engine has no address: give --upstream http://127.0.0.1:8001/v1 or set engine.upstream_url."
        )
    if not url.startswith(("http://", "https://")):
        raise ModelNotLoaded(f"engine.upstream_url is {url!r}: it must start with http:// or https://.")
    if key and not (key.isascii() and key.isprintable() and key == key.strip()):
        raise ModelNotLoaded("engine.upstream_api_key holds characters that no HTTP header can carry: copy it again.")


async def find(link: Link, wanted: str | None) -> Row:
    """The model to ask for: the named one, or the only one there. Raises NotYet or ModelNotLoaded."""
    try:
        rows = read_rows(await link.get("/models", _LOOK_WITHIN_S), time.time())
    except Refused as refused:
        if refused.status in (404, 405) and wanted:
            return Row(id=wanted)  # some servers have no list; the probe will tell
        raise _meaning(link, refused) from None
    except NotReached as error:
        raise NotYet(_part(error)) from None
    except UpstreamFailed as error:
        raise ModelNotLoaded(
            f"{link.url} is no OpenAI-compatible API ({_part(error)}): engine.upstream_url must end before /models, "
            "as in http://127.0.0.1:8001/v1."
        ) from None
    if not rows:
        raise NotYet("it serves no model")
    return choose(rows, wanted, link.url)


def choose(rows: Sequence[Row], wanted: str | None, url: str) -> Row:
    """Raises ModelNotLoaded where the choice is not clear."""
    names = ", ".join(row.id for row in rows[:_SHOWN_NAMES]) + (", …" if len(rows) > _SHOWN_NAMES else "")
    if wanted is None:
        if len(rows) > 1:
            raise ModelNotLoaded(f"{url} serves {len(rows)} models ({names}): name one, as in `--upstream {url} NAME`.")
        return rows[0]
    found = next((row for row in rows if row.id in (wanted, f"{wanted}:latest")), None)  # Ollama adds the tag
    if found is None:
        raise ModelNotLoaded(f"{url} does not serve {wanted!r}: it has {names}.")
    return found


async def probe(link: Link, model: str) -> str | None:
    """Lets it answer one token; gives the server's fingerprint, if it has one. Raises NotYet or ModelNotLoaded."""
    try:
        return await _one_token(link, "/chat/completions", {"model": model, "messages": [_HELLO]})
    except Refused as refused:
        if refused.status not in (400, 404, 405, 422, 501):
            raise _meaning(link, refused) from None
    except UpstreamFailed as error:
        raise NotYet(_part(error)) from None
    try:  # a model without a chat template continues text
        return await _one_token(link, "/completions", {"model": model, "prompt": "Hello"})
    except Refused as refused:
        raise _meaning(link, refused) from None
    except UpstreamFailed as error:
        raise NotYet(_part(error)) from None


_HELLO = {"role": "user", "content": "Hello"}


async def _one_token(link: Link, path: str, body: dict[str, object]) -> str | None:
    fingerprint = None
    async with link.events(path, {**body, "stream": True, "max_tokens": 1, "temperature": 0.0}) as events:
        async for data in events:
            if data.strip() == "[DONE]":
                return fingerprint
            chunk = read_chunk(data)
            fingerprint = chunk.fingerprint or fingerprint
            if chunk.finish_reason:
                return fingerprint
    raise UpstreamFailed("The upstream broke off its first answer.")


def _meaning(link: Link, refused: Refused) -> Exception:
    status, said = refused.status, quote(refused)
    if status in _LOADING:
        return NotYet(f"it answers {status}{said}")
    if status in (401, 403):
        why = f"refuses the API key ({status}){said}: set LLMOPS_ENGINE__UPSTREAM_API_KEY or engine.upstream_api_key"
    elif 300 <= status < 400:
        why = f"redirects ({status}): set engine.upstream_url to the address where it ends"
    elif status in (404, 405):
        why = f"has no such path ({status}){said}: engine.upstream_url usually ends with /v1"
    else:
        why = f"answers {status}{said}: look into its log"
    return ModelNotLoaded(f"{link.url} {why}.")


def _part(error: UpstreamFailed) -> str:
    """A sentence about the upstream as a part of another one."""
    return str(error).removeprefix("The upstream ").rstrip(".")
