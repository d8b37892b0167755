"""`POST /v1/embeddings`: texts in, vectors out, through a gate of their own."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any

from starlette.types import Receive, Send

from llmops.admission.gate import Ticket
from llmops.api.answer import send_json
from llmops.api.arriving import Door
from llmops.api.complaints import parse
from llmops.api.leaving import until_client_leaves
from llmops.api.route import GRACE_S, EventfulRoute
from llmops.api.schema import EmbeddingRequest
from llmops.engine.embedding import Embedded
from llmops.inference.embedding import EmbeddingAsk, Embeddings
from llmops.inference.errors import UnknownModel
from llmops.inference.exchange import Exchange
from llmops.inference.route import Inference


class EmbeddingsRoute(EventfulRoute):
    """The route of vectors; without an embedding model it says which dial names one."""

    operation = "embeddings"
    id_prefix = "embd-"

    def __init__(self, inference: Callable[[], Inference], embeddings: Embeddings | None, door: Door) -> None:
        super().__init__(inference, door)
        self._embeddings = embeddings

    async def answer(self, inference: Inference, exchange: Exchange, body: bytes, receive: Receive, send: Send) -> None:
        """Admit it and send its vectors. Raises a Failure before anything was sent."""
        request = parse(EmbeddingRequest, body)
        if request.user:
            inference.identify(exchange, request.user)
        embeddings = self._embeddings
        if embeddings is None:
            raise UnknownModel(
                "No embedding model is served here: the operator names one with the dial engine.embedding_model.",
                "model",
            )
        ask = EmbeddingAsk(texts=request.texts, model=request.model, dimensions=request.dimensions)
        ticket = embeddings.admit(exchange, ask)
        try:
            async with asyncio.timeout(embeddings.deadline_s + GRACE_S):
                await until_client_leaves(receive, _send(send, embeddings, exchange, ticket, ask, request))
        finally:
            ticket.leave()


async def _send(
    send: Send, embeddings: Embeddings, exchange: Exchange, ticket: Ticket, ask: EmbeddingAsk, request: EmbeddingRequest
) -> None:
    embedded = await embeddings.embed(exchange, ticket, ask)
    body = await asyncio.to_thread(_body, embedded, exchange.fields["response_model"], request.encoding_format)
    await send_json(send, 200, body, {"x-request-id": exchange.arrival.request_id})


def _body(embedded: Embedded, model: object, encoding: str | None) -> dict[str, Any]:
    in_base64 = encoding == "base64"
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(vector.tobytes()).decode("ascii") if in_base64 else vector.tolist(),
            }
            for index, vector in enumerate(embedded.vectors)
        ],
        "model": model,
        "usage": {"prompt_tokens": embedded.tokens, "total_tokens": embedded.tokens},
    }
