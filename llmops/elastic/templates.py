"""The index templates, made from the vocabulary: a field that is written is mapped, and nothing else is.

Priority 200 beats the built-in `logs-*-*` template, which would drop a wrong number in silence and keep the rest.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from llmops.elastic.streams import Stream
from llmops.events.names import SCHEMA_VERSION

PRIORITY = 200
"""The built-in templates of `logs-*-*` and `metrics-*-*` have 100."""
IGNORE_ABOVE = 8191
"""Characters; a longer keyword is kept but not indexed. Lucene refuses terms of over 32,766 bytes."""


def template_of(stream: Stream, keep_days: int | None = None) -> dict[str, Any]:
    """The body of `PUT _index_template/<stream.template>`. Days: None means what the stream says."""
    meta = meta_of(stream)
    return {
        "index_patterns": [stream.pattern],
        "priority": PRIORITY,
        "data_stream": {},
        "_meta": meta,
        "template": {
            "settings": settings_of(),
            "mappings": {"_meta": meta, "dynamic": False, "properties": properties_of(stream)},
            "lifecycle": {"data_retention": f"{keep_days or stream.keep_days}d"},
            "data_stream_options": {"failure_store": {"enabled": False}},
        },
    }


def settings_of() -> dict[str, Any]:
    """Said aloud where the index mode has a default of its own."""
    return {
        "index.mode": "logsdb",
        "index.mapping.ignore_malformed": False,  # logsdb turns it on: a wrong number would vanish from the answers
        "index.mapping.source.mode": "stored",  # a document comes back as it went in, whatever the licence
        "index.mapping.ignore_above": IGNORE_ABOVE,
        "index.number_of_shards": 1,
        "index.auto_expand_replicas": "0-1",  # one node stays green, two nodes hold a copy
    }


def properties_of(stream: Stream) -> dict[str, dict[str, str]]:
    """Dotted field name -> mapping."""
    return {field: {"type": kind} for field, kind in stream.fields.items()}


def meta_of(stream: Stream) -> dict[str, str]:
    """What a template and its indices say of themselves; when it changes, the stream is rolled over."""
    content = json.dumps([settings_of(), properties_of(stream)], sort_keys=True)
    return {
        "managed_by": "llmops",
        "schema_version": SCHEMA_VERSION,
        "fingerprint": hashlib.sha256(content.encode()).hexdigest()[:16],
    }
