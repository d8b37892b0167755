"""The keymap as data: every key of every screen, its action and where it is told; settings may change each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal, TypeAlias

from textual.binding import Binding, BindingType

Scope: TypeAlias = Literal["everywhere", "screens", "overview", "chat", "prompt", "list", "dialog"]


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """One action. `action` names it in the settings and in the strings (`key.<action>`)."""

    action: str
    keys: str
    scope: Scope
    call: str
    shown: bool = True
    """In the bar at the bottom; help lists all."""


KEYMAP: tuple[Key, ...] = (
    Key("quit", "q", "everywhere", "app.quit"),
    Key("help", "question_mark", "everywhere", "app.help"),
    Key("overview", "1", "everywhere", "app.show('overview')"),
    Key("chat", "2", "everywhere", "app.show('chat')"),
    Key("next_screen", "tab", "screens", "app.next_screen"),
    Key("palette", "ctrl+p", "everywhere", "app.command_palette", shown=False),
    Key("pause", "p", "everywhere", "app.pause"),
    Key("faster", "plus,equals_sign", "everywhere", "app.faster", shown=False),
    Key("slower", "minus", "everywhere", "app.slower", shown=False),
    Key("theme", "t", "everywhere", "app.next_theme", shown=False),
    Key("copy", "y", "everywhere", "screen.copy"),
    Key("alerts", "A", "everywhere", "app.alerts", shown=False),
    Key("back", "escape", "everywhere", "screen.back", shown=False),
    Key("filter", "slash", "overview", "screen.filter"),
    Key("sort", "s", "overview", "screen.sort"),
    Key("down", "j", "list", "down", shown=False),
    Key("up", "k", "list", "up", shown=False),
    Key("top", "g", "list", "top", shown=False),
    Key("bottom", "G", "list", "bottom", shown=False),
    Key("open", "enter", "list", "open"),
    Key("send", "enter", "prompt", "send"),
    Key("newline", "ctrl+j,shift+enter", "prompt", "newline"),
    Key("stop", "escape", "prompt", "screen.back"),
    Key("new", "ctrl+n", "chat", "screen.new"),
    Key("write", "i", "chat", "screen.write", shown=False),
    Key("close", "escape,q,question_mark", "dialog", "screen.close"),
    Key("copy_here", "y", "dialog", "screen.copy", shown=False),
)

_NAMES = {
    "question_mark": "?",
    "slash": "/",
    "plus": "+",
    "minus": "-",
    "equals_sign": "=",
    "escape": "Esc",
    "enter": "Enter",
    "tab": "Tab",
}


class UnknownAction(ValueError):
    """The settings name an action that no key has."""

    slug = "unknown_key_action"

    def __init__(self, names: list[str]) -> None:
        known = ", ".join(sorted({key.action for key in KEYMAP}))
        super().__init__(f"tui.keys: no action named {', '.join(names)}; known are {known}")


def bindings(*scopes: Scope) -> list[BindingType]:
    """What a screen or widget binds; the ids let the settings change the keys.

    What leads out of the prompt goes before its typing; what belongs to its typing waits its turn there.
    """
    return [
        Binding(key.keys, key.call, key.action, id=key.action, show=False, priority=_leads_out_of_prompt(key))
        for key in KEYMAP
        if key.scope in scopes
    ]


def _leads_out_of_prompt(key: Key) -> bool:
    return key.scope == "prompt" and key.call.startswith("screen.")


def checked(changes: Mapping[str, str]) -> dict[str, str]:
    """The changes of the settings, if every action exists."""
    unknown = sorted(set(changes) - {key.action for key in KEYMAP})
    if unknown:
        raise UnknownAction(unknown)
    return dict(changes)


def told(key: Key, changes: Mapping[str, str]) -> str:
    """The first key of an action as people write it: `?`, `Ctrl-P`, `G`."""
    first = changes.get(key.action, key.keys).split(",")[0].strip()
    if first.startswith("ctrl+"):
        return f"Ctrl-{first[5:].upper()}"
    return _NAMES.get(first, first)
