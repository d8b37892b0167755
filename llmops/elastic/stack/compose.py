"""Docker Compose, as a person would type it; what it lacks is one sentence."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from llmops.elastic.stack.errors import ComposeProblem

FILE = "docker-compose.elk.yml"
_CHECKOUT = Path(__file__).parents[3]
_LOOK_S = 20.0


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """One container of the stack: its service, its state (running, exited) and health ("" where it has no check)."""

    service: str
    state: str
    health: str
    exit_code: int

    @property
    def is_well(self) -> bool:
        """Running and healthy, or a step that is done."""
        if self.state == "running":
            return self.health in ("", "healthy")
        return self.state == "exited" and self.exit_code == 0


class Compose:
    """The compose file and the `.env` beside it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.environment = file.parent / ".env"

    def check(self) -> None:
        """Raises ComposeProblem unless there is a docker with compose, and an engine that we may use."""
        if shutil.which("docker") is None:
            raise ComposeProblem("Docker is not installed: the stack runs in its containers. See docs/elk.md.")
        if self._ask("docker", "compose", "version").returncode:
            raise ComposeProblem("This docker has no compose: install its plugin (package docker-compose-plugin).")
        engine = self._ask("docker", "version", "--format", "{{.Server.Version}}")
        if engine.returncode:
            reason = _last_line(engine.stderr)
            raise ComposeProblem(f"The Docker engine is not running, or you may not use it: {reason}")

    def run(self, *arguments: str) -> int:
        """`docker compose ...` on our terminal; its exit code. Raises ComposeProblem when it can't be started."""
        try:
            return subprocess.run(self._command(*arguments), check=False).returncode
        except OSError as error:
            raise _unusable(error) from None

    def parts(self) -> list[Part]:
        """Every container of the stack, running or not. Raises ComposeProblem."""
        listed = self._ask(*self._command("ps", "--all", "--format", "json"))
        if listed.returncode:
            raise ComposeProblem(f"The stack can't be read: {_last_line(listed.stderr)}")
        try:
            return [_part(row) for row in _rows(listed.stdout)]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ComposeProblem("`docker compose ps` gave a list that can't be read: is this Compose 2?") from None

    def _command(self, *arguments: str) -> list[str]:
        return ["docker", "compose", "--env-file", str(self.environment), "--file", str(self.file), *arguments]

    def _ask(self, *command: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=_LOOK_S, check=False
            )
        except OSError as error:
            raise _unusable(error) from None
        except subprocess.TimeoutExpired:
            raise ComposeProblem(f"`{' '.join(command[:3])}` did not answer in {_LOOK_S:g} s.") from None


def find(folder: Path) -> Compose:
    """The compose file in this folder, or in the clone that we run from."""
    for place in (folder, _CHECKOUT):
        if (place / FILE).is_file():
            return Compose((place / FILE).absolute())
    raise ComposeProblem(
        f"There is no {FILE} here: it comes with the repository, so run `llmops elk` in a clone of it."
    )


def _unusable(error: OSError) -> ComposeProblem:
    return ComposeProblem(f"Docker can't be run: {error.strerror or error}. Install it anew, or mend PATH.")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it gave no reason"])[-1]


def _part(row: dict[str, Any]) -> Part:
    return Part(str(row["Service"]), str(row["State"]), str(row.get("Health") or ""), int(row.get("ExitCode") or 0))


def _rows(text: str) -> list[dict[str, Any]]:
    """`ps --format json` is an array in some versions and a line for each container in others."""
    text = text.strip()
    if text.startswith("["):
        rows: list[dict[str, Any]] = json.loads(text)
        return rows
    return [json.loads(line) for line in text.splitlines() if line]
