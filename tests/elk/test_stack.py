"""`llmops elk up`, `down`, `status` around a docker that is missing, is not running, or does as it is told."""

from __future__ import annotations

import json
import os
import socket
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmops.elastic.stack.compose import Compose, Part, find
from llmops.elastic.stack.environment import SECRETS, complete, new_secret, read
from llmops.elastic.stack.errors import ComposeProblem
from llmops.elastic.stack.preflight import MAP_COUNT, warnings
from tests.route.processes import Box

GIVEN = {"LLMOPS_UID": "1000", "LLMOPS_STATE": "/home/ann/.local/state/llmops"}
NAMES = st.sampled_from([*SECRETS, *GIVEN, "OTHER"])
LINES = st.one_of(
    st.sampled_from(["", "# a comment", "no equals sign", "export LLMOPS_UID=7"]),
    st.builds("{}={}".format, NAMES, st.sampled_from(["", "x", '"quoted"', "a=b"])),
)


def test_a_new_env_has_a_secret_for_each_name_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    assert complete(path, GIVEN) == [*GIVEN, *SECRETS]
    there = read(path)
    assert {name: there[name] for name in GIVEN} == GIVEN
    assert len({there[name] for name in SECRETS}) == len(SECRETS)
    assert all(len(there[name]) == 48 for name in SECRETS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@given(lines=st.lists(LINES), ends_whole=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_what_stands_in_env_is_never_changed(tmp_path: Path, lines: list[str], ends_whole: bool) -> None:
    path = tmp_path / ".env"
    before = "\n".join(lines) + ("\n" if ends_whole else "")
    path.write_text(before)
    path.chmod(0o644)
    known = read(path)
    complete(path, GIVEN)
    assert path.read_text().startswith(before)
    assert {name: value for name, value in read(path).items() if known.get(name)} == {
        k: v for k, v in known.items() if v
    }
    assert all(read(path)[name] for name in (*GIVEN, *SECRETS))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    once = path.read_bytes()
    assert complete(path, GIVEN) == []
    assert path.read_bytes() == once


def test_no_two_secrets_are_alike() -> None:
    assert len({new_secret() for _ in range(1000)}) == 1000


def test_what_the_machine_lacks_is_said_with_its_fix(tmp_path: Path) -> None:
    (tmp_path / "sys" / "vm").mkdir(parents=True)
    (tmp_path / "sys" / "vm" / "max_map_count").write_text("65530\n")
    (tmp_path / "meminfo").write_text("MemTotal: 8000000 kB\nMemAvailable:    2097152 kB\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = list(warnings(tmp_path, {port: "Kibana"}, proc=tmp_path))
    assert f"vm.max_map_count is 65530, too low: `sudo sysctl -w vm.max_map_count={MAP_COUNT}`." in said
    assert any(sentence.startswith("2.0 GiB of memory are free") for sentence in said)
    assert f"Port {port} is taken, and Kibana wants it: stop what listens there, or set KIBANA_PORT in .env." in said


def test_a_machine_that_has_everything_is_told_nothing(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemAvailable:    20971520 kB\n")
    said = list(warnings(tmp_path / "not" / "made", {}, proc=tmp_path))
    assert not [sentence for sentence in said if "disk" not in sentence]


def test_without_docker_it_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ComposeProblem, match="Docker is not installed"):
        find(tmp_path).check()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            '[ "$1" = compose ] && { echo no such command >&2; exit 1; }',
            "This docker has no compose: install its plugin",
        ),
        (
            '[ "$1" = version ] && { echo Cannot connect to the Docker daemon >&2; exit 1; }; exit 0',
            "The Docker engine is not running, or you may not use it: Cannot connect to the Docker daemon",
        ),
    ],
)
def test_a_docker_that_can_not_is_one_sentence(tmp_path: Path, script: str, said: str) -> None:
    box = Box(tmp_path)
    box.environment["PATH"] = f"{docker_that(tmp_path, script)}:{os.environ['PATH']}"
    for verb in ("up", "down", "status"):
        done = box.call("elk", verb)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"llmops elk: {said}")
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "elk").exists()


def docker_that(tmp_path: Path, script: str) -> Path:
    """A folder with an executable `docker`: it writes down what it is asked, then does as the script says."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "docker").write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\n{script}\n')
    (folder / "docker").chmod(0o755)
    return folder


def test_up_makes_env_and_lays_out_what_the_containers_see(tmp_path: Path) -> None:
    (tmp_path / "docker-compose.elk.yml").write_text("services: {}\n")
    box = Box(tmp_path)
    script = 'case "$*" in *" up "*) exit 3;; esac'  # the engine is there and a part does not start
    box.environment["PATH"] = f"{docker_that(tmp_path, script)}:{os.environ['PATH']}"
    done = box.call("elk", "up")
    assert done.returncode == 3
    assert "Not everything started: `llmops elk status` says what" in done.stderr
    assert ("vm.max_map_count" in done.stderr) == (int(Path("/proc/sys/vm/max_map_count").read_text()) < MAP_COUNT)
    there = read(tmp_path / ".env")
    assert there["LLMOPS_STATE"] == str(tmp_path)
    assert there["ELASTIC_PASSWORD"] not in done.stderr + done.stdout
    assert (tmp_path / "journal").is_dir()
    folders = [tmp_path / name for name in ("journal", "elk", "elk/templates")]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
    for folder in folders:
        folder.chmod(0o755)  # as an earlier version left them
    assert box.call("elk", "up").returncode == 3
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
    templates = [json.loads(path.read_text()) for path in (tmp_path / "elk" / "templates").glob("*.json")]
    assert sorted(template["index_patterns"][0] for template in templates)[0] == "logs-llmops.access-*"
    asked = (tmp_path / "asked").read_text()
    assert f"compose --env-file {tmp_path}/.env --file {tmp_path}/docker-compose.elk.yml up --detach" in asked


@pytest.mark.parametrize("port", ["70000", "127.0.0.1:9200", "x"])
def test_a_port_in_env_that_is_none_is_one_sentence(tmp_path: Path, port: str) -> None:
    (tmp_path / "docker-compose.elk.yml").write_text("services: {}\n")
    (tmp_path / ".env").write_text(f"KIBANA_PORT={port}\n")
    box = Box(tmp_path)
    box.environment["PATH"] = f"{docker_that(tmp_path, 'exit 0')}:{os.environ['PATH']}"
    done = box.call("elk", "up")
    assert done.returncode == 2
    assert f"llmops elk: KIBANA_PORT in .env is '{port}': it must be a number from 1 to 65535." in done.stderr
    assert " up " not in (tmp_path / "asked").read_text()


def test_down_keeps_the_data_unless_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "docker-compose.elk.yml").write_text("services: {}\n")
    complete(tmp_path / ".env", GIVEN)
    box = Box(tmp_path)
    box.environment["PATH"] = f"{docker_that(tmp_path, 'exit 0')}:{os.environ['PATH']}"
    assert box.call("elk", "down").returncode == 0
    assert "--volumes" not in (tmp_path / "asked").read_text()
    assert box.call("elk", "down", "--delete-data").returncode == 0
    assert (tmp_path / "asked").read_text().rstrip().endswith("down --volumes")


ROWS = [
    {"Service": "elasticsearch", "State": "running", "Health": "healthy", "ExitCode": 0},
    {"Service": "setup", "State": "exited", "Health": "", "ExitCode": 0},
    {"Service": "kibana", "State": "running", "Health": "unhealthy", "ExitCode": 0},
]


@pytest.mark.parametrize("as_lines", [True, False])
def test_status_reads_either_form_of_the_list(tmp_path: Path, as_lines: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(json.dumps(row) for row in ROWS) if as_lines else json.dumps(ROWS)
    (tmp_path / "rows").write_text(text)
    monkeypatch.setenv("PATH", f"{docker_that(tmp_path, f'cat {tmp_path}/rows')}:{os.environ['PATH']}")
    parts = Compose(tmp_path / "docker-compose.elk.yml").parts()
    assert parts[0] == Part("elasticsearch", "running", "healthy", 0)
    assert [part.is_well for part in parts] == [True, True, False]


def test_status_says_which_part_is_not_well(tmp_path: Path) -> None:
    (tmp_path / "docker-compose.elk.yml").write_text("services: {}\n")
    complete(tmp_path / ".env", GIVEN)
    (tmp_path / "rows").write_text(json.dumps(ROWS))
    box = Box(tmp_path)
    box.environment["PATH"] = f"{docker_that(tmp_path, f'cat {tmp_path}/rows')}:{os.environ['PATH']}"
    done = box.call("elk", "status")
    assert done.returncode == 1
    assert "unhealthy" in done.stdout and "done" in done.stdout
    assert json.loads(box.call("elk", "status", "--json").stdout)[2]["is_well"] is False
