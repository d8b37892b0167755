"""What a question about fit needs before arithmetic can answer it: catalogues, a model by name or folder, a box."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import llmops.fit
from llmops.documents import load_json, text_of
from llmops.fit.cards import Box, Card, box_of, cards_of
from llmops.fit.catalogue import RUNTIME_SCHEMES, Hosts, hosts_of, model_named, models_of
from llmops.fit.cpu_own import cpu_hosts
from llmops.fit.errors import BadFit
from llmops.fit.model import Model
from llmops.fit.own import Measured, own_hosts
from llmops.fit.weights import Scheme

_DATA = Path(llmops.fit.__file__).parent
_BITS = 4
_MOST_RUNS = 200


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """The catalogues that ship."""

    models: tuple[Model, ...]
    cards: tuple[Card, ...]
    hosts: Hosts


def read_known() -> Known:
    """Three small files beside the code."""
    models = models_of((_DATA / "models.json").read_text("utf-8"))
    cards = cards_of((_DATA / "cards.json").read_text("utf-8"))
    return Known(models, cards, hosts_of((_DATA / "hosts.json").read_text("utf-8"), models, cards))


def box_for(text: str | None, known: Known) -> Box:
    """The simulated one that is asked for, else the GPUs here, else the processors and RAM. Raises BadFit."""
    if text is not None:
        return box_of(text, known.cards)
    from llmops.gpu.capacity import read_box

    box = read_box()
    if box is not None:
        return _with_bandwidth(box, known.cards)
    from llmops.gpu.host import read_host

    return read_host()


def _with_bandwidth(box: Box, cards: tuple[Card, ...]) -> Box:
    """The catalogue's name for it, so that published runs count, and its bandwidth where the driver tells none."""
    try:
        known = box_of(f"{box.card.name} {round(box.card.memory_bytes / 2**30)}GB", cards).card
    except BadFit:
        try:
            known = box_of(box.card.name, cards).card
        except BadFit:
            return box
    card = dataclasses.replace(box.card, name=known.name, bandwidth=box.card.bandwidth or known.bandwidth)
    return dataclasses.replace(box, card=card)


def with_own_runs(known: Known, box: Box, record: Path, model: Model | None) -> Known:
    """The same, with the pace of this box as its benchmarks in the record tell it, where there is one.

    model: the one in question, which may be none of the catalogue.
    """
    if not record.exists():
        return known
    models = known.models if model is None else (model, *known.models)
    runs = _measured(record, on_cpu=box.kind == "cpu")
    own = cpu_hosts(runs, models, box) if box.kind == "cpu" else own_hosts(runs, models, box.card)
    return dataclasses.replace(known, hosts={**known.hosts, **own})


def _measured(record: Path, *, on_cpu: bool) -> Iterator[Measured]:
    from llmops.events import BenchmarkEvent
    from llmops.events.names import name_of
    from llmops.shell.record import readable_store

    def told(document: Any, attribute: str) -> Any:
        return document.get(name_of(BenchmarkEvent, attribute))

    with readable_store(record) as (store, _):
        found = [] if store is None else store.benchmarks(limit=_MOST_RUNS)
    for document in found:
        step_s, scheme = told(document, "tpot_p50_s"), told(document, "quantization") or "none"
        dtypes = ("bfloat16", "float32") if on_cpu else ("bfloat16", "float16")
        is_like = (told(document, "cuda_version") is None) is on_cpu and told(document, "dtype") in dtypes
        if is_like and isinstance(step_s, float) and scheme in RUNTIME_SCHEMES:
            yield Measured(str(told(document, "request_model")), cast(Scheme, scheme), step_s)


def model_for(name: str, known: Known) -> Model:
    """A folder, a copy in the hub's cache, or one of the catalogue. Raises BadFit."""
    folder = Path(name).expanduser()
    _refuse_what_is_no_folder(name, folder)
    if (name.strip() and folder.is_dir()) or name.startswith((".", "/", "~")):
        return _from_folder(name, folder)
    cached = _cached(name)
    return model_named(name, known.models) if cached is None else _from_folder(name, cached)


def _refuse_what_is_no_folder(name: str, path: Path) -> None:
    """With the sentence that serve has for it."""
    from llmops.engine.errors import ModelNotLoaded
    from llmops.engine.shards import refuse_gguf

    try:
        refuse_gguf(path, name)
    except ModelNotLoaded as error:
        raise BadFit("unknown_model", str(error)) from None
    if path.is_file():
        raise BadFit("unknown_model", f"{name!r} is a file: give the folder that holds it.")


def _cached(name: str) -> Path | None:
    """Where the hub's client put the newest copy, when there is one with weights."""
    if name.count("/") != 1:
        return None
    from huggingface_hub.constants import HF_HUB_CACHE

    place = Path(HF_HUB_CACHE) / f"models--{name.replace('/', '--')}"
    try:
        folder = place / "snapshots" / text_of(place / "refs" / "main", 1 << 20).strip()
        return folder if (folder / "config.json").is_file() and any(folder.glob("*.safetensors")) else None
    except (OSError, ValueError):
        return None


def _from_folder(name: str, folder: Path) -> Model:
    from llmops.engine.errors import ModelNotLoaded
    from llmops.engine.shards import Shards, read_shards

    config = _config(name, folder)
    try:
        shards = read_shards(folder)
    except ModelNotLoaded as error:
        if any(folder.glob("*.safetensors*")) or any(folder.glob("*.gguf")):
            raise BadFit("unknown_model", str(error)) from None
        shards = Shards()  # a config alone is enough for arithmetic
    came = isinstance(config.get("quantization_config"), dict)
    source = f"headers of {shards.files} files" if shards.tensors else "config.json"
    model = Model(
        name=name,
        config=config,
        source=source,
        files=shards.tensors,
        stored_bytes=shards.total_bytes if came and shards.tensors else None,
    )
    _try(name, model)
    return model


def _config(name: str, folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        found = load_json(path)
    except OSError:
        raise BadFit("unknown_model", f"{name}: there is no config.json in it, so it holds no model.") from None
    except ValueError:
        raise BadFit("unknown_model", f"{path} can't be read as JSON: download it again.") from None
    if not isinstance(found, dict):
        raise BadFit("unknown_model", f"{path} holds no JSON object: download it again.")
    return found


def _try(name: str, model: Model) -> None:
    """Whether all sizes are there that arithmetic asks for."""
    try:
        sizes = (model.parameters, model.shape)
    except KeyError as error:
        raise BadFit("unknown_model", f"{name}: its config.json lacks {error.args[0]}.") from None
    except (ValueError, TypeError, ZeroDivisionError, OverflowError, AttributeError):
        raise BadFit(
            "unknown_model", f"{name}: its config.json has sizes that can't be counted; its *.safetensors are needed."
        ) from None
    shape = sizes[1]
    if min(sizes[0], shape.hidden, shape.layers, shape.cache_width, shape.mlp_width, shape.full_layers + 1) <= 0:
        raise BadFit("unknown_model", f"{name}: its config.json has sizes below 1.")


def stored_scheme(model: Model) -> Scheme | None:
    """How a folder that came quantised is stored; None for one that was not."""
    told = model.config.get("quantization_config")
    if not isinstance(told, dict):
        return None
    method = str(told.get("quant_method"))
    if method == "gptq":
        return "gptq-int4" if told.get("bits", _BITS) == _BITS else "gptq-int8"
    if method == "bitsandbytes":
        return "int8" if told.get("load_in_8bit") else "nf4-double" if told.get("bnb_4bit_use_double_quant") else "nf4"
    return "awq" if method == "awq" else "none"
