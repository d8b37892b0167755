from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from llmops.engine.build import DEMO_MODEL
from llmops.engine.looping import LoopDetector

LOOP_SENTENCE = "I am sorry, but I can only say that I am sorry. "
PARAGRAPH = (
    "The engine takes one request after another, and each waits for its turn. What is asked first is answered first, "
    "unless the queue is full, in which case the caller is told to come back later. Nobody is forgotten, and nobody "
    "waits for ever, because each request has a deadline that is counted from its arrival. When the deadline passes, "
    "the place is given to the next in the line, and the record says what became of the one before. "
)
CHINESE = "这个模型正在重复同一句话，没有尽头。"


@pytest.fixture(scope="module")
def ids() -> Callable[[str], list[int]]:
    """A real subword vocabulary: the demo model's."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(DEMO_MODEL)
    return lambda text: list(tokenizer.encode(text, add_special_tokens=False))


def _found_at(tokens: Iterable[int]) -> int | None:
    detector = LoopDetector()
    return next((at for at, token in enumerate(tokens) if detector.feed(token)), None)


@pytest.mark.parametrize("period", [1, 2, 3, 5, 8, 13, 31, 48, 63, 64])
def test_a_pattern_of_any_short_length_is_found_after_its_rounds_and_no_earlier(period: int) -> None:
    rng = random.Random(period)
    before = [rng.randrange(5_000) for _ in range(100)]
    pattern = [10_000 + number for number in range(period)]
    at = _found_at(itertools.chain(before, itertools.islice(itertools.cycle(pattern), 2_000)))
    assert at is not None
    assert at == 100 + max(192, 4 * period) - 1


def test_a_pattern_that_repeats_inside_itself_is_found() -> None:
    for pattern in ([1, 1, 1, 2], [1, 2, 1, 2, 3], [1, 1, 2, 2, 1, 1, 3], [5, 5, 5, 5, 5, 5, 6, 5, 5, 7]):
        at = _found_at(itertools.islice(itertools.cycle(pattern), 1_000))
        assert at == 191


@pytest.mark.parametrize("period", [65, 100, 200, 400])
def test_a_repeated_paragraph_is_found_whatever_its_length(period: int) -> None:
    pattern = random.Random(period).sample(range(50_000), period)
    at = _found_at(itertools.islice(itertools.cycle(pattern), 3_000))
    assert at is not None
    assert at < period + 32 + 384


@pytest.mark.parametrize(
    "text",
    ["ha" * 400, LOOP_SENTENCE * 40, PARAGRAPH * 8, CHINESE * 40, "哈" * 600, "Answer:\n- yes\n" * 120],
    ids=["syllable", "sentence", "paragraph", "chinese sentence", "chinese syllable", "lines"],
)
def test_true_loops_are_found_in_english_and_chinese(ids: Callable[[str], list[int]], text: str) -> None:
    assert _found_at(ids("It began well. " + text)) is not None


def _table(rows: int) -> str:
    rng = random.Random(1)
    head = "| Name | Price | Stock | On sale |\n|------|-------|-------|---------|\n"
    return head + "".join(
        f"| item {n} | {rng.randint(1, 99)}.{rng.randint(10, 99)} | {rng.randint(0, 500)} | {rng.choice('yn')} |\n"
        for n in range(rows)
    )


LEGITIMATE = {
    "markdown table": _table(80),
    "wide ruled table": "|" + "---|" * 12 + "\n" + _table(10),
    "numbers": "".join(f"{number}, " for number in range(500)),
    "numbered list": "".join(f"{number}. Check point number {number} of the list.\n" for number in range(1, 100)),
    "squares": "".join(f"{n} x {n} = {n * n}\n" for n in range(200)),
    "code with repeated lines": "".join(
        f"    parser.add_argument('--option-{n}', type=int, default={n}, help='option {n}')\n" for n in range(60)
    ),
    "tests": "".join(f"def test_case_{n}() -> None:\n    assert double({n}) == {2 * n}\n\n\n" for n in range(60)),
    "closing brackets": "".join(" " * (40 - 2 * n) + "}\n" for n in range(20)),
    "json": json.dumps([{"id": n, "name": f"user-{n}", "active": n % 3 == 0} for n in range(80)], indent=2),
    "a small zero matrix": "[" + ", ".join(["[0, 0, 0, 0, 0]"] * 5) + "]",
    "a ruler": "=" * 80 + "\nTitle\n" + "=" * 80 + "\n",
    "a chorus": (PARAGRAPH + "La la la, we sing it again!\n" * 4) + CHINESE * 3,
    "chinese list": "".join(f"{n}、第{n}项的价格是{n * 7}元，库存{n * 3}件。\n" for n in range(1, 80)),
    "three times the same paragraph": PARAGRAPH * 3,
}


@pytest.mark.parametrize("name", LEGITIMATE)
def test_what_people_ask_for_is_no_loop(ids: Callable[[str], list[int]], name: str) -> None:
    assert _found_at(ids(LEGITIMATE[name])) is None


def test_this_repository_s_own_code_and_documents_are_no_loops(ids: Callable[[str], list[int]]) -> None:
    root = Path(__file__).parents[2]
    pages = [*sorted((root / "llmops" / "engine").glob("*.py")), *sorted((root / "docs").glob("*.md"))]
    looping = [page.name for page in pages if _found_at(ids(page.read_text(encoding="utf-8")[:12_000])) is not None]
    assert looping == []


def test_once_found_it_stays_found() -> None:
    detector = LoopDetector()
    for _ in range(192):
        detector.feed(7)
    assert detector.found
    assert detector.feed(8)
