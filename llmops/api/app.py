"""The ASGI application: which path leads where."""

from __future__ import annotations

import dataclasses
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

import llmops
from llmops.api.chat import BODY_WITHIN_S, ChatRoute
from llmops.api.errors import body_of
from llmops.api.live import LiveFeed
from llmops.api.metrics import CONTENT_TYPE, Metrics
from llmops.api.schema import ChatRequest
from llmops.api.station import Station
from llmops.engine.contract import ModelCard
from llmops.inference.route import Inference

CHAT = "/v1/chat/completions"


def create_app(
    station: Station,
    inference: Inference,
    metrics: Metrics,
    feed: LiveFeed,
    *,
    max_body_bytes: int,
    body_within_s: float = BODY_WITHIN_S,
) -> ASGIApp:
    """Every route of one serve process. The caller starts and stops what stands behind them."""
    app = FastAPI(title="llmops", version=llmops.__version__, description=llmops.__doc__ or "")
    chat = ChatRoute(lambda: inference, max_body_bytes=max_body_bytes, body_within_s=body_within_s)
    app.router.routes.append(Route(CHAT, chat, methods=["POST"]))
    _add_models(app, station)
    _add_health(app, station)
    _add_ops(app, station, metrics, feed)
    app.add_exception_handler(HTTPException, _http_error)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        """The one hot path skips the framework's middleware: a herd of refusals is answered in half the time."""
        hot = scope["type"] == "http" and scope["path"] == CHAT and scope["method"] == "POST"
        await (chat if hot else app)(scope, receive, send)

    return front


def _add_models(app: FastAPI, station: Station) -> None:
    def describe(card: ModelCard) -> dict[str, Any]:
        return {
            "id": card.id,
            "object": "model",
            "created": int(station.started_at),
            "owned_by": "llmops",
            "root": card.id,
            "max_model_len": card.max_model_len,
        }

    @app.get("/v1/models", tags=["openai"])
    async def list_models() -> dict[str, Any]:
        """The one model that is served, or none while it loads."""
        card = station.card
        return {"object": "list", "data": [] if card is None else [describe(card)]}

    @app.get("/v1/models/{model:path}", tags=["openai"])
    async def one_model(model: str) -> Response:
        """This model, if it is served here."""
        card = station.card
        if card is not None and model == card.id:
            return JSONResponse(describe(card))
        message = f"The model {model!r} is not served here; `GET /v1/models` says which is."
        return JSONResponse(body_of("model_not_found", message, "model"), 404)


def _add_health(app: FastAPI, station: Station) -> None:
    @app.get("/health/live", tags=["health"])
    async def live() -> Response:
        """200 while the process and its engine live."""
        health = station.engine.health()
        return JSONResponse({"state": station.state, "reason": health.reason}, 503 if health.state == "dead" else 200)

    @app.get("/health", tags=["health"])
    @app.get("/health/ready", tags=["health"])
    async def ready() -> Response:
        """200 while all is well; 503 while starting, degraded (restarting, or a slow step), draining or dead."""
        body = {"state": station.state, "reason": station.engine.health().reason}
        return JSONResponse(body, 200 if station.state == "ready" else 503)


def _add_ops(app: FastAPI, station: Station, metrics: Metrics, feed: LiveFeed) -> None:
    @app.get("/metrics", tags=["ops"])
    async def expose() -> Response:
        """Prometheus text."""
        return PlainTextResponse(metrics.expose(), media_type=CONTENT_TYPE)

    @app.get("/ops/snapshot", tags=["ops"])
    async def snapshot() -> Response:
        """Everything about this process at this moment."""
        return JSONResponse(dataclasses.asdict(station.snapshot()))

    @app.get("/ops/live", tags=["ops"])
    async def live_feed() -> Response:
        """Server-sent events: the latest documents, then each new one."""
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        return StreamingResponse(feed.events(), media_type="text/event-stream", headers=headers)


async def _http_error(request: Request, error: Exception) -> Response:
    """Unknown paths and methods, in the shape that the OpenAI clients parse."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    slug = {404: "not_found", 405: "method_not_allowed"}.get(status, "internal")
    path = request.url.path[:200]
    return JSONResponse(body_of(slug, f"{request.method} {path} is not served here; /docs lists what is."), status)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The document, with the chat route: it reads its own body, so FastAPI cannot see it."""
    if not app.openapi_schema:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schema = ChatRequest.model_json_schema(ref_template="#/components/schemas/{model}")
        parts = document.setdefault("components", {}).setdefault("schemas", {})
        parts.update(schema.pop("$defs", {}))
        parts["ChatRequest"] = schema
        content = {"application/json": {"schema": {"$ref": "#/components/schemas/ChatRequest"}}}
        statuses = {200: "The answer", 400: "Bad request", 404: "Unknown model", 413: "Body too large"}
        statuses |= {429: "The user's bucket is empty", 503: "Queue full or not ready", 504: "Deadline passed"}
        document["paths"][CHAT] = {
            "post": {
                "tags": ["openai"],
                "summary": "Chat",
                "requestBody": {"required": True, "content": content},
                "responses": {str(code): {"description": text} for code, text in statuses.items()},
            }
        }
        app.openapi_schema = document
    return app.openapi_schema
