"""The file of objectives that the dial `objectives.file` names: TOML, or OpenSLO v1 in YAML; the home of YAML."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from llmops.documents import BadDocument, TooLarge, text_of
from llmops.slo import BadObjectives, Objective, objectives_of_openslo, objectives_of_toml, to_openslo

_MOST_BYTES = 1 << 20
"""Thousands of objectives; what is larger is another file."""
_MOST_EVENTS = 20_000
"""Of the parser, in all documents: some 300 objectives, which take seconds to read."""
_MOST_NODES, _MOST_LEVELS, _LONGEST_SCALAR = 10_000, 32, 1000
"""Of one document: an objective has some 50 values in 8 levels."""


def read_objectives(path: Path) -> tuple[Objective, ...]:
    """Raises BadObjectives with one sentence that begins with the file."""
    try:
        text = text_of(path, _MOST_BYTES)
        return objectives_of_toml(text) if path.suffix == ".toml" else objectives_of_openslo(_documents(text))
    except OSError as error:
        why = error.strerror or str(error).rstrip(".")
        raise BadObjectives(
            f"objectives.file names {path}, which cannot be read ({why}): mend it, or leave the dial empty."
        ) from None
    except BadDocument as error:
        fix = ": name a file of objectives" if isinstance(error, TooLarge) else ""
        raise BadObjectives(f"{path} cannot be used: it {error}{fix}.") from None
    except BadObjectives as error:
        end = "" if str(error).endswith("?") else "."
        raise BadObjectives(f"{path} cannot be used: {error}{end}") from None


def to_yaml(objectives: Iterable[Objective]) -> str:
    """OpenSLO v1, one document for each. Raises BadObjectives for an odd window."""
    import yaml

    documents = [to_openslo(objective) for objective in objectives]
    return str(yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True))


def _documents(text: str) -> list[object]:
    """Those of a YAML stream. Aliases, depth and scalars are bounded before anything is made of them."""
    import yaml

    documents = []
    try:
        _require_short(yaml.parse(text, Loader=yaml.SafeLoader))
        loader = yaml.SafeLoader(text)
        while loader.check_node():
            node = loader.get_node()
            _Bounds().require(node)
            documents.append(loader.construct_document(node))
    except RecursionError:
        raise BadObjectives(
            "it is not YAML of objectives: it is nested too deeply, and an objective has eight levels"
        ) from None
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise BadObjectives(f"it is not YAML{place}: {problem}") from None
    return [document for document in documents if document is not None]


def _require_short(events: Iterable[Any]) -> None:
    """Stops at the first event of the parser too many or too deep: its time grows with the square of the depth.

    Raises BadObjectives.
    """
    depth = 0
    for number, event in enumerate(events):
        kind = type(event).__name__
        depth += kind.endswith("StartEvent") - kind.endswith("EndEvent")
        if number > _MOST_EVENTS:
            raise BadObjectives(f"it has more than {_MOST_EVENTS // 2} values: name a file of objectives")
        if depth > _MOST_LEVELS:
            raise BadObjectives(f"it is not YAML of objectives: it has more than {_MOST_LEVELS} levels")


class _Bounds:
    """How large a document becomes once every alias is written out, counted without writing it out."""

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}

    def require(self, node: Any, depth: int = 0) -> int:
        """The number of nodes. Raises BadObjectives for too many, too deep, too long, or a node that holds itself."""
        if id(node) in self._sizes:
            size = self._sizes[id(node)]
            if not size:
                raise _bad(node, "an alias leads back into its own anchor")
            return size
        if depth > _MOST_LEVELS:
            raise _bad(node, f"there are more than {_MOST_LEVELS} levels")
        self._sizes[id(node)] = 0
        size = 1
        if isinstance(node.value, str):
            if len(node.value) > _LONGEST_SCALAR:
                raise _bad(node, f"there is a value of more than {_LONGEST_SCALAR} characters")
        else:
            for part in node.value:
                for each in part if isinstance(part, tuple) else (part,):
                    size += self.require(each, depth + 1)
                    if size > _MOST_NODES:
                        raise _bad(node, f"there are more than {_MOST_NODES} values, those of aliases included")
        self._sizes[id(node)] = size
        return size


def _bad(node: Any, what: str) -> BadObjectives:
    return BadObjectives(f"at line {node.start_mark.line + 1} {what}: write one short document for each objective")
