from __future__ import annotations

import pytest

from llmops.engine.decoding import TextStream
from llmops.engine.speech import Speech
from tests.engine.tiny_model import tokenizer_only

TEXTS = ["plain words only", "🙂🚀👩‍💻 你好，世界", "naïve café – 100 €", "mixed 🙂 and\n\n  spaces  🙂", "مرحبا"]


def _decode(ids: object) -> str:
    return str(tokenizer_only().decode(list(ids), skip_special_tokens=True))  # type: ignore[call-overload]


@pytest.mark.parametrize("text", TEXTS)
def test_characters_of_many_tokens_arrive_whole_and_nothing_is_lost(text: str) -> None:
    ids = tokenizer_only().encode(text, add_special_tokens=False)
    stream = TextStream(_decode)
    pieces = [stream.feed(token) for token in ids]
    assert not any("\ufffd" in piece for piece in pieces)
    assert "".join(pieces) + stream.flush() == text


def test_an_answer_cut_inside_a_character_ends_before_it() -> None:
    ids = tokenizer_only().encode("ok 你", add_special_tokens=False)
    stream = TextStream(_decode)
    assert "".join(stream.feed(token) for token in ids[:-1]) + stream.flush() == "ok "


def test_bytes_that_never_become_a_character_do_not_hold_the_text_for_ever() -> None:
    broken = tokenizer_only().encode("你", add_special_tokens=False)[0]
    stream = TextStream(_decode)
    assert "".join(stream.feed(broken) for _ in range(40)).count("\ufffd") >= 32


def test_a_stop_string_inside_a_batch_of_tokens_does_not_count_the_tokens_behind_it() -> None:
    ids = [tokenizer_only().encode(letter, add_special_tokens=False)[0] for letter in "abXYcd"]
    speech = Speech(_decode, ("XY",), frozenset())
    spoken = speech.say(ids, is_last=False)
    assert (spoken.text, spoken.tokens, spoken.finish_reason) == ("ab", 4, "stop")


def test_the_end_of_sequence_token_is_counted_but_not_shown_even_when_it_is_an_ordinary_one() -> None:
    ids = [tokenizer_only().encode(letter, add_special_tokens=False)[0] for letter in "abz"]
    spoken = Speech(_decode, (), frozenset(ids[-1:])).say(ids, is_last=True)
    assert (spoken.text, spoken.tokens, spoken.finish_reason) == ("ab", 3, "stop")
