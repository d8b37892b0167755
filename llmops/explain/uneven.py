"""GPUs that are used unevenly: is the model on one of them, do they take turns, is one held back."""

from __future__ import annotations

from collections.abc import Iterator

from llmops.explain.contract import CardUse, Cause, Explanation, Record, Turn

BUSY, APART = 0.3, 0.3
_EMPTY, _HELD_BACK, _ONE_CARD = 0.1, 0.1, 1.15
"""Share of memory of a card without a model; of samples held back; sum of uses that one card at a time makes."""


def explain_uneven(record: Record) -> Explanation:
    """Means of the span, card beside card."""
    known = [each for each in record.cards if each.use is not None]
    if len(known) < 2:
        samples = "no GPU" if not known else "one GPU"
        return Explanation(
            topic="uneven-gpus",
            is_there=False,
            summary=f"The record has samples of {samples}: there is nothing to compare.",
            would_show=("samples of two GPUs or more that tell their use (gpu.kind = auto, while serve works)",),
        )
    uses = [each.use or 0.0 for each in known]
    told = "; ".join(f"{_called(at, each)} {100 * (each.use or 0.0):.0f} %" for at, each in enumerate(known))
    turns = sum(uses) <= _ONE_CARD and max(uses) >= BUSY and record.device_map is not None
    if (max(uses) < BUSY or max(uses) - min(uses) < APART) and not turns:
        return Explanation(
            topic="uneven-gpus",
            is_there=False,
            summary=f"No GPU waits for another: {told} used on average.",
            would_show=("a span with load: `--since` over a busy hour",),
        )
    causes = (*_empty(record, known), *_held_back(known), *_turns(record, known, turns=turns), *_links(known))
    return Explanation(
        topic="uneven-gpus",
        is_there=True,
        summary=f"The GPUs are used unevenly: {told} used on average.",
        causes=causes,
        would_show=() if causes else ("`llmops doctor`: who holds the cards, peer access, NVLink, NCCL",),
    )


def _called(at: int, card: CardUse) -> str:
    return f"GPU {at} ({card.name})"


def _empty(record: Record, cards: list[CardUse]) -> Iterator[Cause]:
    empty = [at for at, each in enumerate(cards) if each.memory is not None and each.memory < _EMPTY]
    if not empty or len(empty) == len(cards):
        return
    spread = (
        Turn(dial="engine.device_map", to="balanced, for a model too large for one card; it makes nothing quicker"),
        Turn(dial="engine.kind", to="upstream, in front of a server with tensor parallelism, for speed on all of them"),
        Turn(dial="engine.device", to="cuda:N for a second serve on the idle card, on a port of its own"),
    )
    limits = (Turn(dial="engine.max_memory", to="less on the first card, so that layers go to the others"),)
    yield Cause(
        name="model on one card",
        standing="shown",
        says="There is no model on some of the cards.",
        evidence=(
            *(f"{_called(at, cards[at])}: {100 * (cards[at].memory or 0.0):.0f} % of its memory used" for at in empty),
            f"engine.device_map is {record.device_map or 'not set, so serve takes one card'}",
        ),
        turns=spread if record.device_map is None else limits + spread[1:],
    )


def _held_back(cards: list[CardUse]) -> Iterator[Cause]:
    slow = [at for at, each in enumerate(cards) if each.throttled > _HELD_BACK]
    if slow and len(slow) < len(cards):
        yield Cause(
            name="held back",
            standing="shown",
            says="Some cards are slowed down by heat or power, and the others wait for them.",
            evidence=tuple(
                f"{_called(at, cards[at])}: in {100 * cards[at].throttled:.0f} % of its samples" for at in slow
            ),
            turns=(Turn(dial="nvidia-smi -q -d PERFORMANCE,POWER,TEMPERATURE", to="says what holds it back"),),
        )


def _turns(record: Record, cards: list[CardUse], *, turns: bool) -> Iterator[Cause]:
    if turns:
        total = sum(each.use or 0.0 for each in cards)
        yield Cause(
            name="taking turns",
            standing="fits",
            says="Whole layers lie on each card, so one works while the others wait: so works engine.device_map.",
            evidence=(
                f"all uses together make {100 * total:.0f} %: about one card at a time",
                f"engine.device_map is {record.device_map}",
            ),
            turns=(
                Turn(dial="engine.quantization", to="nf4 or int8, if the model then fits one card"),
                Turn(dial="engine.kind", to="upstream, in front of a server with tensor parallelism"),
            ),
        )


def _links(cards: list[CardUse]) -> Iterator[Cause]:
    known = [each.active_links for each in cards if each.active_links is not None]
    if len(known) == len(cards) and (len(set(known)) > 1 or not any(known)):
        told = ", ".join(f"GPU {at} {each}" for at, each in enumerate(known))
        yield Cause(
            name="links",
            standing="fits",
            says="Cards reach each other over fewer NVLinks than others do, or over PCIe alone.",
            evidence=(f"active NVLinks: {told}",),
            turns=(
                Turn(
                    dial="llmops doctor", to="NVLink, peer access and NCCL; then NCCL_DEBUG=INFO for the other server"
                ),
            ),
        )
