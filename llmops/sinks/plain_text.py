"""Makes text of strangers safe to print in a terminal."""

from __future__ import annotations

import re

# Control characters (C0, DEL, C1), line and paragraph separators, lone surrogates, and the marks that turn the
# direction of writing: with them a message could move the cursor, forge a line or show what it does not say.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def neutralise(text: str) -> str:
    """`text` on one line, with each unsafe character spelled out, as in `\\x1b`; all others stay readable."""
    return _UNSAFE.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)
