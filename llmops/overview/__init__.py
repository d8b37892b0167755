"""One look at everything: what `llmops status` prints and the terminal shows, from the same type."""

from llmops.overview.contract import AlertLine, BenchmarkLine, Health, Overview, SloChip
from llmops.overview.looking import WINDOW_S, look
from llmops.overview.printing import exit_code, to_json

__all__ = [
    "WINDOW_S",
    "AlertLine",
    "BenchmarkLine",
    "Health",
    "Overview",
    "SloChip",
    "exit_code",
    "look",
    "to_json",
]
