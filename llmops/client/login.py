"""Whom the record names as the user of a chat from this machine."""

from __future__ import annotations

import getpass


def login_name(otherwise: str) -> str:
    """The login, or `otherwise` where there is none: a container may not know its user."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return otherwise
