"""Another server's OpenAI-compatible API on a real socket, with the echo engine behind it: an upstream for tests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from llmops.engine.contract import Generation, Message, Prompt, Sampling
from llmops.engine.dials import EchoDials
from llmops.engine.echo import EchoEngine
from llmops.engine.errors import BadPrompt, EngineError
from tests.engine.answers import until


class OpenAIServer:
    """Answers as vLLM does; `asked` are the bodies it got, `engine.stats().running` the answers under way."""

    def __init__(self, dials: EchoDials, told_len: int | None) -> None:
        self.engine = EchoEngine(dials)
        self.told_len = told_len
        self.asked: list[dict[str, Any]] = []
        self.url = ""
        self.app = Starlette(
            routes=[
                Route("/v1/models", self._models),
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
                Route("/v1/completions", self._text, methods=["POST"]),
            ]
        )

    async def _models(self, _: Request) -> Response:
        row = {"id": "org/echo", "object": "model", "created": 1, "root": "/models/echo-1", "owned_by": "tests"}
        if self.told_len is not None:
            row["max_model_len"] = self.told_len
        return JSONResponse({"object": "list", "data": [row]})

    async def _chat(self, request: Request) -> Response:
        body = await request.json()
        return self._answer(body, [Message(turn["role"], turn["content"]) for turn in body["messages"]], is_chat=True)

    async def _text(self, request: Request) -> Response:
        body = await request.json()
        return self._answer(body, body["prompt"], is_chat=False)

    def _answer(self, body: dict[str, Any], prompt: Prompt, *, is_chat: bool) -> Response:
        self.asked.append(body)
        if body["model"] != "org/echo":
            return JSONResponse({"error": {"message": "no such model", "code": 404}}, 404)
        generation = Generation(
            id=f"u{len(self.asked)}",
            prompt=prompt,
            prompt_ids=self.engine.encode(prompt),
            max_tokens=body["max_tokens"],
            sampling=Sampling(),
            stop=tuple(body.get("stop", ())),
        )
        return StreamingResponse(self._events(generation, is_chat), media_type="text/event-stream")

    async def _events(self, generation: Generation, is_chat: bool) -> AsyncIterator[str]:
        counted, reason = 0, None
        if is_chat:
            yield _event([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
        try:
            async with contextlib.aclosing(self.engine.generate(generation)) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    counted, reason = counted + piece.tokens, piece.finish_reason
                    said: dict[str, Any] = {"delta": {"content": piece.text}} if is_chat else {"text": piece.text}
                    yield _event([{"index": 0, **said, "finish_reason": reason}])
        except (BadPrompt, EngineError) as error:
            yield f"data: {json.dumps({'error': {'message': str(error), 'code': 400, 'type': error.slug}})}\n\n"
            return
        yield _event([], usage={"prompt_tokens": len(generation.prompt_ids), "completion_tokens": counted})
        yield "data: [DONE]\n\n"


def _event(choices: list[dict[str, Any]], **more: object) -> str:
    return f"data: {json.dumps({'id': 'x', 'object': 'chunk', 'choices': choices, **more})}\n\n"


@contextlib.asynccontextmanager
async def openai_server(dials: EchoDials, *, told_len: int | None) -> AsyncIterator[OpenAIServer]:
    """Listens on a free port for as long as the context lasts."""
    server = OpenAIServer(dials, told_len)
    await server.engine.start()
    config = uvicorn.Config(server.app, loop="none", lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    http = uvicorn.Server(config)
    http.capture_signals = contextlib.nullcontext  # type: ignore[assignment,method-assign]  # pytest keeps its own
    with socket.create_server(("127.0.0.1", 0)) as sock:
        server.url = f"http://127.0.0.1:{sock.getsockname()[1]}/v1"
        serving = asyncio.create_task(http.serve(sockets=[sock]))
        await until(lambda: http.started)
        try:
            yield server
        finally:
            http.should_exit = True
            await server.engine.stop()
            await serving
