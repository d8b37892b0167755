"""The ASGI application: which path leads where."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

import llmops
from llmops.admission.refusals import InvalidApiKey
from llmops.api.answer import send_json
from llmops.api.arriving import BodyLimits
from llmops.api.chat import TextRoute
from llmops.api.document import openapi_of
from llmops.api.door import Door
from llmops.api.edge import Edge, with_cors
from llmops.api.embeddings import EmbeddingsRoute
from llmops.api.errors import body_of, describe
from llmops.api.live import LiveFeed
from llmops.api.messages import MAX_NAME
from llmops.api.metrics import CONTENT_TYPE, Metrics
from llmops.api.replies import Defaults, ErrorReply, HealthReply, ServedModel, ServedModels
from llmops.api.shapes import CHAT_SHAPE, COMPLETION_SHAPE, EMBEDDINGS
from llmops.api.station import Station
from llmops.events.snapshot import ServeSnapshot
from llmops.inference.embedding import Embeddings
from llmops.inference.route import Inference

_NOT_READY: dict[int | str, dict[str, Any]] = {503: {"model": HealthReply, "description": "Not now"}}


class _EventStream(StreamingResponse):
    media_type = "text/event-stream"


class _Exposition(PlainTextResponse):
    media_type = CONTENT_TYPE


def create_app(
    station: Station,
    inference: Inference,
    metrics: Metrics,
    feed: LiveFeed,
    *,
    limits: BodyLimits,
    door: Door | None = None,
    embeddings: Embeddings | None = None,
    cors_origins: Sequence[str] = (),
    forwards: bool = False,
) -> ASGIApp:
    """Every route of one serve process. The caller starts and stops what stands behind them. No door: open to all.

    forwards: the engine passes requests on to a server that may know fields that nothing here does.
    """
    door = door or Door()
    app = FastAPI(
        title="llmops",
        version=llmops.__version__,
        description=llmops.__doc__ or "",
        docs_url=None,  # FastAPI's pages run scripts of another host on the origin of the API
        redoc_url=None,
    )
    hot: dict[str, ASGIApp] = {
        shape.path: TextRoute(lambda: inference, shape, door, limits, forwards=forwards)
        for shape in (CHAT_SHAPE, COMPLETION_SHAPE)
    }
    hot[EMBEDDINGS] = EmbeddingsRoute(lambda: inference, embeddings, door, limits)
    app.router.routes.extend(Route(path, route, methods=["POST"]) for path, route in hot.items())
    _add_models(app, station, embeddings)
    _add_health(app, station)
    _add_ops(app, station, metrics, feed)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _http_error)
    app.openapi = lambda: openapi_of(app)  # type: ignore[method-assign]

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        """The hot paths skip the framework's middleware: a herd of refusals is answered in half the time."""
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        route = hot.get(scope["path"]) if is_post else None
        await (route or cold)(scope, receive, send)

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if not await _turned_away(door, scope, send):
            await app(scope, receive, send)

    cold = Edge(guarded)
    return Edge(with_cors(front, cors_origins)) if cors_origins else front


async def _turned_away(door: Door, scope: Scope, send: Send) -> bool:
    if scope["type"] != "http":
        return False  # nothing else is served
    try:
        door.key_of(scope, dict(scope["headers"]))
    except InvalidApiKey as error:
        _, status, body, headers = describe(error)
        await send_json(send, status, body, headers)
        return True
    return False


def _add_models(app: FastAPI, station: Station, embeddings: Embeddings | None) -> None:
    def served() -> list[ServedModel]:
        defaults = Defaults(**dataclasses.asdict(station.defaults))
        answers, embeds = station.card, embeddings and embeddings.card
        return [
            ServedModel(
                id=card.id,
                object="model",
                created=int(station.started_at),
                owned_by="llmops",
                root=card.id,
                max_model_len=card.max_model_len,
                defaults=defaults if card is answers else None,
            )
            for card in (answers, embeds)
            if card
        ]

    @app.get("/v1/models", tags=["openai"])
    async def list_models() -> ServedModels:
        """The model that answers, then the one that embeds; none while they load."""
        return ServedModels(object="list", data=served())

    @app.get(
        "/v1/models/{model:path}",
        tags=["openai"],
        response_model=ServedModel,
        responses={404: {"model": ErrorReply, "description": "Not served here"}},
    )
    async def one_model(model: str) -> Response:
        """This model, if it is served here."""
        found = next((each for each in served() if each.id == model), None)
        if found is not None:
            return JSONResponse(found.model_dump())
        message = f"The model {model[:MAX_NAME]!r} is not served here; `GET /v1/models` says which is."
        return JSONResponse(body_of("model_not_found", message, "model"), 404)


def _add_health(app: FastAPI, station: Station) -> None:
    @app.get("/health/live", tags=["health"], response_model=HealthReply, responses=_NOT_READY)
    async def live() -> Response:
        """200 while the process, its engine and the thread that writes its events live."""
        body = {"state": station.state, "reason": station.reason}
        return JSONResponse(body, 200 if station.is_alive else 503)

    @app.get("/health", tags=["health"], response_model=HealthReply, responses=_NOT_READY)
    @app.get("/health/ready", tags=["health"], response_model=HealthReply, responses=_NOT_READY)
    async def ready() -> Response:
        """200 while all is well; 503 while starting, degraded (restarting, slow step, no events), draining or dead."""
        body = {"state": station.state, "reason": station.reason}
        return JSONResponse(body, 200 if station.state == "ready" else 503)


def _add_ops(app: FastAPI, station: Station, metrics: Metrics, feed: LiveFeed) -> None:
    @app.get("/metrics", tags=["ops"], response_class=_Exposition)
    async def expose() -> Response:
        """Prometheus text."""
        return _Exposition(metrics.expose())

    @app.get("/ops/snapshot", tags=["ops"], response_model=ServeSnapshot)
    async def snapshot() -> Response:
        """Everything about this process at this moment."""
        return JSONResponse(dataclasses.asdict(station.snapshot()))

    @app.get("/ops/live", tags=["ops"], response_class=_EventStream)
    async def live_feed() -> Response:
        """Server-sent events: the latest documents, then each new one."""
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        return _EventStream(feed.events(), headers=headers)


async def _http_error(request: Request, error: Exception) -> Response:
    """Unknown paths and methods, and what nobody expected, in the shape that the OpenAI clients parse."""
    if not isinstance(error, HTTPException):
        return JSONResponse(body_of("internal", "The server failed; its log says why."), 500)
    slug = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "internal")
    message = f"{request.method} {request.url.path[:200]} is not served here; /openapi.json lists what is."
    return JSONResponse(body_of(slug, message), error.status_code, headers=error.headers)
