"""Which engine a program gets: the one place that knows the implementations."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from llmops.engine.contract import Engine
from llmops.engine.dials import EngineDials, EngineKind
from llmops.engine.embedding import EchoEmbedding, EmbeddingEngine

# Ships with the package: small enough to try everything without a download.
DEMO_MODEL = Path(__file__).parent.parent / "demo_model"


def build_engine(
    kind: EngineKind = "transformers", model: str | None = None, dials: EngineDials | None = None
) -> Engine:
    """An engine that has not started yet.

    model: hub name or folder, None is the demo model that ships; of an upstream its name, None the only one there.
    """
    dials = dials or EngineDials()
    if kind == "echo":
        from llmops.engine.echo import EchoEngine

        return EchoEngine(dials.echo, sampling=dials.sampling)
    if kind == "upstream":
        from llmops.engine.upstream import UpstreamEngine

        return UpstreamEngine(model, dials)
    calm_openmp()
    from llmops.engine.transformers_engine import TransformersEngine

    # The demo model is so small that half precision costs it time, and its card's figures are of float32.
    if model is None and dials.dtype == "auto":
        dials = dataclasses.replace(dials, dtype="float32")
    return TransformersEngine(
        model or str(DEMO_MODEL), dials, is_demo=model is None, one_by_one=kind == "transformers-sequential"
    )


def build_embedding(model: str, dials: EngineDials | None = None) -> EmbeddingEngine:
    """An embedding engine that has not started yet. model: hub name or folder; `echo` needs no weights."""
    if model == "echo":
        return EchoEmbedding()
    calm_openmp()
    from llmops.engine.transformers_embedding import TransformersEmbedding

    return TransformersEmbedding(model, dials)


def calm_openmp() -> None:
    """Before torch loads OpenMP: its threads spin while they wait, here for some microseconds only.

    On a CPU that anything else uses a spinning thread keeps the one that it waits for from running
    (docs/decisions/0005-waiting-threads.md).
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ.setdefault("GOMP_SPINCOUNT", "20000")
