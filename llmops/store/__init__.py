"""Questions about what happened: documents of the journal, indexed. One contract, on disk and in memory."""

from llmops.store.contract import (
    Blame,
    Blamed,
    Bucket,
    Checkpoint,
    Counts,
    Dimension,
    Ended,
    How,
    Judged,
    Kept,
    Late,
    Measure,
    Over,
    Peak,
    Percentiles,
    Probed,
    Questions,
    Record,
    RequestRow,
    Store,
    Usage,
)
from llmops.store.errors import StoreUnavailable, StoreUnreadable
from llmops.store.follow import JournalFollower, Progress
from llmops.store.memory import MemoryStore
from llmops.store.retention import Retention, Trimmed
from llmops.store.segments import journal_bytes
from llmops.store.sqlite import SqliteStore, open_store

__all__ = [
    "Blame",
    "Blamed",
    "Bucket",
    "Checkpoint",
    "Counts",
    "Dimension",
    "Ended",
    "How",
    "JournalFollower",
    "Judged",
    "Kept",
    "Late",
    "Measure",
    "MemoryStore",
    "Over",
    "Peak",
    "Percentiles",
    "Probed",
    "Progress",
    "Questions",
    "Record",
    "RequestRow",
    "Retention",
    "SqliteStore",
    "Store",
    "StoreUnavailable",
    "StoreUnreadable",
    "Trimmed",
    "Usage",
    "journal_bytes",
    "open_store",
]
