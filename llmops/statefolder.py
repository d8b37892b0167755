"""The folder where journal, store and run files are kept, for who needs to know that and no other dial."""

from __future__ import annotations

import os
from pathlib import Path

STORE = "llmops.sqlite"


def default_state_directory() -> Path:
    """Where the record lives: `$XDG_STATE_HOME/llmops`, or `~/.local/state/llmops`."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "llmops"


def quick_state_directory(flag: str | None) -> Path | None:
    """What `llmops.settings.load` would find for `state.directory`, without the tenth of a second that reading and
    checking every dial takes. None where there is a file of dials, which only that reads.

    flag: `--state`.
    """
    given = {name.upper(): value for name, value in os.environ.items() if name.upper().startswith("LLMOPS_")}
    if given.get("LLMOPS_CONFIG") or given.get("LLMOPS_STATE") or Path("llmops.toml").exists():
        return None
    named = flag if flag is not None else given.get("LLMOPS_STATE__DIRECTORY") or None
    return default_state_directory() if named is None else Path(named).expanduser()
