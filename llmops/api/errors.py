"""The one table from what went wrong to what the client is told: status, OpenAI error type and code."""

from __future__ import annotations

from typing import Any

from llmops.admission.refusals import InvalidApiKey, Refusal
from llmops.inference.errors import Failure, InvalidRequest

# slug -> (HTTP status, OpenAI `type`, OpenAI `code`)
STATUS: dict[str, tuple[int, str, str]] = {
    "invalid_request": (400, "invalid_request_error", "invalid_value"),
    "context_length": (400, "invalid_request_error", "context_length_exceeded"),
    "invalid_api_key": (401, "invalid_request_error", "invalid_api_key"),
    "model_not_found": (404, "invalid_request_error", "model_not_found"),
    "not_found": (404, "invalid_request_error", "not_found"),
    "method_not_allowed": (405, "invalid_request_error", "method_not_allowed"),
    "bad_request": (400, "invalid_request_error", "bad_request"),
    "header_timeout": (408, "invalid_request_error", "request_timeout"),
    "uri_too_long": (414, "invalid_request_error", "uri_too_long"),
    "headers_too_large": (431, "invalid_request_error", "headers_too_large"),
    "too_many_connections": (429, "rate_limit_error", "too_many_connections"),
    "body_timeout": (408, "invalid_request_error", "request_timeout"),
    "too_large": (413, "invalid_request_error", "request_too_large"),
    "rate_limited": (429, "rate_limit_error", "rate_limit_exceeded"),
    "queue_full": (503, "server_error", "queue_full"),
    "draining": (503, "server_error", "draining"),
    "not_ready": (503, "server_error", "not_ready"),
    "timeout": (504, "server_error", "timeout"),
    "oom": (503, "server_error", "oom"),
    "engine_stopped": (503, "server_error", "engine_stopped"),
    "upstream_failed": (502, "server_error", "upstream_failed"),
    "upstream_busy": (503, "server_error", "upstream_busy"),
    "nan_logits": (500, "server_error", "nan_logits"),
    "internal": (500, "server_error", "internal"),
}
_RETRY_AFTER_S = {"oom": 5, "engine_stopped": 5, "upstream_busy": 5}


class BodyTooLarge(InvalidRequest):
    """The body is larger than the server reads."""

    slug = "too_large"


class BodyTooSlow(InvalidRequest):
    """The body did not arrive in time."""

    slug = "body_timeout"


def body_of(slug: str, message: str, field: str | None = None) -> dict[str, Any]:
    """The error as the OpenAI clients parse it."""
    _, kind, code = STATUS.get(slug, STATUS["internal"])
    return {"error": {"message": message, "type": kind, "param": field, "code": code}}


def describe(error: Exception) -> tuple[str, int, dict[str, Any], dict[str, str]]:
    """(slug, status, body, headers) of anything the route raised; what it did not mean to raise says no details."""
    if not isinstance(error, Failure):
        return "internal", 500, body_of("internal", "The server failed; its log says why."), {}
    status = STATUS.get(error.slug, STATUS["internal"])[0]
    field = None if isinstance(error, Refusal) else error.field
    wait_s = error.retry_after_s if isinstance(error, Refusal) else _RETRY_AFTER_S.get(error.slug)
    headers = {"retry-after": str(wait_s)} if wait_s is not None else {}
    if isinstance(error, InvalidApiKey):
        headers["www-authenticate"] = "Bearer"
    return error.slug, status, body_of(error.slug, str(error), field), headers
