"""A body that is no request: the one thing that is wrong with it, as a sentence that names the field and the fix."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from llmops.inference.errors import InvalidRequest

_OWN_WORDS = {
    "too_short": "must have at least {min_length}",
    "too_long": "must have at most {max_length}",
    "string_too_short": "must be at least {min_length} character long",
    "string_too_long": "must be at most {max_length} characters long",
    "greater_than_equal": "must be {ge} or more",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be {le} or less",
    "literal_error": "must be {expected}",
    "missing": "is missing: give it",
}
_SHOWN_DIGITS = 40
_TEXTS = {"prompt": "one text", "input": "a text or a list of up to 2048"}


Body = TypeVar("Body", bound=BaseModel)


def parse(model: type[Body], body: bytes) -> Body:
    """The body as a request. Raises InvalidRequest with one sentence that names the field and the fix."""
    if not body:
        raise InvalidRequest("The body is empty: send a JSON object.", None)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _complaint(model, error) from None


def _complaint(model: type[BaseModel], error: ValidationError) -> InvalidRequest:
    # A union (one text or several) complains once for each member: the deepest is the one that was meant, and
    # that a list is too long says more than that it is no text.
    complaints = error.errors(include_url=False)
    complaint: Any = max(complaints, key=lambda each: (each["type"] in _OWN_WORDS, len(each["loc"])))
    field = _field(complaint["loc"])
    kind = complaint["type"]
    if kind == "json_invalid":
        return InvalidRequest(f"The body is not JSON: {complaint['msg'].removeprefix('Invalid JSON: ')}.", None)
    root = str(complaint["loc"][0]) if complaint["loc"] else ""
    if root in getattr(model, "refused", frozenset()):
        return InvalidRequest(f"{root} is not supported here; leave it out.", root)
    if root in _TEXTS and kind != "missing":
        return _no_text(root, complaints[0]["input"], kind)
    subject = field or "The body"
    if kind == "missing":
        return InvalidRequest(f"{subject} {_OWN_WORDS[kind]}.", field)
    shown = _shown(complaint["input"])
    if kind in _OWN_WORDS:
        return InvalidRequest(f"{subject} is {shown}: it {_OWN_WORDS[kind].format(**complaint['ctx'])}.", field)
    return InvalidRequest(f"{subject} is {shown}: {complaint['msg'][0].lower()}{complaint['msg'][1:]}.", field)


def _no_text(field: str, given: object, kind: str) -> InvalidRequest:
    """Ids of some other tokenizer would be read as other words, so only text is taken."""
    several = isinstance(given, list) and all(isinstance(each, str) for each in given)
    if given in ("", []) or (several and kind == "string_too_short"):
        return InvalidRequest(f"{field} is empty or holds an empty text: give some text.", field)
    if several and field == "prompt":
        return InvalidRequest(f"prompt is a list of {len(given)}: send each text as a request of its own.", field)  # type: ignore[arg-type]
    if isinstance(given, list) and not several:
        hint = " (in LangChain: check_embedding_ctx_length=False)" if field == "input" else ""
        return InvalidRequest(f"{field} holds something else than text, perhaps token ids: send text{hint}.", field)
    return InvalidRequest(f"{field} is {_shown(given)}: send {_TEXTS[field]}.", field)


def _field(path: tuple[int | str, ...]) -> str | None:
    """As the client wrote it: pydantic puts the name of a union's member into the path."""
    own = ("list[", "str", "constrained-str", "function-", "literal[")
    return ".".join(part for part in map(str, path) if not part.startswith(own)) or None


def _shown(value: object) -> str:
    """Numbers as they are; text only by its kind, because this sentence is recorded and prompts must not be."""
    if value is None or isinstance(value, bool | float):
        return json.dumps(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 10**_SHOWN_DIGITS else f"a number of more than {_SHOWN_DIGITS} digits"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "an object" if isinstance(value, dict) else "text"
