"""Token ids as text, by the shortest way that a tokenizer has."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

_MOST_KEPT = 1 << 16


@functools.lru_cache(maxsize=1)
def decoder_of(tokenizer: Any) -> Callable[[Sequence[int]], str]:
    """Decodes ids without special tokens and without tidying up spaces.

    Most tokenizers only pass that on, through two layers of Python that take longer than the decoding: for a stream,
    which decodes at every token, they are left out. Single tokens, half of what a stream asks for, are remembered.
    """
    decode = _directly(tokenizer) or functools.partial(
        tokenizer.decode, skip_special_tokens=True, clean_up_tokenization_spaces=False
    )

    @functools.lru_cache(maxsize=_MOST_KEPT)
    def one(token: int) -> str:
        return str(decode([token]))

    return lambda ids: one(ids[0]) if len(ids) == 1 else str(decode(list(ids)))


def _directly(tokenizer: Any) -> Callable[[list[int]], str] | None:
    """None where the tokenizer's class does more than to pass it on."""
    kind = type(tokenizer)
    if (
        not isinstance(tokenizer, PreTrainedTokenizerFast)
        or kind.decode is not PreTrainedTokenizerBase.decode
        or kind._decode is not PreTrainedTokenizerFast._decode
    ):
        return None
    decode: Callable[..., str] = tokenizer.backend_tokenizer.decode
    return functools.partial(decode, skip_special_tokens=True)
