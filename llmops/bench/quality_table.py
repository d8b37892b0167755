"""What quantisation costs, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from llmops.bench.quality import Quality

LEGEND = "same: first choices that stay; KL in nats; generation and reading in tokens/s"


def as_quality_table(measured: Sequence[Quality]) -> Table:
    """The unquantised model first; changes of perplexity are against it."""
    table = Table("weights", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    texts = list(measured[0].perplexity) if measured else []
    figures = ("same", "KL", "generation", "reading")
    for heading in ("memory", *(f"ppl {text}" for text in texts), *figures):
        table.add_column(heading, justify="right")
    for each in measured:
        base = measured[0].perplexity
        table.add_row(
            each.quantization,
            f"{each.weights_bytes / 1e6:.1f} MB",
            *(_perplexity(each.perplexity[text], base[text], is_base=each is measured[0]) for text in texts),
            "--" if each.agreement is None else f"{each.agreement:.1%}",
            "--" if each.divergence is None else f"{each.divergence:.4f}",
            "--" if each.generation_tokens_per_s is None else f"{each.generation_tokens_per_s:.1f}",
            f"{each.tokens_per_s:.0f}",
        )
    return table


def _perplexity(value: float, base: float, *, is_base: bool) -> str:
    shown = f"{value:.2f}" if value < 100 else f"{value:.0f}"
    return shown if is_base else f"{shown} {100 * (value - base) / base:+.1f}%"
