"""Programs that start on a disk that takes nothing: they work, the record survives, people are told, and it heals."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmops.client import fetch_snapshot
from tests.notifiers.servers import receiver
from tests.route.processes import Box, until
from tests.state.disks import SmallDisk, mounted


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with mounted(tmp_path / "disk", "size=8m,nr_inodes=64") as found:
        yield found


def box_on(disk: SmallDisk, **dials: object) -> Box:
    """Its state is on the disk, and its logs are beside it."""
    box = Box(disk.folder.parent, state__directory=disk.folder, watch__interval_s=0.25, bench__enabled="false", **dials)
    box.environment["LLMOPS_GPU__KIND"] = "none"
    return box


@contextlib.contextmanager
def recorded(disk: SmallDisk, box: Box) -> Iterator[None]:
    """One request is on record, and nothing runs."""
    with box.program("up"):
        box.until_ready()
        assert box.chat().status_code == 200
        until(lambda: "success" in box.call("requests").stdout, 30)
    yield


@pytest.mark.route
def test_watch_that_starts_twice_on_a_full_disk_keeps_the_record_and_pages_and_recovers(disk: SmallDisk) -> None:
    with receiver(200) as hook:
        box = box_on(disk, watch__webhook_url=hook.url)

        def told() -> list[tuple[str, str]]:
            return [(each["rule_id"], each["action"]) for body in hook.bodies for each in body["alerts"]]

        with recorded(disk, box):
            disk.fill()
        before = (disk.folder / "llmops.sqlite").read_bytes()
        for _ in range(2):
            hook.bodies.clear()
            with box.program("watch") as watch:
                until(lambda: ("journal_full", "firing") in told(), 40, lambda: box.log("watch"))
                assert watch.poll() is None
        assert not list(disk.folder.glob("*.old*"))
        assert (disk.folder / "llmops.sqlite").read_bytes()[:100] == before[:100]
        hook.bodies.clear()
        with box.program("up"):
            box.until_ready()
            assert box.chat().status_code == 200
            until(lambda: ("journal_full", "firing") in told(), 40, lambda: box.log("up"))
            disk.free()
            until(lambda: ("journal_full", "resolved") in told(), 60, lambda: box.log("up"))
            until(lambda: box.call("requests").stdout.count("success") == 2, 30, lambda: box.call("requests").stdout)
    assert "Traceback" not in box.log("watch") + box.log("up")


def full(disk: SmallDisk) -> None:
    disk.fill()


def without_inodes(disk: SmallDisk) -> None:
    disk.use_up_inodes()


def read_only(disk: SmallDisk) -> None:
    disk.read_only(True)


@pytest.mark.route
@pytest.mark.parametrize("break_it", [full, without_inodes, read_only])
def test_up_starts_with_a_new_state_directory_on_a_disk_that_takes_nothing(
    disk: SmallDisk, break_it: Callable[[SmallDisk], None]
) -> None:
    box = box_on(disk)
    break_it(disk)
    with box.program("up") as up:
        box.until_ready()
        assert box.chat().status_code == 200
        for verb in (("status",), ("requests",), ("slo",), ("keys", "create", "ann"), ("alerts", "list")):
            assert "Traceback" not in box.call(*verb).stderr
        assert up.poll() is None
        disk.read_only(False)
        disk.free()
        until((disk.folder / "user-hash.key").exists, 20)
        until(lambda: list((disk.folder / "run").glob("serve-*.json")), 20)
        until(lambda: fetch_snapshot(box.url).events_waiting == 0, 20)
        until(lambda: "success" in box.call("requests").stdout, 40, lambda: box.log("up"))
        up.send_signal(signal.SIGTERM)
        assert up.wait(30) == 0
    assert "Traceback" not in box.log("up")


@pytest.mark.route
@pytest.mark.parametrize("verb", [("serve",), ("watch",), ("up",), ("keys", "create", "ann"), ("ship", "--once")])
def test_no_program_uses_a_state_directory_that_every_user_may_write(tmp_path: Path, verb: tuple[str, ...]) -> None:
    box = Box(tmp_path)
    tmp_path.chmod(0o777)
    done = box.call(*verb)
    assert done.returncode == 2
    assert f"Every user of this machine may replace files in {tmp_path} (mode 0777): run `chmod o-w" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.route
def test_serve_follows_no_link_in_the_place_of_its_run_file(tmp_path: Path) -> None:
    box, victim = Box(tmp_path), tmp_path / "victim"
    victim.write_text("untouched")
    (tmp_path / "run").mkdir()
    for name in (f"serve-{box.port}.json", f"serve-{box.port}.tmp"):
        (tmp_path / "run" / name).symlink_to(victim)
    done = box.call("serve")
    assert (done.returncode, victim.read_text()) == (2, "untouched")
    assert f"serve-{box.port}.json is a symbolic link, which is not followed" in done.stderr
    (tmp_path / "run" / f"serve-{box.port}.json").unlink()
    with box.program("serve"):
        box.until_ready()
    assert victim.read_text() == "untouched"
