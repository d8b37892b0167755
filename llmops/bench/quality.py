"""What quantisation costs a model: perplexity, agreement with the unquantised weights, memory and speed."""

from __future__ import annotations

import dataclasses
import gc
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmops.engine.dials import EngineDials, Quantization

if TYPE_CHECKING:
    from llmops.engine.scoring import Reference, Scores

QUANTIZATIONS: tuple[Quantization, ...] = ("none", "nf4", "nf4-double", "int8")
_HARDLY_KNOWS = 1000.0
"""A perplexity as of a thousand words that are equally likely."""
_WORTH_A_WORD, _ABOUT = 0.005, 0.05
_TEXTS = Path(__file__).parent / "text"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """One quantisation of a model. agreement and divergence are None for the unquantised one, which is the measure.

    tokens_per_s: of a text that is read at once, as a prompt is. generation_tokens_per_s: of one answer that is
    written; None where that cannot be measured.
    """

    quantization: Quantization
    model: str
    version: str
    dtype: str
    perplexity: Mapping[str, float]
    agreement: float | None
    divergence: float | None
    weights_bytes: int
    tokens: int
    tokens_per_s: float
    generation_tokens_per_s: float | None = None

    def as_fields(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self) | {"perplexity": dict(self.perplexity)}


def verdict(measured: Quality, base: Quality) -> str:
    """One sentence: what a quantisation saves and costs against the unquantised model."""
    saved = 1 - measured.weights_bytes / base.weights_bytes
    memory = "takes as much memory"
    if abs(saved) >= _WORTH_A_WORD:
        memory = f"saves {saved:.0%} of memory" if saved > 0 else f"takes {-saved:.0%} more memory"
    said = f"{measured.quantization} {memory} and {_perplexity_cost(measured, base)}; {_speed(measured, base)}."
    if max(base.perplexity.values()) > _HARDLY_KNOWS:
        said += " The model hardly knows these texts, so its perplexity says little: compare the choices."
    return said.replace("%", " %")


def _perplexity_cost(measured: Quality, base: Quality) -> str:
    """Over all texts, each counting the same."""
    changes = [math.log(measured.perplexity[text] / known) for text, known in base.perplexity.items()]
    cost = math.expm1(sum(changes) / len(changes))
    return f"costs {cost:.1%} of perplexity" if cost > 0 else f"lowers perplexity by {-cost:.1%}"


def _speed(measured: Quality, base: Quality) -> str:
    if measured.generation_tokens_per_s is None or base.generation_tokens_per_s is None:
        return "the speed of its generation cannot be measured"
    times = measured.generation_tokens_per_s / base.generation_tokens_per_s
    if abs(times - 1) < _ABOUT:
        return "generation is about as fast"
    return f"generation is {times:.1f} times as fast" if times >= 1 else f"generation is {1 / times:.1f} times as slow"


def measure_quality(
    model: str,
    dials: EngineDials,
    quantizations: Sequence[Quantization],
    *,
    texts: Mapping[str, str] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Quality]:
    """The unquantised model first, then each of `quantizations`; one at a time is in memory. Raises EngineError.

    tell: called with one short line whenever there is news.
    """
    texts = shipped_texts() if texts is None else texts
    reference: Reference | None = None
    first: Quantization = "none"
    for quantization in dict.fromkeys((first, *quantizations)):
        asked = dataclasses.replace(dials, quantization=quantization)
        measured, choices = _measure(model, asked, texts, reference, tell)
        reference = reference or choices
        yield measured


def shipped_texts() -> dict[str, str]:
    """By language: about a thousand words each."""
    return {path.stem: path.read_text("utf-8") for path in sorted(_TEXTS.glob("*.txt"))}


def _measure(
    model: str, dials: EngineDials, texts: Mapping[str, str], reference: Reference | None, tell: Callable[[str], None]
) -> tuple[Quality, Reference]:
    from llmops.engine.loading import load
    from llmops.engine.progress import Progress
    from llmops.engine.scoring import score

    name = dials.quantization

    class Told(Progress):
        def at(self, done_bytes: int) -> None:
            super().at(done_bytes)
            tell(f"{name}: {self.sentence}")

    loaded = load(model, dials, Told())
    try:
        scores, choices = score(loaded, texts, reference, lambda share: tell(f"{name}: Scoring: {share:.0%}"))
        return _quality(name, model, loaded, scores), choices
    finally:
        del loaded
        gc.collect()


def _quality(quantization: Quantization, model: str, loaded: Any, scores: Scores) -> Quality:
    return Quality(
        quantization=quantization,
        model=model,
        version=loaded.version,
        dtype=loaded.dtype,
        perplexity=scores.perplexity,
        agreement=scores.agreement,
        divergence=scores.divergence,
        weights_bytes=scores.weights_bytes,
        tokens=scores.tokens,
        tokens_per_s=scores.tokens_per_s,
        generation_tokens_per_s=scores.generation_tokens_per_s,
    )
