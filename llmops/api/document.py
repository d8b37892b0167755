"""The OpenAPI document: FastAPI's own, and the hot routes, which it cannot see into."""

from __future__ import annotations

import dataclasses
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from llmops.api.errors import STATUS
from llmops.api.replies import ChatPiece, ChatReply, CompletionReply, EmbeddingReply, ErrorReply
from llmops.api.schema import ChatRequest, CompletionRequest, EmbeddingRequest
from llmops.api.shapes import CHAT, COMPLETIONS, EMBEDDINGS

_REF = "#/components/schemas/{model}"
_ELSEWHERE = {"not_found", "method_not_allowed"}
"""Slugs of paths and methods that no route has."""
_REQUEST_ID = {
    "description": "The id of this request, in the record too: the one it came with, or a new one.",
    "schema": {"type": "string"},
}
_RETRY_AFTER = {"description": "Seconds after which to try again, at most 120.", "schema": {"type": "integer"}}
_ASKED_ID = {
    "name": "X-Request-ID",
    "in": "header",
    "required": False,
    "description": "1 to 128 printable ASCII characters without spaces; anything else is replaced.",
    "schema": {"type": "string"},
}


@dataclasses.dataclass(frozen=True)
class _Route:
    path: str
    summary: str
    request: type[BaseModel]
    reply: type[BaseModel]
    piece: type[BaseModel] | None = None


_ROUTES = (
    _Route(CHAT, "Answer a conversation", ChatRequest, ChatReply, ChatPiece),
    _Route(COMPLETIONS, "Continue bare text", CompletionRequest, CompletionReply, CompletionReply),
    _Route(EMBEDDINGS, "Turn texts into vectors", EmbeddingRequest, EmbeddingReply),
)


def openapi_of(app: FastAPI) -> dict[str, Any]:
    """The whole document, built once."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        components = document.setdefault("components", {})
        components.setdefault("schemas", {}).update(_schemas())
        components["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer", "description": "A user's key, where keys are asked for."}
        }
        document["security"] = [{}, {"bearer": []}]
        for route in _ROUTES:
            document["paths"][route.path] = {"post": _operation(route)}
        for path in document["paths"].values():
            for operation in path.values():
                _complete(operation)
        app.openapi_schema = document
    return app.openapi_schema


def _schemas() -> dict[str, Any]:
    requests = {(route.request, "validation") for route in _ROUTES}
    replies = {(model, "validation") for route in _ROUTES for model in (route.reply, route.piece) if model is not None}
    models: Any = sorted(requests | replies | {(ErrorReply, "validation")}, key=lambda each: each[0].__name__)
    _, schema = models_json_schema(models, ref_template=_REF)
    return dict(schema["$defs"])


def _operation(route: _Route) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": _ref(route.reply)}}
    if route.piece is not None:
        content["text/event-stream"] = {"schema": _event_of(route.piece)}
    return {
        "tags": ["openai"],
        "summary": route.summary,
        "operationId": route.path.removeprefix("/v1/").replace("/", "_"),
        "description": (route.request.__doc__ or "").strip(),
        "parameters": [_ASKED_ID],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref(route.request)}}},
        "responses": {"200": {"description": "The answer", "content": content}, **_failures()},
    }


def _event_of(piece: type[BaseModel]) -> dict[str, Any]:
    """One event of a stream; the schema of a stream is that of each of its events."""
    either = {"anyOf": [_ref(piece), _ref(ErrorReply)]}
    data = {
        "description": f"With `stream`: a {piece.__name__} each, then `[DONE]`. What fails on the way is a last event "
        "with an ErrorReply. Comment lines keep the connection open while the request waits.",
        "anyOf": [
            {"const": "[DONE]"},
            {"type": "string", "contentMediaType": "application/json", "contentSchema": either},
        ],
    }
    return {"type": "object", "required": ["data"], "properties": {"event": {"const": "message"}, "data": data}}


def _failures() -> dict[str, Any]:
    """From the one table, so that the document cannot forget an error."""
    codes: dict[int, list[str]] = {}
    for slug, (status, _, code) in STATUS.items():
        if slug not in _ELSEWHERE:
            codes.setdefault(status, []).append(f"`{code}`")
    return {
        str(status): {
            "description": "code " + ", ".join(dict.fromkeys(names)),
            "content": {"application/json": {"schema": _ref(ErrorReply)}},
        }
        for status, names in sorted(codes.items())
    }


def _complete(operation: dict[str, Any]) -> None:
    """Headers that every response has."""
    for status, response in operation["responses"].items():
        response.setdefault("headers", {})["X-Request-ID"] = _REQUEST_ID
        if status in ("429", "503") and "content" in response:
            response["headers"]["Retry-After"] = _RETRY_AFTER


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}
