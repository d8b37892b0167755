"""Files of the state directory: whole or as before, private, and never another user's."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from llmops.state.deferred import DeferredWrites
from llmops.state.directory import require_safe
from llmops.state.files import UnusableFile, create, read_bounded, read_private, replace
from tests.state.disks import mounted

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


def test_a_file_is_replaced_whole_and_private_and_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    victim, file = tmp_path / "victim", tmp_path / "file"
    victim.write_text("untouched")
    file.symlink_to(victim)
    with pytest.raises(UnusableFile, match=f"{file} is a symbolic link, which is not followed: replace it"):
        read_private(file)
    replace(file, b"new")
    assert victim.read_text() == "untouched"
    assert (read_private(file), stat.S_IMODE(file.lstat().st_mode)) == (b"new", 0o600)
    create(file, b"other")
    assert read_private(file) == b"new"
    assert {each.name for each in tmp_path.iterdir()} == {"file", "victim"}


def test_what_is_no_file_or_too_large_or_open_to_others_is_refused_with_the_fix(tmp_path: Path) -> None:
    pipe, large, opened = tmp_path / "pipe", tmp_path / "large", tmp_path / "opened"
    os.mkfifo(pipe)
    large.write_bytes(b"x" * 11)
    opened.touch()
    opened.chmod(0o666)
    with pytest.raises(UnusableFile, match="not a regular file"):
        read_private(pipe)
    with pytest.raises(UnusableFile, match="not a regular file"):
        read_bounded(Path("/dev/zero"))
    with pytest.raises(UnusableFile, match="larger than 0 KiB"):
        read_private(large, most_bytes=10)
    with pytest.raises(UnusableFile, match=f"Other users may change {opened} .mode 0666.: run `chmod go-w {opened}`"):
        read_private(opened)
    opened.chmod(0o660)
    assert read_private(opened) == b""
    with pytest.raises(UnusableFile, match="mode 0660"):
        read_private(opened, secret=True)


@needs_root
def test_files_and_folders_of_another_user_are_refused_with_the_fix(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "run").mkdir(parents=True)
    file = state / "file"
    file.touch()
    require_safe(state)
    os.chown(file, 12345, 12345)
    with pytest.raises(UnusableFile, match=f"belongs to user 12345, .* run `sudo chown 0 {file}`"):
        read_private(file)
    os.chown(state / "run", 12345, 12345)
    with pytest.raises(UnusableFile, match=f"{state / 'run'} belongs to user 12345"):
        require_safe(state)


def test_a_folder_that_everybody_may_write_is_refused_unless_it_has_the_sticky_bit(tmp_path: Path) -> None:
    require_safe(tmp_path / "missing")
    tmp_path.chmod(0o777)
    with pytest.raises(UnusableFile, match=r"mode 0777.: run `chmod o-w"):
        require_safe(tmp_path)
    tmp_path.chmod(0o1777)
    require_safe(tmp_path)
    tmp_path.chmod(0o700)
    (tmp_path / "journal").write_text("no folder")
    with pytest.raises(UnusableFile, match="not a folder"):
        require_safe(tmp_path)


def test_on_a_full_disk_a_file_stays_as_it_was_and_is_written_once_there_is_room(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk") as disk:
        file = disk.folder / "file"
        replace(file, b"before")
        disk.fill()
        with pytest.raises(OSError, match=f"No space left on device: '{file}'"):
            replace(file, b"x" * 10_000)
        assert read_private(file) == b"before"
        deferred = DeferredWrites()
        deferred.write("file", lambda: replace(file, b"y" * 10_000))
        deferred.retry()
        assert read_private(file) == b"before"
        disk.free()
        deferred.retry()
        assert read_private(file) == b"y" * 10_000
        assert [each.name for each in disk.folder.iterdir()] == ["file"]
