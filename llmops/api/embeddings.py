"""`POST /v1/embeddings`: texts in, vectors out, through a gate of their own."""

from __future__ import annotations

import array
import asyncio
import base64
from collections.abc import Callable
from typing import Any

from starlette.types import Receive, Send

from llmops.admission.ticket import Ticket
from llmops.api.answer import encoded, headers_of, send_payload
from llmops.api.arriving import BodyLimits
from llmops.api.complaints import parse
from llmops.api.door import Door
from llmops.api.fields import check_embedding_fields
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

    def __init__(
        self, inference: Callable[[], Inference], embeddings: Embeddings | None, door: Door, limits: BodyLimits
    ) -> None:
        super().__init__(inference, door, limits)
        self._embeddings = embeddings

    async def answer(self, inference: Inference, exchange: Exchange, body: bytes, receive: Receive, send: Send) -> None:
        """Admit it and send its vectors. Raises a Failure before anything was sent."""
        request = parse(EmbeddingRequest, body)
        self.name_user(inference, exchange, request.user)
        exchange.ignored = check_embedding_fields(request.model_extra or {}, EmbeddingRequest.model_fields)
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
    # Millions of numbers take a second to write: beside the event loop, and a vector at a time for its sake.
    payload = await asyncio.to_thread(_payload, embedded, exchange.fields["response_model"], request.encoding_format)
    await exchange.record()
    await send_payload(send, 200, payload, headers_of(exchange))


def _payload(embedded: Embedded, model: object, encoding: str | None) -> bytes:
    items = [encoded(_item(index, vector, encoding)) for index, vector in enumerate(embedded.vectors)]
    usage = {"prompt_tokens": embedded.tokens, "total_tokens": embedded.tokens}
    rest = encoded({"object": "list", "model": model, "usage": usage})
    return rest[:-1] + b',"data":[' + b",".join(items) + b"]}"


def _item(index: int, vector: array.array[float], encoding: str | None) -> dict[str, Any]:
    numbers = base64.b64encode(vector.tobytes()).decode("ascii") if encoding == "base64" else vector.tolist()
    return {"object": "embedding", "index": index, "embedding": numbers}
