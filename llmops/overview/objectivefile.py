"""The file of objectives that the dial `objectives.file` names: TOML, or OpenSLO v1 in YAML; the home of YAML."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from llmops.slo import BadObjectives, Objective, objectives_of_openslo, objectives_of_toml, to_openslo

_MOST_BYTES = 1 << 20
"""Thousands of objectives; what is larger is another file."""


def read_objectives(path: Path) -> tuple[Objective, ...]:
    """Raises BadObjectives with one sentence that begins with the file."""
    try:
        with path.open("rb") as file:
            written = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise BadObjectives(
            f"objectives.file names {path}, which cannot be read ({error.strerror}): mend it, or leave the dial empty."
        ) from None
    try:
        if len(written) > _MOST_BYTES:
            raise BadObjectives(f"it is larger than {_MOST_BYTES >> 20} MiB: name a file of objectives")
        text = written.decode("utf-8")
        return objectives_of_toml(text) if path.suffix == ".toml" else objectives_of_openslo(_documents(text))
    except UnicodeDecodeError:
        raise BadObjectives(f"{path} cannot be used: it is not UTF-8.") from None
    except BadObjectives as error:
        end = "" if str(error).endswith("?") else "."
        raise BadObjectives(f"{path} cannot be used: {error}{end}") from None


def to_yaml(objectives: Iterable[Objective]) -> str:
    """OpenSLO v1, one document for each. Raises BadObjectives for an odd window."""
    import yaml

    documents = [to_openslo(objective) for objective in objectives]
    return str(yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True))


def _documents(text: str) -> list[object]:
    import yaml

    try:
        return [document for document in yaml.safe_load_all(text) if document is not None]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise BadObjectives(f"it is not YAML{place}: {problem}") from None
