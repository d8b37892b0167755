"""The themes: dark, light, high contrast and colour-blind safe; NO_COLOR turns each into shades of grey.

Colours are semantic. `error` is red or its stand-in and means a breached objective, a memory about to overflow or a
dead serve, nothing else.
"""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="llmops-dark",
    primary="#7aa2f7",
    secondary="#7dcfff",
    accent="#bb9af7",
    success="#9ece6a",
    warning="#e0af68",
    error="#f7768e",
    foreground="#c8d0e7",
    background="#14161f",
    surface="#14161f",
    panel="#24283b",
    dark=True,
)
LIGHT = Theme(
    name="llmops-light",
    primary="#2257c4",
    secondary="#006c86",
    accent="#7c3aad",
    success="#34741c",
    warning="#8a5a00",
    error="#c01c3a",
    foreground="#20242f",
    background="#fbfbfd",
    surface="#fbfbfd",
    panel="#e4e7ef",
    dark=False,
)
HIGH_CONTRAST = Theme(
    name="llmops-high-contrast",
    primary="#ffffff",
    secondary="#00ffff",
    accent="#ffff00",
    success="#00ff00",
    warning="#ffff00",
    error="#ff5f5f",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#303030",
    dark=True,
)
# Okabe and Ito, "Color Universal Design" (2008): told apart with every common colour blindness.
COLOUR_BLIND = Theme(
    name="llmops-colour-blind",
    primary="#56b4e9",
    secondary="#009e73",
    accent="#cc79a7",
    success="#56b4e9",
    warning="#f0e442",
    error="#d55e00",
    foreground="#e6e6e6",
    background="#121212",
    surface="#121212",
    panel="#2b2b2b",
    dark=True,
)
THEMES = (DARK, LIGHT, HIGH_CONTRAST, COLOUR_BLIND)


def next_theme(name: str) -> str:
    """The one after `name`, around."""
    names = [theme.name for theme in THEMES]
    return names[(names.index(name) + 1) % len(names)] if name in names else names[0]


def known_theme(name: str) -> str:
    """`name` if it is one of ours, else the dark one."""
    return name if name in {theme.name for theme in THEMES} else DARK.name
