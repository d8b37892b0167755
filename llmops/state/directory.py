"""Is the state directory safe: it belongs to this user, and no other user can replace what is in it."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from llmops.state.files import UnusableFile, is_own

FOLDERS = ("journal", "run", "ship")
"""Folders of the state directory that programs write to."""


def require_safe(directory: Path) -> None:
    """Check the state directory and its folders; what is missing is fine. Raises UnusableFile, or OSError."""
    for folder in (directory, *(directory / name for name in FOLDERS)):
        with contextlib.suppress(FileNotFoundError):
            problem = problem_of(folder, folder.stat())
            if problem is not None:
                raise UnusableFile(problem)


def problem_of(folder: Path, found: os.stat_result) -> str | None:
    """Why this folder must not be used, as a sentence with the fix; None for a safe one.

    Every user may create files in a folder with the sticky bit, such as /tmp, but replace none: files there are checked
    one by one.
    """
    if not stat.S_ISDIR(found.st_mode):
        return f"{folder} is not a folder: name another one as state.directory."
    if not is_own(found):
        return (
            f"{folder} belongs to user {found.st_uid}, and this process runs as user {os.geteuid()}: run every part of "
            "llmops as one user, name another folder as state.directory, or run "
            f"`sudo chown -R {os.geteuid()} {folder}`."
        )
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        mode = stat.S_IMODE(found.st_mode)
        return (
            f"Every user of this machine may replace files in {folder} (mode {mode:04o}): run `chmod o-w {folder}`, or "
            "name a folder in it as state.directory."
        )
    return None
