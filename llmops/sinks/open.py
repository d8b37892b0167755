"""Opens the bus of a process: who it is, its journal and its human log, from plain values."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from llmops import __version__
from llmops.events.bus import Bus, Sink
from llmops.events.origin import Origin
from llmops.sinks.journal import Fsync, JournalFile
from llmops.sinks.log import LoguruSink, configure_log

_MACHINE_ID_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


def open_bus(
    *,
    service_name: str,
    instance_id: str,
    journal_directory: Path | None,
    environment: str = "default",
    namespace: str = "default",
    labels: Sequence[tuple[str, str]] = (),
    fsync: Fsync = "interval",
    fsync_interval_s: float = 1.0,
    segment_bytes: int = 64 << 20,
    segment_age_s: float = 86400.0,
    log_level: str = "INFO",
    stream: TextIO | None = None,
    sinks: Sequence[Sink] = (),
    capacity: int = 10_000,
) -> Bus:
    """Configure the log and start the bus. Without a folder nothing is recorded. sinks: further places, after ours."""
    journal = None
    if journal_directory is not None:
        journal = JournalFile(
            journal_directory,
            service_name,
            started_at=time.time(),
            process_id=os.getpid(),
            segment_bytes=segment_bytes,
            segment_age_s=segment_age_s,
            fsync=fsync,
            fsync_interval_s=fsync_interval_s,
        )
    configure_log(log_level, stream or sys.stderr)
    origin = Origin(
        service_name=service_name,
        service_version=__version__,
        instance_id=instance_id,
        host_name=platform.node() or "localhost",
        host_id=host_id(),
        process_id=os.getpid(),
        environment=environment,
        namespace=namespace,
        labels=tuple(labels),
    )
    return Bus(origin, (LoguruSink(journal), *sinks), capacity=capacity)


def host_id(files: Sequence[Path] = _MACHINE_ID_FILES) -> str:
    """This machine's stable id, hashed: machine-id(5) asks not to spread the id itself."""
    for file in files:
        try:
            machine_id = file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if machine_id:
            return _hashed(machine_id)
    return _hashed(platform.node())


def _hashed(text: str) -> str:
    return hashlib.sha256(b"llmops host.id " + text.encode()).hexdigest()[:32]
