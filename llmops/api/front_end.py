"""Headers of a front end such as Open WebUI: the end user of a request, and whether it is a background task."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from llmops.admission.keys import ApiKey
from llmops.api.messages import MAX_NAME
from llmops.inference.errors import InvalidRequest

_log = logging.getLogger(__name__)
_MOST_LOGGED = 100


class FrontEndHeaders:
    """Reads the two headers; None: no such header. Only a front end's key may name an end user.

    Any other client that could would leave its limits by a new name.
    """

    def __init__(self, end_user: str | None = None, background: str | None = None) -> None:
        self._end_user_name = end_user
        self._end_user = end_user.lower().encode() if end_user else None
        self._background = background.lower().encode() if background else None
        self._logged: set[str | None] = set()

    def user_of(self, key: ApiKey | None, headers: Mapping[bytes, bytes]) -> str | None:
        """The front end's end user, as `key name/end user`; None where there is none. Raises InvalidRequest.

        A slash is in no key's name: an end user is never another key's user, nor that of another front end.
        """
        given = headers.get(self._end_user, b"").strip() if self._end_user else b""
        if not given:
            return None
        if key is None or not key.is_front_end:
            self._log_once(key)
            return None
        if len(given) > MAX_NAME:
            raise InvalidRequest(
                f"{self._end_user_name} has {len(given)} bytes: it must have at most {MAX_NAME}.", self._end_user_name
            )
        return f"{key.name}/{given.decode('utf-8', 'backslashreplace')}"

    def is_background(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether the client says that no person waits for this answer; it needs no key to lower its own priority."""
        return self._background is not None and bool(headers.get(self._background, b"").strip())

    def _log_once(self, key: ApiKey | None) -> None:
        name = None if key is None else key.name
        if name in self._logged or len(self._logged) >= _MOST_LOGGED:
            return
        self._logged.add(name)
        _log.warning(
            "the header %s is ignored: %s; `llmops keys create NAME --front-end` makes a key that may send it",
            self._end_user_name,
            "the request has no API key of this server" if name is None else f"the key {name} is not a front end's",
        )
