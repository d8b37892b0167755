"""From a model's name to a folder on this disk and its version: a local folder, the hub, or the hub's cache."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

from llmops.engine.content import content_hash
from llmops.engine.dials import EngineDials
from llmops.engine.errors import ModelNotLoaded
from llmops.engine.progress import Progress, in_words
from llmops.engine.shards import refuse_gguf

_WANTED = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")
_HUB_TIMEOUT_S = 10.0
EXAMPLE = "Give a folder or a name such as Qwen/Qwen2.5-0.5B-Instruct."


def find(name: str, dials: EngineDials, progress: Progress | None = None) -> tuple[Path, str]:
    """The folder with the model's files, and its version. Raises ModelNotLoaded."""
    progress = progress or Progress()
    folder = Path(name).expanduser()
    refuse_gguf(folder, name)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelNotLoaded(f"The folder {name!r} has no config.json, so it holds no model. {EXAMPLE}")
        return folder, content_hash(folder, dials.cache_directory, progress)
    if folder.is_file():
        raise ModelNotLoaded(f"{name!r} is a file: give the folder that holds it.")
    if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise ModelNotLoaded(f"No model at {name!r}: there is no such folder. {EXAMPLE}")
    return _from_hub(name, dials, progress)


def _from_hub(name: str, dials: EngineDials, progress: Progress) -> tuple[Path, str]:
    """Asks the hub which commit this is, and without a network takes the newest copy on this disk."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    if dials.offline:
        return _from_disk(name, dials, "engine.offline is set")
    try:
        commit = HfApi().model_info(name, revision=dials.revision, timeout=_HUB_TIMEOUT_S).sha
        folder = _download(name, str(commit), dials, progress)
    except ModelNotLoaded:
        raise
    except GatedRepoError as error:
        raise ModelNotLoaded(f"{name!r} is gated: accept its licence on the hub, then run `hf auth login`.") from error
    except RevisionNotFoundError as error:
        raise ModelNotLoaded(f"{name!r} has no revision {dials.revision!r} on the hub.") from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise ModelNotLoaded(f"No model at {name!r}: neither a local folder nor on the hub. {EXAMPLE}") from error
    except Exception as error:  # no network has many faces: DNS, proxy, timeouts, offline mode
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise ModelNotLoaded(_no_space(name, None)) from error
        return _from_disk(name, dials, f"offline? {type(error).__name__}")
    return Path(folder), Path(folder).name


def _download(name: str, commit: str, dials: EngineDials, progress: Progress) -> str:
    from huggingface_hub import snapshot_download

    wanted = _wanted(dials)
    planned: Any = snapshot_download(name, revision=commit, allow_patterns=wanted, dry_run=True)
    needed = sum(file.file_size for file in planned if file.will_download)
    if needed > shutil.disk_usage(_existing(_hub_cache())).free:
        raise ModelNotLoaded(_no_space(name, needed))
    progress.begin("Downloading", needed)
    return str(snapshot_download(name, revision=commit, allow_patterns=wanted, tqdm_class=_bars(progress)))


def _from_disk(name: str, dials: EngineDials, why: str) -> tuple[Path, str]:
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(name, revision=dials.revision, allow_patterns=_wanted(dials), local_files_only=True)
    except Exception as error:
        raise ModelNotLoaded(
            f"No model at {name!r}: neither a local folder nor on the hub ({why}); with a network, "
            f"`hf download {name}` brings it here. {EXAMPLE}"
        ) from error
    return Path(folder), Path(folder).name


def _wanted(dials: EngineDials) -> list[str]:
    return [*_WANTED, "*.py"] if dials.trust_remote_code else list(_WANTED)


def _bars(progress: Progress) -> Any:
    """Progress bars that draw nothing: the hub counts the bytes of all files on one that it calls Reconstructing."""

    class Bar:
        def __init__(self, *_: Any, **told: Any) -> None:
            self.total, self.n = told.get("total") or 0, told.get("initial") or 0
            self._is_counted = str(told.get("desc") or "").startswith("Reconstructing")

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None: ...

        def update(self, count: float | None = 1) -> None:
            self.n += int(count or 0)
            if self._is_counted:
                progress.at(self.n)

        def __getattr__(self, _: str) -> Any:
            return lambda *_, **__: None

    return Bar


def _hub_cache() -> Path:
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())


def _no_space(name: str, needed_bytes: int | None) -> str:
    free = shutil.disk_usage(_existing(_hub_cache())).free
    needs = "more" if needed_bytes is None else in_words(needed_bytes)
    return (
        f"{name!r} needs {needs} and {_hub_cache()} has {in_words(free)} free: make room "
        f"(`hf cache prune`) or point HF_HOME at another disk."
    )
