"""NVLink: which links of a card are up."""

from __future__ import annotations

from typing import Any

import pynvml

from llmops.gpu.asking import Questions

_MAX_LINKS = 18
"""Of the cards there are; the header's own limit of 36 is room for later ones."""


def link_states(handle: Any, questions: Questions | None = None) -> dict[int, bool]:
    """Of each link that the card has, whether it is up. Raises NVMLError where card or driver are away."""
    asked = questions or Questions()
    states = {link: _state(handle, link, asked) for link in range(_MAX_LINKS)}
    return {link: state for link, state in states.items() if state is not None}


def _state(handle: Any, link: int, questions: Questions) -> bool | None:
    return questions.ask(f"link {link}", lambda: bool(pynvml.nvmlDeviceGetNvLinkState(handle, link)))


def active_links(handle: Any, questions: Questions) -> int | None:
    """How many are up; None for a card without NVLink."""
    if questions.lacks("link 0"):
        return None
    states = link_states(handle, questions)
    return sum(states.values()) if states else None
