"""What a message that begins with a slash does: it changes how the chat asks, and says what holds now."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from llmops.client import RANGES, ChatOptions
from llmops.events.snapshot import RequestDefaults
from llmops.tui.language import Words
from llmops.tui.window import Context, Exchange
from llmops.untrusted import safe_line

COMMANDS = ("system", *RANGES, "settings", "new", "help")
_COMMAND = re.compile(r"/([a-z_]+)(?:\s+(.*))?", re.DOTALL)
_RESET = ("default", "off", "none")
_SHOWN_CHARACTERS = 200


class BadCommand(ValueError):
    """It can't be done as it stands; `str(error)` is one sentence."""


def parse(text: str) -> tuple[str, str] | None:
    """(command, the rest) of `/word ...`; None for a message: a path such as /etc/hosts is one."""
    found = _COMMAND.fullmatch(text)
    return (found[1], (found[2] or "").strip()) if found else None


def changed(options: ChatOptions, name: str, value: str, words: Words) -> ChatOptions:
    """After `/name value`. Raises BadCommand."""
    if value.lower() in _RESET:
        return options.with_value(name, None)
    if name == "system":
        return options.with_value(name, value)
    allowed = RANGES[name]
    try:
        return options.with_value(name, allowed.read(value))
    except (ValueError, OverflowError):
        kind = "chat.bad.above" if allowed.is_above else "chat.bad.whole" if allowed.is_whole else "chat.bad"
        least, most = f"{allowed.least:.0f}", f"{allowed.most:.0f}"
        raise BadCommand(words(kind, name=name, value=safe_line(value, 40), least=least, most=most)) from None


def unknown(name: str, words: Words) -> str:
    """The sentence for a command that there is not."""
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = words("chat.near", name=near[0]) if near else ""
    return words("chat.unknown", name=safe_line(name, 40), near=hint)


def said(options: ChatOptions, defaults: RequestDefaults | None, name: str, words: Words) -> str:
    """What holds of one setting, as in "temperature 0.7 (server's default)"."""
    value = getattr(options, name)
    if name == "system":
        return words("chat.system", text=safe_line(value, _SHOWN_CHARACTERS) if value else words("chat.no_system"))
    if value is not None:
        return f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
    default = getattr(defaults, name, None)
    if default is None:
        return f"{name} {words('chat.server')}"
    return f"{name} {default:g} {words('chat.server')}"


def settings_line(
    options: ChatOptions, defaults: RequestDefaults | None, context: Context, last: Exchange | None, words: Words
) -> str:
    """What holds, in the order of importance: a narrow terminal shows the first of it."""
    return "  ".join(_parts(options, defaults, context, last, words))


def _parts(
    options: ChatOptions, defaults: RequestDefaults | None, context: Context, last: Exchange | None, words: Words
) -> Iterator[str]:
    used = last.counted_tokens if last else None
    if context.limit is not None:
        yield words("chat.context", used=used or 0, limit=context.limit)
    if options.system:
        yield words("chat.system", text=safe_line(options.system, 24))
    for name in ("temperature", "top_p", "top_k", "max_tokens", "seed"):
        if getattr(options, name) is not None or getattr(defaults, name, None) is not None:
            yield said(options, defaults, name, words)
