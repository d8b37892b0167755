"""Dials of the record: where it is kept and what is written down."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from llmops.settings.section import PositiveSeconds, Section
from llmops.statefolder import STORE, default_state_directory


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
        return self.directory / STORE

    @property
    def ship(self) -> Path:
        """Folder of the shipper: how far it is, what it could not deliver, its key."""
        return self.directory / "ship"

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
    namespace: str = Field(
        "default",
        pattern=r"^[a-z0-9_.]+$",
        description="data_stream.namespace of every event",
        examples=["my_box: small letters, digits, _ and ."],
    )
    enabled: bool = Field(True, description="false writes no events (for measuring what they cost)")
    record_user: bool = Field(False, description="write user.id and client.ip in clear beside the hash")
    fsync: Literal["none", "interval", "always"] = Field("interval", description="when the journal is forced to disk")
    fsync_interval_s: PositiveSeconds = Field(1.0, description="with fsync = interval")
    segment_bytes: int = Field(64 << 20, gt=4096, description="a journal file is rotated at this size")
    segment_age_s: PositiveSeconds = Field(86400.0, description="and after this long, also when nothing happens")
    journal_bytes: int = Field(8 << 30, gt=0, description="all journal files together: beyond it read ones are removed")
    journal_max_bytes: int = Field(
        32 << 30, gt=0, validate_default=True, description="hard cap: beyond it unread ones go too, with an alert"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="of the human log on stderr")

    @field_validator("journal_max_bytes")
    @classmethod
    def _is_above_the_soft_bound(cls, value: int, info: ValidationInfo) -> int:
        least = info.data.get("journal_bytes", 0)
        if value < least:
            raise PydanticCustomError("hard_cap", "make it at least events.journal_bytes ({least})", {"least": least})
        return value
