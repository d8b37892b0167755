"""How an engine fails: each error has the slug that event, metric, log and HTTP body share."""

from __future__ import annotations


class EngineError(Exception):
    """Base of everything an engine raises; `str(error)` is one sentence for the user."""

    slug = "internal"
    field: str | None = None
    """What to change in the request, where that is known."""


class ModelNotLoaded(EngineError):
    """The model cannot be found, read or placed; the sentence names the fix."""

    slug = "model_not_loaded"


class BadPrompt(EngineError):
    """The chat template refuses these messages."""

    slug = "invalid_request"


class PromptTooLong(BadPrompt):
    """Prompt and answer together exceed the model length or what the cache can hold."""

    slug = "context_length"


class UnsupportedField(BadPrompt):
    """A field of the request that this engine or model cannot honour and will not ignore."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


class UnsupportedSampling(EngineError):
    """A dial that this engine cannot honour and will not ignore."""

    slug = "invalid_request"


class OutOfMemory(EngineError):
    """The device ran out of memory during this generation."""

    slug = "oom"


class NanLogits(EngineError):
    """The model computed no finite score for the next token; what it had said before stands."""

    slug = "nan_logits"

    def __init__(self) -> None:
        super().__init__(
            "The model computed no finite score for the next token (NaN logits): ask again, and if it recurs "
            "run the model in bfloat16 or float32."
        )


class EngineStopped(EngineError):
    """The engine stopped or is restarting; what it had begun is lost."""

    slug = "engine_stopped"


class UpstreamFailed(EngineError):
    """The upstream server is away, broke off, or answered what no such server should."""

    slug = "upstream_failed"


class UpstreamBusy(UpstreamFailed):
    """The upstream server takes no more for now: ask again later."""

    slug = "upstream_busy"
