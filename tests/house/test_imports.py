"""What starting costs: a static graph can't tell a lazy import from an eager one, a subprocess can."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "textual", "fastapi", "elasticsearch", "bitsandbytes", "apprise")


def loaded_after(code: str) -> set[str]:
    probe = f"import sys\n{code}\nprint(*(name for name in sys.modules if '.' not in name))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import llmops", HEAVY),
        ("import llmops.cli", HEAVY),
        ("import llmops.watch", ("torch", "transformers", "textual", "fastapi", "elasticsearch", "apprise")),
        ("import llmops.serve", ("textual", "torch", "transformers", "elasticsearch")),
        ("import llmops.tui.app", ("torch", "transformers", "fastapi", "elasticsearch")),
        ("import llmops.up", HEAVY),
        ("import llmops.shell.fit", (*HEAVY, "pydantic", "pynvml", "httpx")),
        ("import llmops.demo", ("torch", "transformers", "fastapi", "textual")),
    ],
)
def test_a_program_loads_only_what_it_needs(code: str, absent: tuple[str, ...]) -> None:
    assert not loaded_after(code) & set(absent)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import contextlib, io\n"
        "from llmops.cli import app\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    app(['--help'])"
    )
    assert not loaded_after(code) & set(HEAVY)
