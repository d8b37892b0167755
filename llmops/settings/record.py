"""Dials of the record: where it is kept and what is written down."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from llmops.settings.section import PositiveSeconds, Section


def default_state_directory() -> Path:
    """Where the record lives: `$XDG_STATE_HOME/llmops`, or `~/.local/state/llmops`."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "llmops"


class StateSettings(Section):
    """Where things are kept on disk."""

    directory: Annotated[Path, AfterValidator(Path.expanduser)] = Field(
        default_factory=default_state_directory, description="journal, store and run files"
    )

    @property
    def journal(self) -> Path:
        """Folder of the journal files."""
        return self.directory / "journal"

    @property
    def store(self) -> Path:
        """The SQLite file: an index of the journal, rebuilt when deleted."""
        return self.directory / "llmops.sqlite"

    @property
    def user_key(self) -> Path:
        """The key that user hashes are made with."""
        return self.directory / "user-hash.key"

    @property
    def run(self) -> Path:
        """Folder of the files that say which serve is running."""
        return self.directory / "run"


class EventSettings(Section):
    """What is written down."""

    environment: str = Field("default", description="service.environment of every event")
    namespace: str = Field("default", pattern=r"^[a-z0-9_.]+$", description="data_stream.namespace of every event")
    enabled: bool = Field(True, description="false writes no events (for measuring what they cost)")
    record_user: bool = Field(False, description="write user.id and client.ip in clear beside the hash")
    fsync: Literal["none", "interval", "always"] = Field("interval", description="when the journal is forced to disk")
    fsync_interval_s: PositiveSeconds = Field(1.0, description="with fsync = interval")
    segment_bytes: int = Field(64 << 20, gt=4096, description="a journal file is rotated at this size")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="of the human log on stderr")
