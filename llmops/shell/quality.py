"""`llmops bench quality`: what quantisation costs this model, measured on the text that ships."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Any, cast

from rich.console import Console

from llmops.bench.quality import QUANTIZATIONS, Quality, measure_quality, verdict
from llmops.bench.quality_table import LEGEND, as_quality_table
from llmops.engine.build import DEMO_MODEL, calm_openmp
from llmops.engine.dials import EngineDials, Quantization
from llmops.engine.errors import EngineError
from llmops.settings import Settings
from llmops.untrusted import safe_line

_INTERRUPTED = 130


def run(settings: Settings, model: str | None, quantizations: Sequence[str], *, as_json: bool) -> int:
    """0 when all was measured, 1 when the model can't be loaded, 2 for what is no quantisation, 130 at Ctrl-C."""
    unknown = [name for name in quantizations if name not in QUANTIZATIONS]
    if unknown:
        print(
            f"llmops bench quality: --quantization {safe_line(unknown[0])}: give {', '.join(QUANTIZATIONS)}.",
            file=sys.stderr,
        )
        return 2
    asked = cast(Sequence[Quantization], quantizations) or QUANTIZATIONS
    calm_openmp()  # as the engine does, so that speeds compare
    try:
        measured = _measure(model or settings.engine.model or str(DEMO_MODEL), _dials(settings), asked)
    except EngineError as error:
        print(f"llmops bench quality: {safe_line(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("llmops bench quality: stopped.", file=sys.stderr)
        return _INTERRUPTED
    if as_json:
        verdicts = [None, *(verdict(each, measured[0]) for each in measured[1:])]
        fields = [each.as_fields() | {"verdict": said} for each, said in zip(measured, verdicts, strict=True)]
        print(json.dumps(fields, indent=2))
        return 0
    console = Console(highlight=False)
    first = measured[0]
    name = "llmops-demo" if first.model == str(DEMO_MODEL) else safe_line(first.model)
    console.print(f"{name} {first.version} in {first.dtype}, {first.tokens} tokens", markup=False)
    console.print(as_quality_table(measured))
    console.print(LEGEND, markup=False)
    for each in measured[1:]:
        console.print(verdict(each, first), markup=False, soft_wrap=True)
    if len(measured) == 1:
        console.print("Only the unquantised model was measured: --quantization nf4 compares another with it.")
    return 0


def _measure(model: str, dials: EngineDials, asked: Sequence[Quantization]) -> list[Quality]:
    with Console(stderr=True, highlight=False).status("") as status:
        return list(measure_quality(model, dials, asked, tell=status.update))


def _dials(settings: Settings) -> EngineDials:
    """Those of the same names; the rest is about serving."""
    told: dict[str, Any] = settings.engine.model_dump()
    shared = {field.name: told[field.name] for field in dataclasses.fields(EngineDials) if field.name in told}
    return EngineDials(**shared, cache_directory=settings.state.directory)
