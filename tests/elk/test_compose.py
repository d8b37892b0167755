"""The compose file, read by a real Compose: what it publishes, limits, waits for, and whom it gives which secret."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmops.elastic.stack.environment import SECRETS, complete
from tests.elk.proxy import ROOT

FILE = ROOT / "docker-compose.elk.yml"
GIVEN = {"COMPOSE_PROJECT_NAME": "llmops-elk", "LLMOPS_UID": "1000", "LLMOPS_STATE": "/home/ann/.local/state/llmops"}
STEPS = {"certificates", "setup"}


def command() -> list[str]:
    """`docker compose` where the plugin is, else the `docker-compose` of Debian; `config` needs no engine."""
    for words in (["docker", "compose"], ["docker-compose"]):
        if (
            shutil.which(words[0])
            and not subprocess.run([*words, "version"], capture_output=True, check=False).returncode
        ):
            return words
    pytest.skip("the compose file was not read: there is no Compose here (apt-get install docker-compose)")


def config(environment: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command(), "--env-file", str(environment), "-f", str(FILE), "config"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent"},
    )


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    environment = tmp_path_factory.mktemp("compose") / ".env"
    complete(environment, GIVEN)
    done = config(environment)
    assert (done.returncode, done.stderr) == (0, "")
    parts: dict[str, dict[str, Any]] = yaml.safe_load(done.stdout)["services"]
    return parts


def test_without_env_it_says_how_to_make_one(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("")
    done = config(tmp_path / ".env")
    assert done.returncode != 0
    assert "llmops elk up" in done.stderr


def test_a_state_folder_of_any_name_reaches_the_containers(tmp_path: Path) -> None:
    complete(tmp_path / ".env", GIVEN | {"LLMOPS_STATE": "/srv/llm $HOME # ops"})
    done = config(tmp_path / ".env")
    assert done.returncode == 0, done.stderr
    assert "/srv/llm $HOME # ops/journal" in str(yaml.safe_load(done.stdout)).replace("$$", "$")


def test_every_port_is_this_machines_alone(services: dict[str, dict[str, Any]]) -> None:
    published = [port for part in services.values() for port in part.get("ports", [])]
    assert len(published) == 2
    for port in published:
        host = port["host_ip"] if isinstance(port, dict) else port.split(":")[0]
        assert host == "127.0.0.1"
    assert [name for name, part in services.items() if part.get("network_mode") == "host"] == ["nginx"]
    assert "listen 127.0.0.1:8080;" in (ROOT / "deploy" / "nginx.conf").read_text()


def test_every_part_has_a_limit_a_pinned_image_and_a_check(services: dict[str, dict[str, Any]]) -> None:
    for name, part in services.items():
        assert part["mem_limit"], name
        tag = part["image"].rpartition(":")[2]
        assert tag.count(".") == 2 and tag.replace(".", "").isdigit(), f"{name} is not pinned: {part['image']}"
        if name not in STEPS:
            assert part["healthcheck"]["test"], name
            assert part["restart"] == "unless-stopped"
            assert part["cap_drop"] == ["ALL"]


def test_nothing_writes_before_the_setup_is_done(services: dict[str, dict[str, Any]]) -> None:
    done, healthy = "service_completed_successfully", "service_healthy"
    waits = {
        name: {other: how["condition"] for other, how in part.get("depends_on", {}).items()}
        for name, part in services.items()
    }
    assert waits == {
        "certificates": {},
        "elasticsearch": {"certificates": done},
        "setup": {"elasticsearch": healthy},
        "kibana": {"setup": done},
        "logstash": {"setup": done},
        "filebeat": {"logstash": healthy},
        "nginx": {"certificates": done},
    }


def test_each_part_knows_only_the_secrets_that_it_needs(services: dict[str, dict[str, Any]]) -> None:
    given = {
        name: {key for key in SECRETS if key in str(yaml.safe_load(FILE.read_text())["services"][name])}
        for name in services
    }
    assert given == {
        "certificates": set(),
        "elasticsearch": {"ELASTIC_PASSWORD"},
        "setup": {"ELASTIC_PASSWORD", "KIBANA_PASSWORD"},
        "kibana": {"KIBANA_PASSWORD", "KIBANA_ENCRYPTION_KEY"},
        "logstash": set(),
        "filebeat": set(),
        "nginx": set(),
    }


def test_each_part_sees_its_own_key_and_only_the_certificates_step_sees_the_authoritys(
    services: dict[str, dict[str, Any]],
) -> None:
    mounted = {
        name: {volume.split(":")[0] for volume in map(as_text, part.get("volumes", []))}
        for name, part in services.items()
    }
    private = {volume for volumes in mounted.values() for volume in volumes if volume.endswith("-certificates")}
    seen_by = {
        volume: {name for name, volumes in mounted.items() if volume in volumes} for volume in (*private, "authority")
    }
    assert seen_by == {
        "authority": {"certificates"},
        **{
            f"{part}-certificates": {"certificates", part}
            for part in ("elasticsearch", "kibana", "logstash", "filebeat")
        },
    }
    assert "certificates" not in mounted["filebeat"] | mounted["nginx"]


def as_text(volume: str | dict[str, str]) -> str:
    """One version of Compose prints `source:target`, the next an object."""
    return volume if isinstance(volume, str) else f"{volume.get('source')}:{volume['target']}"


def test_every_file_that_it_mounts_is_there(services: dict[str, dict[str, Any]]) -> None:
    text = yaml.safe_load(FILE.read_text())["services"]
    mounted = [volume.split(":")[0] for part in text.values() for volume in part.get("volumes", []) if volume[0] == "."]
    assert mounted
    for name in mounted:
        assert (ROOT / name).exists(), name
        if name.endswith(".sh"):
            assert (ROOT / name).stat().st_mode & 0o111, f"{name} can't be executed"
