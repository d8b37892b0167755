"""Opens, reads and replaces the files of the state directory: follows no link and uses no other user's file."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

MOST_BYTES = 16 << 20
"""No file that is read as a whole is larger, unless the caller says so."""
_PASSING = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO),
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT),
    }
)
_WORLD_WRITE, _OTHERS_WRITE = 0o002, 0o022


class UnusableFile(OSError):
    """A file that must not be used as it is; `str(error)` is one sentence that names it and the fix."""


class FileTooLarge(UnusableFile):
    """More than the file that belongs there can hold."""


def is_passing(error: OSError) -> bool:
    """The disk is full, read-only or failing, or the process has too many open files: worth another try later."""
    return error.errno in _PASSING


def sentence_of(error: OSError) -> str:
    """The error as a sentence that names the file and the reason, without the error number."""
    if error.filename is None or not error.strerror:
        return str(error)
    return f"{os.fsdecode(error.filename)} can't be used: {error.strerror.lower()}."


def open_private(path: Path, flags: int, *, secret: bool = False) -> int:
    """Open a regular file of this user, or create it with mode 0600. Returns the descriptor.

    secret: no other user may write to the file, a member of its group included.
    Raises UnusableFile, or OSError as `os.open` does.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise _link(path) from None
        if error.errno == errno.ENXIO:
            raise _irregular(path) from None
        raise
    try:
        _require_private(path, os.fstat(descriptor), secret=secret)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def require_private(path: Path, *, secret: bool = False) -> None:
    """Check a file that another library opens; a missing one is fine. Raises UnusableFile, or OSError."""
    with contextlib.suppress(FileNotFoundError):
        _require_private(path, path.lstat(), secret=secret)


def read_private(path: Path, *, most_bytes: int = MOST_BYTES, secret: bool = False) -> bytes:
    """The content of a file of this user. Raises UnusableFile for one that is too large, or OSError."""
    with os.fdopen(open_private(path, os.O_RDONLY, secret=secret), "rb") as file:
        return _bounded(path, file.read(most_bytes + 1), most_bytes)


def read_bounded(path: Path, *, most_bytes: int = MOST_BYTES) -> bytes:
    """The content of a file that a person names, links followed. Raises UnusableFile for what is no file or too large,
    or OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _irregular(path)
        return _bounded(path, file.read(most_bytes + 1), most_bytes)


def replace(path: Path, content: bytes) -> None:
    """Replace a file as a whole, with mode 0600: new content beside it, forced to disk, then its name.

    Raises OSError; the old file is then as it was, and nothing is left beside it.
    """
    with _written_beside(path, content) as fresh:
        fresh.replace(path)


def create(path: Path, content: bytes) -> None:
    """Create a file as a whole, with mode 0600, unless there is one already. Raises OSError."""
    with _written_beside(path, content) as fresh, contextlib.suppress(FileExistsError):
        os.link(fresh, path)


@contextlib.contextmanager
def _written_beside(path: Path, content: bytes) -> Iterator[Path]:
    """A new file in the same folder, under a name that no other program can know; gone at the end.

    Raises OSError with the name of the file that was meant.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    except OSError as error:
        raise _about(path, error) from error
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        yield fresh
    except OSError as error:
        raise _about(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)


def _about(path: Path, error: OSError) -> OSError:
    return error if error.errno is None else OSError(error.errno, error.strerror, str(path))


def _require_private(path: Path, found: os.stat_result, *, secret: bool) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise _link(path)
    if not stat.S_ISREG(found.st_mode):
        raise _irregular(path)
    if not is_own(found):
        raise UnusableFile(
            f"{path} belongs to user {found.st_uid}, and this process runs as user {os.geteuid()}: run every part of "
            f"llmops as one user, or run `sudo chown {os.geteuid()} {path}`."
        )
    if found.st_mode & (_OTHERS_WRITE if secret else _WORLD_WRITE):
        mode = stat.S_IMODE(found.st_mode)
        raise UnusableFile(f"Other users may change {path} (mode {mode:04o}): run `chmod go-w {path}`.")


def is_own(found: os.stat_result) -> bool:
    """The file or folder belongs to this user or to root."""
    return found.st_uid in (os.geteuid(), 0)


def _bounded(path: Path, content: bytes, most_bytes: int) -> bytes:
    if len(content) > most_bytes:
        size = f"{most_bytes >> 20} MiB" if most_bytes >= 1 << 20 else f"{most_bytes >> 10} KiB"
        raise FileTooLarge(f"{path} is larger than {size}: it is not the file that belongs there.")
    return content


def _link(path: Path) -> UnusableFile:
    return UnusableFile(f"{path} is a symbolic link, which is not followed: replace it by the file itself.")


def _irregular(path: Path) -> UnusableFile:
    return UnusableFile(f"{path} is not a regular file: move it away.")
