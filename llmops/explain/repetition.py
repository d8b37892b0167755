"""Answers that repeat themselves: under which sampling, which quantisation, at which length."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from llmops.explain.contract import Asked, Cause, Explanation, Record, Turn, ids, share

REPETITIVE = 0.5
"""Share of 4-grams said before; the hint in an answer begins there too."""
COLD, TOP_P = 0.7, (0.9, 0.95)
_TIMES, _LEAST = 2.0, 3
"""A group of answers stands out when it repeats so many times as often as the rest, and at least so many do."""
_SAMPLING = (Turn(dial="temperature", to="0.7 to 1.0"), Turn(dial="top_p", to="0.9 to 0.95"))


def explain_repetition(record: Record) -> Explanation:
    """Answers with a loop, or of which half or more was said before, beside the others."""
    measured = [each for each in record.requests if each.repetition_ratio is not None or each.loop_detected]
    stuck = [each for each in measured if _is_stuck(each)]
    if not stuck:
        return Explanation(
            topic="repetition",
            is_there=False,
            summary=f"None of {len(measured)} measured answers repeats itself.",
            would_show=(
                f"an answer with loop_detected, or repetition_ratio above {REPETITIVE:g}; a few words have none",
                "whole conversations that go in circles: each answer is measured alone",
            ),
        )
    causes = (*_cold(measured), *_narrow(measured), *_quantized(measured), *_long(measured))
    summary = f"{share(len(stuck), len(measured))} measured answers repeat themselves; "
    summary += f"{sum(each.loop_detected for each in stuck)} of them ended in a loop."
    if causes:
        return Explanation(topic="repetition", is_there=True, summary=summary, causes=causes)
    return Explanation(
        topic="repetition",
        is_there=True,
        summary=f"{summary} The record does not show why.",
        causes=(_open(stuck),),
        would_show=(f"answers under other dials to compare with: the same prompt with {_compared(stuck)}",),
    )


def _is_stuck(each: Asked) -> bool:
    return each.loop_detected or (each.repetition_ratio or 0.0) > REPETITIVE


def _cold(measured: list[Asked]) -> Iterator[Cause]:
    known = [each for each in measured if each.temperature is not None]
    told = _stands_out(known, lambda each: (each.temperature or 0.0) < COLD)
    if told is not None:
        stuck, evidence = told
        says = f"It happens below a temperature of {COLD:g}: the likeliest word wins each time."
        names = (f"below {COLD:g}: {evidence[0]}", f"from {COLD:g} on: {evidence[1]}")
        yield Cause(
            name="temperature", standing="shown", says=says, evidence=names, turns=_SAMPLING, requests=ids(stuck)
        )


def _narrow(measured: list[Asked]) -> Iterator[Cause]:
    warm = [each for each in measured if each.top_p is not None and (each.temperature or 0.0) >= COLD]
    told = _stands_out(warm, lambda each: (each.top_p or 0.0) < TOP_P[0])
    if told is not None:
        stuck, evidence = told
        says = f"It happens with a top_p below {TOP_P[0]:g}: few words are left to choose from."
        names = (f"below {TOP_P[0]:g}: {evidence[0]}", f"from {TOP_P[0]:g} on: {evidence[1]}")
        yield Cause(name="top_p", standing="shown", says=says, evidence=names, turns=_SAMPLING, requests=ids(stuck))


def _quantized(measured: list[Asked]) -> Iterator[Cause]:
    told = _stands_out(measured, lambda each: (each.quantization or "none") != "none")
    if told is not None:
        stuck, evidence = told
        yield Cause(
            name="quantization",
            standing="shown",
            says="It happens with quantised weights more than without.",
            evidence=(f"quantised: {evidence[0]}", f"not: {evidence[1]}"),
            turns=(
                Turn(
                    dial="engine.quantization",
                    to="int8, nf4-double or none; `llmops bench quality` says what each costs",
                ),
            ),
            requests=ids(stuck),
        )


def _long(measured: list[Asked]) -> Iterator[Cause]:
    told = _stands_out(measured, lambda each: each.finish_reason == "length")
    if told is not None:
        stuck, evidence = told
        yield Cause(
            name="no end",
            standing="fits",
            says="It happens to answers that run to their token limit: they find no end, or loop until there.",
            evidence=(f"cut at the limit: {evidence[0]}", f"ended by themselves: {evidence[1]}"),
            turns=(
                Turn(dial="engine.stop_loops", to="true: a loop is ended when it is noticed"),
                Turn(dial="admission.default_max_tokens", to="less, where clients name no max_tokens"),
            ),
            requests=ids(stuck),
        )


def _stands_out(answers: list[Asked], is_in: Callable[[Asked], bool]) -> tuple[list[Asked], tuple[str, str]] | None:
    """The repeating ones of a group, and both rates as text; None where the rest is missing or fares no better."""
    group, rest = [each for each in answers if is_in(each)], [each for each in answers if not is_in(each)]
    stuck, others = [each for each in group if _is_stuck(each)], [each for each in rest if _is_stuck(each)]
    if not rest or len(stuck) < _LEAST or len(stuck) / len(group) < _TIMES * len(others) / len(rest):
        return None
    return stuck, (f"{share(len(stuck), len(group))} repeat", f"{share(len(others), len(rest))} repeat")


def _compared(stuck: list[Asked]) -> str:
    is_warm = all(each.temperature is not None and each.temperature >= COLD for each in stuck)
    return "another temperature" if is_warm else "temperature 0.8 and top_p 0.95"


def _open(stuck: list[Asked]) -> Cause:
    cold = sum((each.temperature or 0.0) < COLD for each in stuck if each.temperature is not None)
    unknown = sum(each.temperature is None for each in stuck)
    can_be_warmer = cold + unknown > 0
    warmer = "warmer sampling, then " if can_be_warmer else ""
    return Cause(
        name="not known",
        standing="fits",
        says=f"There is nothing to compare with. What helps most often: {warmer}less quantisation, then the chat "
        "template (a base model, or one with a wrong template, does not know when to stop).",
        evidence=(f"{share(cold, len(stuck))} have a temperature below {COLD:g}; of {unknown} it is not known",),
        turns=(*(_SAMPLING if can_be_warmer else ()), Turn(dial="engine.stop_loops", to="true")),
        requests=ids(stuck),
    )
