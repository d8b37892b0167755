"""A state directory with a journal, and the verbs run on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch

from llmops.elastic.dead_letters import read_dead_letters
from llmops.elastic.shipper import Shipper
from llmops.events import Document, Origin, RequestEvent
from llmops.settings import ElasticSettings, Settings
from llmops.shell import elk, ship

NOW = 1_795_000_000.0


class Installation:
    """One state directory whose events go to one namespace of one server."""

    def __init__(self, directory: Path, dials: ElasticSettings, namespace: str) -> None:
        self.directory = directory
        self.namespace = namespace
        self.settings = Settings.model_validate(
            {"state": {"directory": directory}, "events": {"namespace": namespace}, "elastic": dials}
        )

    @staticmethod
    def nowhere() -> ElasticSettings:
        """Dials of a server that nobody asks."""
        return ElasticSettings(url="http://127.0.0.1:1")

    def request(self, **fields: Any) -> Document:
        """One request, as its process writes it."""
        values: dict[str, Any] = {"at": NOW, "request_id": "q"}
        return origin(self.namespace).document(RequestEvent(**(values | fields)))

    def write(self, lines: Sequence[Document | bytes], name: str = "serve-1") -> None:
        """Append to a journal file: documents, or bytes as they are."""
        path = self.settings.state.journal / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            for line in lines:
                file.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")

    def ship(self) -> int:
        """`llmops ship --once`."""
        return ship.run(self.settings, once=True)

    def shipper(self, client: Elasticsearch, **more: Any) -> Shipper:
        """What `llmops ship` runs; it does not wait."""
        state = self.settings.state
        return Shipper(client, state.journal, state.ship, self.namespace, patience=0, **more)

    def setup(self, *, new_key: bool = False) -> int:
        """`llmops elk setup`."""
        return elk.setup(self.settings, new_key=new_key)

    def check(self) -> int:
        """`llmops elk check`."""
        return elk.compare(self.settings, 0.0, as_json=False)

    def dead_letters(self) -> list[dict[str, Any]]:
        """What could not be shipped."""
        return list(read_dead_letters(self.settings.state.ship / "dead-letters.jsonl"))


def origin(namespace: str) -> Origin:
    """Who writes."""
    return Origin(
        service_name="serve",
        service_version="0",
        instance_id="i",
        host_name="box",
        host_id="h",
        process_id=1,
        namespace=namespace,
    )
