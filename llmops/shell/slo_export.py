"""`llmops slo export`: the objectives that are judged, as a file that llmops or another tool reads."""

from __future__ import annotations

from llmops.overview.objectivefile import to_yaml
from llmops.overview.objectives import objectives_of
from llmops.settings import Settings
from llmops.shell.slo import objective_fields, spoken
from llmops.shell.tabular import print_json
from llmops.slo import to_openslo, to_toml


def run(settings: Settings, *, openslo: bool, as_json: bool) -> int:
    """Print them; 2 where they can't be read."""
    return spoken(lambda: _export(settings, openslo=openslo, as_json=as_json))


def _export(settings: Settings, *, openslo: bool, as_json: bool) -> int:
    objectives = objectives_of(settings.objectives)
    if as_json:
        print_json([to_openslo(each) if openslo else objective_fields(each) for each in objectives])
    else:
        print(to_yaml(objectives) if openslo else to_toml(objectives), end="")
    return 0
