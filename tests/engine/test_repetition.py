"""Answers in any script, of emoji or of symbols that repeat are noticed; what people ask for is not."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.engine.repetition import repetition_ratio
from llmops.explain.repetition import REPETITIVE
from tests.engine.test_looping import CHINESE, LEGITIMATE, LOOP_SENTENCE, PARAGRAPH

THAI = (
    "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ต่างมีเหตุผลและมโนธรรม และควรปฏิบัติต่อกันด้วยเจตนารมณ์แห่งภราดรภาพ "
    "ทุกคนย่อมมีสิทธิและอิสรภาพทั้งปวงตามที่กำหนดไว้ในปฏิญญานี้ โดยปราศจากความแตกต่างไม่ว่าชนิดใด ๆ ดังเช่น เชื้อชาติ ผิว เพศ ภาษา ศาสนา "
    "ความคิดเห็นทางการเมืองหรือทางอื่น เผ่าพันธุ์แห่งชาติ หรือสังคม ทรัพย์สิน กำเนิด หรือสถานะอื่น ๆ"
)
JAPANESE = (
    "メロスは激怒した。必ず、かの邪智暴虐の王を除かなければならぬと決意した。メロスには政治がわからぬ。メロスは、村の牧人である。"
    "笛を吹き、羊と遊んで暮して来た。けれども邪悪に対しては、人一倍に敏感であった。"
)
LOOPS = {
    "words": LOOP_SENTENCE * 20, "one letter": "a" * 300, "a syllable": "haha" * 100, "a digit": "0" * 200,
    "Chinese": CHINESE * 20, "Japanese": "はい、わかりました。" * 20, "katakana": "ハ" * 200, "Thai": "ขอโทษครับ" * 30,
    "Lao": "ສະບາຍດີ" * 30, "Khmer": "សួស្តី" * 30, "Burmese": "မင်္ဂလာပါ" * 30, "Hindi": "नमस्ते दुनिया " * 30,
    "Arabic": "مرحبا " * 40, "Hebrew": "שלום " * 40, "Korean": "안녕하세요 " * 40, "Greek": "γεια " * 40,
    "Tibetan": "བཀྲ་ཤིས་" * 40, "Georgian": "გამარჯობა " * 40, "emoji": "🙂" * 40, "two emoji": "🙂🙃 " * 30,
    "skin tones": "👍🏽" * 30,
    "a family": "👨‍👩‍👧‍👦" * 30, "a flag": "🇩🇪" * 30, "a keycap": "1️⃣" * 30, "hearts": "❤️ " * 40, "stars": "★" * 100,
    "a word, then emoji": "Great! " + "🎉" * 60, "exclamation marks": "!" * 100,
    "a word, then marks": "Nice" + "!" * 200,
    "rulers": "=====\n" * 40, "dashes": "- \n" * 40, "dots": "..." * 40, "sums": "∑∑" * 40, "blocks": "█" * 200,
    "empty rows": "|   |   |\n" * 40, "line breaks": "\n" * 200, "brackets": "()" * 100, "currency": "€" * 100,
}  # fmt: skip


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_is_seen_in_any_script_and_of_any_symbol(name: str) -> None:
    ratio = repetition_ratio(LOOPS[name])
    assert ratio is not None
    assert ratio > 0.85


def _boxes() -> str:
    rng = random.Random(1)
    line = "+---------+--------+\n"
    return line + "".join(f"| item {n:2} | {rng.randint(100, 999) / 100:6} |\n{line}" for n in range(20))


ORDINARY = {
    **{name: text for name, text in LEGITIMATE.items() if name not in ("closing brackets", "a small zero matrix")},
    "three times the same paragraph": PARAGRAPH, "Thai": THAI, "Japanese": JAPANESE, "a table of boxes": _boxes(),
    "a checklist": "".join(f"✅ {word} is done\n" for word in dict.fromkeys(PARAGRAPH.split())),
    "ratings": "".join(f"{word}: ★★★★☆, {len(word)} of 9\n" for word in dict.fromkeys(PARAGRAPH.split())),
    "a title": "Results\n" + "=" * 60 + "\n" + PARAGRAPH, "digits": str(2**4000),
    "genes": "".join(random.Random(1).choices("ACGT", k=900)),
}  # fmt: skip


@pytest.mark.parametrize("name", ORDINARY)
def test_what_people_ask_for_is_not_taken_for_a_loop(name: str) -> None:
    assert (repetition_ratio(ORDINARY[name]) or 0.0) < REPETITIVE


@pytest.mark.parametrize("text", ["", "Yes.", "🙂🙂", "!!!", "ok " * 6, "\n"])
def test_an_answer_that_is_too_short_has_no_ratio(text: str) -> None:
    assert repetition_ratio(text) is None


@given(st.text())
def test_whatever_is_written_the_ratio_is_a_share(text: str) -> None:
    ratio = repetition_ratio(text * 3)
    assert ratio is None or 0.0 <= ratio < 1.0


@pytest.mark.parametrize(
    "text", [PARAGRAPH * 2000, CHINESE * 40_000, THAI * 2000, "=" * 800_000], ids=["en", "zh", "th", "="]
)
def test_a_very_long_answer_costs_no_more_than_its_end(text: str) -> None:
    began = time.process_time()
    repetition_ratio(text)
    assert time.process_time() - began < 0.2
