"""How many files this process may open, and how many connections fit beside the files that it needs itself."""

from __future__ import annotations

import contextlib
import resource

_ENOUGH = 1 << 16
"""Some systems allow a billion, and size tables by it."""
_OWN_FILES = 256
"""For the journal, the store, the model's files, the libraries and the driver."""


def raise_file_limit() -> int:
    """Raise the soft limit on open files to the hard one, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # macOS allows less than its hard limit says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
    return _ENOUGH if soft == resource.RLIM_INFINITY else soft


def connections_within(file_limit: int) -> int:
    """How many connections may be open under this limit."""
    return max(1, file_limit - min(_OWN_FILES, file_limit // 2))
