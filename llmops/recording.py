"""Opens the record of a program from its dials: its bus, its journal file, its human log."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from llmops.events import Bus, Sink
from llmops.settings import Settings
from llmops.sinks.open import open_bus


def open_record(settings: Settings, service_name: str, *, instance_id: str = "", sinks: Sequence[Sink] = ()) -> Bus:
    """The bus that this program writes its events to; with `events.enabled = false` it records nothing."""
    dials = settings.events
    return open_bus(
        service_name=service_name,
        instance_id=instance_id or uuid.uuid4().hex[:12],
        journal_directory=settings.state.journal if dials.enabled else None,
        environment=dials.environment,
        namespace=dials.namespace,
        fsync=dials.fsync,
        fsync_interval_s=dials.fsync_interval_s,
        segment_bytes=dials.segment_bytes,
        segment_age_s=dials.segment_age_s,
        log_level=dials.log_level,
        sinks=sinks,
    )
