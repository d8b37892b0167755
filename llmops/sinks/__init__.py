"""Where documents go: the journal on disk, which is the record, and the human log on stderr."""

from llmops.sinks.journal import JournalFile
from llmops.sinks.log import LoguruSink, adopt_loggers, configure_log
from llmops.sinks.open import host_id, open_bus

__all__ = ["JournalFile", "LoguruSink", "adopt_loggers", "configure_log", "host_id", "open_bus"]
