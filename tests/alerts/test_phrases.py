"""Every sentence exists in every language, with the same values."""

from __future__ import annotations

import json
import string

import pytest

from llmops.alerts import Phrase, as_is, say
from llmops.alerts.chinese import CHINESE
from llmops.alerts.sentences import ENGLISH


def fields(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def test_both_tables_have_the_same_sentences_in_the_same_order() -> None:
    assert list(ENGLISH) == list(CHINESE)


@pytest.mark.parametrize("key", ENGLISH)
def test_a_sentence_needs_the_same_values_in_both_languages(key: str) -> None:
    assert fields(ENGLISH[key]) == fields(CHINESE[key])


def test_phrases_may_stand_in_phrases() -> None:
    held = say("slo.held", why=say("held.serve_down"))
    assert (str(held), held.text("zh")) == ("cannot be judged now: serve is down", "目前无法判断：服务已停止")
    parts = say("several", parts=(say("slo.no_data"), as_is("x")))
    assert (str(parts), parts.text("zh")) == ("no requests to judge; x", "没有可供判断的请求；x")


@pytest.mark.parametrize(
    "phrase",
    [as_is("{braces} stay"), say("several", parts=(say("vram"), as_is("x"))), say("slo.held", why=say("vram"))],
)
def test_a_phrase_goes_through_json_and_back(phrase: Phrase) -> None:
    back = Phrase.from_json(json.loads(json.dumps(phrase.to_json())))
    assert (back, str(back)) == (phrase, str(phrase))


def test_a_text_counts_as_a_phrase_and_an_unknown_sentence_does_not() -> None:
    assert str(Phrase.from_json("kept before there were phrases")) == "kept before there were phrases"
    with pytest.raises(ValueError, match="there is no sentence 'nonsense'"):
        Phrase.from_json({"key": "nonsense", "values": {}})
