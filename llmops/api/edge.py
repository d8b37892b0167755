"""What every response has in common, wherever it comes from: a request id, HEAD, and CORS where it is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llmops.api.correlation import request_id_of

_REQUEST_ID = b"x-request-id"


def with_cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Let pages of these origins call us from a browser; `*` is any. Without origins the app stands as it is."""
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=list(origins),
        allow_methods=["GET", "HEAD", "POST", "OPTIONS"],
        allow_headers=["*"],
        expose_headers=["x-request-id", "retry-after", "x-llmops-ignored"],
        max_age=600,
    )


class Edge:
    """Pure ASGI, so that a client that leaves is still noticed behind it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer HEAD as GET without its body, and put the request's id on what has none yet."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == _REQUEST_ID), None)
        request_id = request_id_of(given).encode("ascii")
        is_head = scope["method"] == "HEAD"

        async def labelled(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                if not any(name.lower() == _REQUEST_ID for name, _ in headers):
                    headers.append((_REQUEST_ID, request_id))
                await send({**message, "headers": headers})
                if is_head:  # ended here: the feed would go on for ever
                    await send({"type": "http.response.body", "body": b""})
            elif not is_head:
                await send(message)

        await self._app({**scope, "method": "GET"} if is_head else scope, receive, labelled)
