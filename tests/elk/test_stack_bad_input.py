"""`llmops elk up`, `down`, `status` with all that can be wrong: one sentence, no secret, nothing begun."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.elastic.dashboards import KibanaProblem, boards
from llmops.elastic.stack import environment
from llmops.elastic.stack.environment import SECRETS, complete, read
from llmops.elastic.stack.errors import EnvironmentProblem
from tests.elk.test_stack import GIVEN, docker_that
from tests.route.processes import Box

SECRET = "5ecret5ecret5ecret5ecret5ecret5ecret"


@pytest.fixture
def call(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`llmops elk VERB` beside a compose file, with a docker that says yes to all or does as the script says."""

    def run(verb: str, script: str = "exit 0", **dials: object) -> subprocess.CompletedProcess[str]:
        if not (tmp_path / "bin").exists():
            docker_that(tmp_path, script)
        (tmp_path / "docker-compose.elk.yml").write_text("services: {}\n")
        box = Box(tmp_path, **dials)
        box.environment["PATH"] = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        return box.call("elk", verb)

    return run


Call = Callable[..., subprocess.CompletedProcess[str]]

DAMAGED = {
    b"ELASTIC_PASSWORD=" + SECRET.encode() + b"\n\xff\xfe": "is damaged: it is no UTF-8 text",
    b"\nELASTIC PASSWORD=" + SECRET.encode(): "Line 2 of",
    b"KIBANA_PASSWORD='" + SECRET.encode(): "Line 1 of",
    b"KIBANA_PASSWORD=\0" + SECRET.encode(): "Line 1 of",
    b'ELASTIC_PASSWORD=a"' + SECRET.encode(): "has a character that not every part reads alike",
    b"ELASTIC_PASSWORD=$" + SECRET.encode(): "has a character that not every part reads alike",
    b"ELASTIC_PASSWORD=5ecr": "ELASTIC_PASSWORD in .env is too short: it needs 6 characters.",
    b"KIBANA_ENCRYPTION_KEY=5ecret": "KIBANA_ENCRYPTION_KEY in .env is too short: it needs 32 characters.",
    b"STACK_VERSION=8.19.0": "STACK_VERSION in .env is '8.19.0': it must be 9.5.0 or a newer 9.x",
    b"STACK_VERSION=9.4.2": "STACK_VERSION in .env is '9.4.2'",
    b"STACK_VERSION=latest": "STACK_VERSION in .env is 'latest'",
    b"ELASTICSEARCH_PORT=0": "ELASTICSEARCH_PORT in .env is '0': it must be a number from 1 to 65535.",
}


@pytest.mark.parametrize(("content", "said"), DAMAGED.items())
def test_a_damaged_env_is_one_sentence_without_what_stands_in_it(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(EnvironmentProblem) as problem:
        environment.check(tmp_path / ".env")
    assert said in str(problem.value)
    assert "5ecr" not in str(problem.value)


def test_no_verb_goes_on_with_a_damaged_env(call: Call, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"ELASTIC_PASSWORD={SECRET}\nnot a line {SECRET}\n")
    for verb in ("up", "down", "status"):
        done = call(verb)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"llmops elk: Line 2 of {tmp_path}/.env is no NAME=value: mend it, or put # before it.\n"
    assert "--file" not in (tmp_path / "asked").read_text(), "Compose would have quoted the line"
    assert not (tmp_path / "elk").exists()


@given(values=st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"])), max_size=4))
def test_what_env_holds_is_read_or_refused_and_never_quoted(
    tmp_path_factory: pytest.TempPathFactory, values: list[str]
) -> None:
    path = tmp_path_factory.mktemp("any") / ".env"
    path.write_text(
        "".join(f"{name}={value}\n" for name, value in zip(SECRETS, values, strict=False)), encoding="utf-8"
    )
    try:
        environment.check(path)
    except EnvironmentProblem as problem:
        assert not [value for value in values if len(value) > 8 and value in str(problem)]
    else:
        complete(path, GIVEN)
        environment.check(path)
        assert all(len(read(path)[name]) >= 6 for name in SECRETS)


def test_before_the_first_up_there_is_nothing_to_see_and_nothing_to_stop(call: Call, tmp_path: Path) -> None:
    seen = call("status")
    assert (seen.returncode, seen.stdout) == (1, "")
    assert seen.stderr == "Nothing of the stack is here: `llmops elk up` starts it.\n"
    stopped = call("down")
    assert stopped.returncode == 2
    assert f"There is no {tmp_path}/.env, so nothing was started from here." in stopped.stderr
    assert "`docker compose -p llmops-elk down`" in stopped.stderr


def test_another_state_directory_than_the_containers_read_is_told(call: Call, tmp_path: Path) -> None:
    complete(tmp_path / ".env", GIVEN)
    done = call("up")
    assert done.returncode == 2
    assert f"is {GIVEN['LLMOPS_STATE']}, and the state directory is {tmp_path}: make them the same" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["a:b", "it's", 'a"b', "a\\b", "a\nb"])
def test_a_state_directory_that_no_volume_can_be_called_is_told(call: Call, tmp_path: Path, name: str) -> None:
    done = call("up", state__directory=tmp_path / name)
    assert done.returncode == 2
    assert done.stderr.startswith("llmops elk: The containers can't be given")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / ".env").exists() and not (tmp_path / name).exists()


def test_a_file_where_a_folder_should_be_is_told(call: Call, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    done = call("up", state__directory=tmp_path / "state")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"llmops elk: {tmp_path}/state can't be used: file exists."
    (tmp_path / ".env").unlink()
    (tmp_path / ".env").mkdir()
    for verb in ("up", "down", "status"):
        assert call(verb).stderr == f"llmops elk: {tmp_path}/.env can't be used: is a directory.\n"


@pytest.mark.parametrize(
    ("script", "verb", "said"),
    [
        (
            'case "$*" in *" ps "*) echo "not json";; esac',
            "status",
            "`docker compose ps` gave a list that can't be read",
        ),
        ('case "$*" in *" ps "*) echo "[1, 2]";; esac', "status", "`docker compose ps` gave a list that can't be read"),
        ('case "$*" in *" ps "*) printf "\\377\\n" >&2; exit 1;; esac', "status", "The stack can't be read: \ufffd"),
        ('printf "a\\n\\033[31mred\\n" >&2; [ "$1" = compose ]', "down", r"or you may not use it: \x1b[31mred"),
    ],
)
def test_a_docker_that_talks_nonsense_is_one_sentence(
    call: Call, tmp_path: Path, script: str, verb: str, said: str
) -> None:
    complete(tmp_path / ".env", GIVEN)
    done = call(verb, script)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("llmops elk: ") and said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_docker_that_is_no_program_is_one_sentence(tmp_path: Path) -> None:
    (docker_that(tmp_path, "") / "docker").write_bytes(b"\x7fELF")
    (tmp_path / "docker-compose.elk.yml").write_text("services: {}\n")
    box = Box(tmp_path)
    box.environment["PATH"] = str(tmp_path / "bin")
    for verb in ("up", "down", "status"):
        done = box.call("elk", verb)
        assert (done.returncode, done.stderr) == (
            2,
            "llmops elk: Docker can't be run: Exec format error. Install it anew, or mend PATH.\n",
        )


def test_env_may_be_a_link_and_stays_one(tmp_path: Path) -> None:
    (tmp_path / "vault").mkdir()
    (tmp_path / ".env").symlink_to(tmp_path / "vault" / "stack.env")
    complete(tmp_path / ".env", GIVEN)
    assert (tmp_path / ".env").is_symlink()
    assert stat.S_IMODE((tmp_path / "vault" / "stack.env").stat().st_mode) == 0o600
    assert complete(tmp_path / ".env", GIVEN) == []


def test_a_remark_behind_a_value_is_not_part_of_it(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("KIBANA_PORT=5602 # the other is taken\nLLMOPS_STATE='/srv/a # b' # ours\nEMPTY=\n")
    environment.check(tmp_path / ".env")
    assert read(tmp_path / ".env") == {"KIBANA_PORT": "5602", "LLMOPS_STATE": "/srv/a # b", "EMPTY": ""}


def test_a_damaged_dashboard_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "llmops-x.json").write_text("{")
    with pytest.raises(KibanaProblem, match=r"llmops-x\.json is no JSON: it is damaged"):
        boards(tmp_path)
