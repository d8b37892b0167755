"""The folder where journal, store and run files are kept, for who needs to know that and no other dial."""

from __future__ import annotations

import os
from pathlib import Path

STORE = "llmops.sqlite"
_VARIABLE = "LLMOPS_STATE__DIRECTORY"


def default_state_directory() -> Path:
    """Where the record lives: `$XDG_STATE_HOME/llmops`, or `~/.local/state/llmops`."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "llmops"


def quick_state_directory(flag: str | None) -> Path | None:
    """What `llmops.settings.load` would find for `state.directory`, without the tenth of a second that reading and
    checking every dial takes. None where another dial is named, in the environment or a file: then they are to be read.

    flag: `--state`.
    """
    named = {name: value for name, value in os.environ.items() if value and name.upper().startswith("LLMOPS_")}
    folder = named.pop(_VARIABLE, None)
    if named or Path("llmops.toml").exists():
        return None
    given = folder if flag is None else flag
    return default_state_directory() if given is None else Path(given).expanduser()
