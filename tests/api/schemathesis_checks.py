"""Loaded by schemathesis itself: what the document allows is taken, up to what only a model can know."""

from __future__ import annotations

from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, GenerationMode, Response

# How much a model takes, how wide its vectors are and what its chat template reads is not in the document, nor which
# fields contradict each other.
_ONLY_THE_MODEL_KNOWS = {
    *(("context_length_exceeded", name) for name in ("max_tokens", "min_tokens")),
    *(("invalid_value", name) for name in ("dimensions", "min_tokens", "stop_token_ids", "chat_template_kwargs")),
    *(("invalid_value", name) for name in ("reasoning_effort", "continue_final_message", "add_generation_prompt")),
}


@schemathesis.check
def what_is_allowed_is_taken(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """A body that fits the document is no bad request."""
    is_allowed = case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE
    if is_allowed and response.status_code == 400:
        error = response.json()["error"]
        assert (error["code"], error["param"]) in _ONLY_THE_MODEL_KNOWS, error["message"]
