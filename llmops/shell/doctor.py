"""`llmops doctor`: what is wrong with this machine, and the command that mends it."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from llmops.doctor import bundle as archive
from llmops.doctor.examine import collect, judge
from llmops.doctor.finding import Finding, exit_code
from llmops.settings import BadConfiguration, Loaded, Settings, load
from llmops.untrusted import safe_line

_INTERRUPTED = 130
_COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}


def run(state: str | None, *, as_json: bool, bundle: str | None) -> int:
    """0 all ok, 1 a warning, 2 an error, or an archive that can't be written, 130 at Ctrl-C."""
    loaded, problem = _dials(state)
    try:
        with Console(stderr=True, highlight=False).status("looking"):
            facts = collect(loaded, problem)
    except KeyboardInterrupt:
        return _INTERRUPTED
    findings = list(judge(facts, loaded.settings))
    if as_json:
        told = {"exit_code": exit_code(findings), "findings": [dataclasses.asdict(each) for each in findings]}
        print(json.dumps(told, indent=2))
    else:
        _print(findings)
    if bundle is not None:
        path = Path(os.path.expanduser(bundle))  # noqa: PTH111
        try:
            archive.write(path, loaded, facts, findings, time.time())
        except (OSError, ValueError) as error:
            return _refuse(bundle, error)
        print(f"Wrote {safe_line(path)}: look through it before you send it.", file=sys.stderr)
    return exit_code(findings)


def _refuse(bundle: str, error: OSError | ValueError) -> int:
    """ValueError: a null in the name."""
    if isinstance(error, FileExistsError):
        why = "is there already: name another file"
    else:
        why = f"can't be written ({(getattr(error, 'strerror', None) or str(error)).lower()}): name another file"
    print(f"llmops doctor: --bundle {safe_line(bundle)} {why}.", file=sys.stderr)
    return 2


def _dials(state: str | None) -> tuple[Loaded, str | None]:
    """The dials; where one can't be used the defaults, and the sentence about it."""
    try:
        return load({"state.directory": state}), None
    except BadConfiguration as error:
        settings = Settings()
        if state is not None:
            directory = Path(os.path.expanduser(state))  # noqa: PTH111
            settings = Settings(state=settings.state.model_copy(update={"directory": directory}))
        return Loaded(settings, {}), str(error)


def _print(findings: Sequence[Finding]) -> None:
    console = Console(highlight=False)
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for each in findings:
        table.add_row(f"[{_COLOURS[each.state]}]{each.state}[/]", f"[bold]{each.check}[/]", escape(safe_line(each.why)))
        if each.command is not None:
            table.add_row("", "", f"[bold]$[/] {escape(safe_line(each.command))}")
    console.print(table)
    wrong = [each.state for each in findings if each.state != "ok"]
    counted = f"{wrong.count('error')} errors, {wrong.count('warning')} warnings"
    console.print(f"{len(findings)} checks: {counted if wrong else 'all is well'}.")
