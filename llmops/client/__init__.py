"""How everything else talks to a running serve: over HTTP, as any client would."""

from llmops.client.chat_options import RANGES, ChatOptions
from llmops.client.connection import ChatChunk, ServeClient, ServedModel
from llmops.client.errors import RequestRefused, ServeUnreachable
from llmops.client.login import login_name
from llmops.client.measure import ChatTiming, time_chat
from llmops.client.snapshot import fetch_snapshot

__all__ = [
    "RANGES",
    "ChatChunk",
    "ChatOptions",
    "ChatTiming",
    "RequestRefused",
    "ServeClient",
    "ServeUnreachable",
    "ServedModel",
    "fetch_snapshot",
    "login_name",
    "time_chat",
]
