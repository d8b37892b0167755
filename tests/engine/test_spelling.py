from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from llmops.engine.build import DEMO_MODEL
from llmops.engine.spelling import decoder_of


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(DEMO_MODEL)


def test_ids_are_spelled_as_the_tokenizer_spells_them(tokenizer: Any) -> None:
    chance, spell = random.Random(1), decoder_of(tokenizer)
    for _ in range(500):
        ids = [chance.randrange(len(tokenizer)) for _ in range(chance.randrange(6))]
        assert spell(ids) == tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def test_a_tokenizer_with_a_way_of_its_own_is_asked_itself(tokenizer: Any) -> None:
    class Shouting(PreTrainedTokenizerFast):
        def _decode(self, token_ids: Sequence[int], **options: Any) -> str:  # type: ignore[override]
            return str(super()._decode(list(token_ids), **options)).upper()

    plain: Tokenizer = tokenizer.backend_tokenizer
    spell = decoder_of(Shouting(tokenizer_object=plain))  # type: ignore[no-untyped-call]
    ids = plain.encode("graphics").ids
    assert spell(ids) == spell(tuple(ids)) == "GRAPHICS"
