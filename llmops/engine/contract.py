"""The contract of every engine: what is asked of it, what it answers, how it is watched and stopped."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias

FinishReason: TypeAlias = Literal["stop", "length"]
StoppedBy: TypeAlias = Literal["eos", "stop_string", "stop_token", "loop", "deadline"]
"""Why an answer ended: by itself, at a stop string or token, because it went in circles, or (with the finish reason
`length`) because its time was up and its request named no length."""
EngineState: TypeAlias = Literal["starting", "ready", "degraded", "dead"]


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation. extra: what else it carries, by OpenAI's names: tool_calls, tool_call_id, name."""

    role: str
    content: str
    extra: Mapping[str, object] = dataclasses.field(default_factory=dict)

    @property
    def text(self) -> str:
        """All that is read of it, for estimates of its length."""
        return self.content + json.dumps(self.extra, ensure_ascii=False) if self.extra else self.content


Prompt: TypeAlias = Sequence[Message] | str
"""A conversation to be answered under the model's chat template, or bare text to be continued."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the next token is chosen. None: the default of the server, or of the upstream.

    temperature 0 is greedy; temperature in [0, 2], top_p in (0, 1], top_k >= 1 or 0 for off.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None

    def over(self, default: Sampling) -> Sampling:
        """These values, and those of `default` where one is None."""
        return Sampling(
            temperature=default.temperature if self.temperature is None else self.temperature,
            top_p=default.top_p if self.top_p is None else self.top_p,
            top_k=default.top_k if self.top_k is None else self.top_k,
            seed=default.seed if self.seed is None else self.seed,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TemplateOptions:
    """How a chat template renders a conversation. variables: given to the template by name.

    reasoning_effort: given to a template that knows it; `none` turns the reasoning of another one off.
    """

    add_generation_prompt: bool = True
    continue_final_message: bool = False
    variables: Mapping[str, object] = dataclasses.field(default_factory=dict)
    reasoning_effort: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One generation: ids are ours and unique, whatever the client calls its request.

    prompt_ids: `prompt` as the same engine encoded it.
    names_length: max_tokens was chosen; else it is what the context leaves, and an engine with less room shortens it.
    stop_loops: end the answer when it repeats itself without end.
    stop_token_ids: end the answer, and are not shown. min_tokens: nothing ends it before.
    ignore_eos: the model does not end the answer itself.
    body, headers: the request as it came, for an engine that forwards it; None and empty elsewhere.
    """

    id: str
    prompt: Prompt
    prompt_ids: Sequence[int]
    max_tokens: int
    sampling: Sampling = Sampling()
    names_length: bool = True
    stop: tuple[str, ...] = ()
    stop_loops: bool = False
    stop_token_ids: tuple[int, ...] = ()
    min_tokens: int = 0
    ignore_eos: bool = False
    body: Mapping[str, object] | None = None
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


class Piece(NamedTuple):
    """A piece of the answer. The last one carries `finish_reason`; only it may have `tokens == 0`.

    One is made for every token: a named tuple takes a third of the time of a frozen dataclass.

    text: complete characters only, never half of a stop string; may be empty while bytes are incomplete.
    tokens: how many tokens the model produced since the last piece.
    at: time.monotonic() when the engine had those tokens, before any text was held back.
    times: the same for each of the tokens; empty where the engine does not know.
    loop_detected: the answer repeats itself without end, from some token up to here.
    waited_s: seconds that the generation waited inside the engine before its first token; None where it does not know.
    input_tokens: where the engine only learns it with the answer, the prompt's true length.
    """

    text: str
    tokens: int
    at: float
    finish_reason: FinishReason | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    batch_size: int | None = None
    times: tuple[float, ...] = ()
    stopped_by: StoppedBy | None = None
    loop_detected: bool = False
    waited_s: float | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """Which model an engine serves. version: commit of the hub, or a hash of the folder's content.

    cache_tokens: prompts and answers that its cache holds at once, in tokens; None: nothing is known of a limit.
    fair_share: of the generations that it runs at once, how many may be one user's and leave another's at least half as
    quick as alone; 1: they do not slow each other down.
    cuda_version: of the torch that computes on a card; None: it computes elsewhere, or nothing is known of it.
    weights_bytes: as measured after loading. cache_bytes: the most that the KV cache may take; takes_as_used: it takes
    memory as it is written and gives it back, else all of it at the start.
    sampling: the values that apply where a request names none; None in it: off, or not known of an upstream.
    """

    id: str
    version: str
    engine: str
    dtype: str | None
    quantization: str | None
    max_model_len: int
    is_demo: bool = False
    cache_tokens: int | None = None
    fair_share: float = 1.0
    cuda_version: str | None = None
    weights_bytes: int | None = None
    cache_bytes: int | None = None
    takes_as_used: bool = False
    sampling: Sampling = Sampling()

    def memory_sentence(self) -> str:
        """As in "weights 538 MB, KV cache up to 2.9 GB as it is used (59,000 tokens)"; empty where nothing is known."""
        parts = [] if self.weights_bytes is None else [f"weights {_in_words(self.weights_bytes)}"]
        if self.cache_bytes is not None:
            most = _in_words(self.cache_bytes)
            held = f"up to {most} as it is used" if self.takes_as_used else f"{most}, taken at the start"
            parts.append(f"KV cache {held} ({self.cache_tokens:,} tokens)")
        elif self.weights_bytes is not None:
            parts.append("a KV cache that grows with each answer")
        return ", ".join(parts)


def _in_words(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EngineStats:
    """What an engine is doing now. running: generations in it; memory in bytes of the torch allocator.

    peak_*: the highest of the whole process since the engine last went from idle to busy; predicted_peak_bytes: what
    peak_allocated_bytes should be by arithmetic.
    room_tokens: the longest prompt and answer that is read at once now.
    prefix_cache_*: prompt tokens asked of the prefix cache and found there, of all generations that have ended.
    """

    running: int
    kv_cache_utilization: float | None = None
    room_tokens: int | None = None
    torch_allocated_bytes: int | None = None
    torch_reserved_bytes: int | None = None
    peak_allocated_bytes: int | None = None
    peak_reserved_bytes: int | None = None
    predicted_peak_bytes: int | None = None
    prefix_cache_queries: int = 0
    prefix_cache_hits: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """state, and for anything but ready the reason in one sentence."""

    state: EngineState
    reason: str = ""


class Engine(Protocol):
    """Implementations: `transformers`, `transformers-sequential`, `upstream`, `echo`.

    Used from one event loop; errors are `EngineError`s.
    """

    @property
    def card(self) -> ModelCard:
        """The model; known after `start`."""

    async def start(self) -> None:
        """Load and warm up; returns when a one-token probe was answered. Raises ModelNotLoaded."""

    def encode(self, prompt: Prompt, template: TemplateOptions | None = None) -> list[int]:
        """The prompt's token ids; a conversation goes through the model's chat template. Raises BadPrompt."""

    def generate(self, generation: Generation) -> AsyncIterator[Piece]:
        """Stream the answer. Closing the iterator early cancels the generation. Raises EngineError."""

    def stats(self) -> EngineStats:
        """Cheap enough to call at every request; from any thread."""

    def health(self) -> Health:
        """Cheap; never touches the model."""

    async def stop(self) -> None:
        """Cancel what runs and release the model. Idempotent."""
