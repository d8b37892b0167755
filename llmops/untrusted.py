"""Text from users and models, made safe to show: no control character, escape sequence or direction trick survives.

Every character is judged alone, so a sequence that is split over two chunks of a stream is caught as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_REPLACEMENT = "\ufffd"
_BIDI = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_INVISIBLE = (0x00AD, 0x200B, 0x2060, 0x2061, 0x2062, 0x2063, 0x2064, 0xFEFF, 0x180E)


def _table() -> Iterator[tuple[int, str]]:
    for code in range(0x20):
        yield code, chr(0x2400 + code)  # the Unicode picture of the control character
    yield 0x7F, "\u2421"
    for code in range(0x80, 0xA0):
        yield code, _REPLACEMENT
    for code in _BIDI:
        yield code, _REPLACEMENT
    for code in _INVISIBLE:
        yield code, ""
    for code in range(0xD800, 0xE000):
        yield code, _REPLACEMENT  # a lone surrogate can't be encoded for the terminal
    for code in range(0xE0000, 0xE0080):
        yield code, ""  # tags: text that nobody sees
    yield ord("\t"), "    "
    yield ord("\r"), ""
    yield 0x2028, "\n"
    yield 0x2029, "\n"


_BLOCK = {**dict(_table()), ord("\n"): "\n"}
_LINE = {**_BLOCK, ord("\n"): " ", 0x2028: " ", 0x2029: " "}


def is_unicode(text: str) -> bool:
    """It can be told in UTF-8: a lone surrogate from a command line cannot, and matches nothing that is stored."""
    return text == text.encode("utf-8", "replace").decode("utf-8")


def safe_block(text: str) -> str:
    """The text with its line breaks, harmless."""
    return text.translate(_BLOCK)


def safe_line(text: object, width: int | None = None) -> str:
    """The text on one line, harmless; cut with an ellipsis at `width` characters."""
    line = str(text).translate(_LINE)
    return line if width is None or len(line) <= width else line[: max(0, width - 1)] + "…"


# Control characters (C0, DEL, C1), line and paragraph separators, lone surrogates, and the marks that turn the
# direction of writing: with them a message could move the cursor, forge a line or show what it does not say.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


_WIDER = 0xFEE0
"""From a printable ASCII character to its full-width form."""
_DOT = "\u2024"
_MARKUP = re.compile(
    r"""
      [@<>\[\]*`~#|\\&{}]             # mentions, tags, links, emphasis, code, headings, tables, entities, templates
    | _(?=[\W_]|$) | (?<![^\W_])_      # emphasis; an underscore inside a word is none
    | :(?=[^\s\d])                    # schemes of addresses, and names of emoji
    | \((?=\w+\)\S)                  # tags in round brackets
    """,
    re.VERBOSE,
)
_HOST = re.compile(r"(?<=\w)\.(?=[^\W\d_])|\b\d{1,3}(?:\.\d{1,3}){3}\b")
"""The dot of a host name, and an IPv4 address: programs make links of them without a scheme."""


def without_markup(text: object) -> str:
    """`text` on one line, in which no chat, mail program or desktop finds a mention, a link or any other markup.

    Characters that could be part of some become their full-width forms, and the dots of host names a look-alike:
    `@all` becomes `＠all`. `with_markup` turns them back.
    """
    spelled = _MARKUP.sub(lambda found: chr(ord(found.group()) + _WIDER), safe_line(text))
    return _HOST.sub(lambda found: found.group().replace(".", _DOT), spelled)


_AS_TYPED = {code + _WIDER: chr(code) for code in range(0x21, 0x7F)} | {ord(_DOT): "."}


def with_markup(text: str) -> str:
    """The ASCII text that `without_markup` was given."""
    return text.translate(_AS_TYPED)


def spelled_out(text: str) -> str:
    """`text` on one line, with each unsafe character spelled out, as in `\\x1b`; all others stay readable."""
    return _UNSAFE.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)
