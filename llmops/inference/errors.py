"""What is wrong with a request itself, and the sum of all that the route raises on purpose."""

from __future__ import annotations

from typing import TypeAlias

from llmops.admission.refusals import Refusal
from llmops.engine.errors import EngineError


class InvalidRequest(Exception):
    """The request cannot be honoured as it stands; `field` names what to change."""

    slug = "invalid_request"

    def __init__(self, message: str, field: str | None) -> None:
        super().__init__(message)
        self.field = field


class ContextTooLong(InvalidRequest):
    """Prompt and answer do not fit the model's context."""

    slug = "context_length"


class UnknownModel(InvalidRequest):
    """A model that is not served here."""

    slug = "model_not_found"


Failure: TypeAlias = Refusal | InvalidRequest | EngineError
"""Everything that the route raises on purpose; each has a `slug`."""
