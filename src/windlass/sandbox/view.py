"""What a sandboxed command sees of this machine: readable paths, environment, identity; and what is read back."""

# Os.walk, dir_fd and links as they are written have no pathlib form.
# ruff: noqa: PTH100, PTH101, PTH114, PTH118
from __future__ import annotations

import functools
import os
import pwd
import random
import shutil
import site
import stat
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from windlass.errors import SandboxError

LAUNCHER = Path(__file__).with_name("launcher.py")

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
ETC = (
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime",
    "/etc/timezone", "/etc/mime.types", "/etc/protocols", "/etc/services",
)  # fmt: skip

#: systemd keeps these for throw-away users; a new one for each run makes the kernel's per-user count of
#: processes a count of that run, and its owner nobody.
_THROWAWAY_USERS = range(61184, 65520)


def interpreter_paths(extra: Iterable[Path] = ()) -> list[tuple[Path, Path]]:
    """``(where it really is, under which name)`` of the running interpreter, its packages and ``extra``.

    A virtual environment, a pyenv, uv or conda build often lives in a home folder, behind links; every name
    on the way to the binary is needed. Only these folders, never the project they may stand in: a package
    installed as editable is therefore not there. Raises SandboxError when a folder would open up a home.
    """
    names = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.exec_prefix), Path(sys.base_exec_prefix)]
    names += [Path(folder) for folder in site.getsitepackages()]
    if site.ENABLE_USER_SITE and site.getusersitepackages() in sys.path:
        names.append(Path(site.getusersitepackages()))
    link = Path(sys.executable)
    for _ in range(16):
        if not link.is_symlink():
            break
        link = Path(os.path.normpath(link.parent / link.readlink()))
        names.append(link.parent.parent)
    names += extra
    pairs: dict[tuple[Path, Path], None] = {}
    for name in names:
        real = name.resolve()
        if not real.exists() or any(real.is_relative_to(folder) for folder in SYSTEM):
            continue
        home = Path.home().resolve()
        if home.is_relative_to(real) or real == Path("/etc") or Path("/etc").is_relative_to(real):
            raise SandboxError(
                f"The Python at {sys.executable} is installed in {real}, which would show your own files to "
                "model-written code: run Windlass from a virtual environment."
            )
        pairs[real, real] = None
        pairs[real, Path(os.path.abspath(name))] = None  # keeps links, unlike resolve()
    return list(pairs)


def environment(home: str, temporary: str, added: Mapping[str, str] | None) -> dict[str, str]:
    """A small clean environment; nothing of ours is inherited."""
    folders = dict.fromkeys([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"])
    return {
        "PATH": ":".join(folders),
        "HOME": home,
        "TMPDIR": temporary,
        "USER": "user",
        "LOGNAME": "user",
        "LANG": "C.UTF-8",
        **(added or {}),
    }


def usable_folder(folder: Path) -> Path:
    """The folder, resolved; SandboxError when it is missing or holds more than a copy could."""
    real = folder.resolve()
    if not real.is_dir():
        raise SandboxError(f"There is no folder {folder} to run in.")
    if Path.home().resolve().is_relative_to(real):
        raise SandboxError(f"{folder} holds your home folder: a sandbox runs in a throwaway copy only.")
    return real


def throwaway_user() -> tuple[int, int] | None:
    """A user and group id nobody has, when this process may become one (it is root); else None."""
    if os.geteuid() != 0 or not _has_capabilities({6, 7}):  # CAP_SETGID, CAP_SETUID
        return None
    users, groups = _mapped("uid"), _mapped("gid")
    for number in random.sample(_THROWAWAY_USERS, 50):
        if not any(number in span for span in users) or not any(number in span for span in groups):
            continue
        try:
            pwd.getpwuid(number)
        except KeyError:
            return number, number
    return None


def may_mount() -> bool:
    """Does this process hold CAP_SYS_ADMIN (root outside a restricted container)?"""
    return _has_capabilities({21})


def _has_capabilities(wanted: set[int]) -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            held = int(line.split()[1], 16)
            return all(held >> number & 1 for number in wanted)
    return False


def _mapped(kind: str) -> list[range]:
    """The ids that exist in this user namespace."""
    lines = [line.split() for line in Path(f"/proc/self/{kind}_map").read_text().splitlines()]
    return [range(int(first), int(first) + int(count)) for first, _, count in lines]


def give_to(folder: Path, uid: int, gid: int) -> None:
    """Make ``folder`` and all below it belong to a user; links stay links.

    A file with a second name elsewhere keeps its owner, because that other name is not part of the copy.
    """
    os.chown(folder, uid, gid)
    for parent, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(parent, name)
            status = os.lstat(path)
            if status.st_nlink == 1 or stat.S_ISDIR(status.st_mode):
                os.chown(path, uid, gid, follow_symlinks=False)


def readable_by_all(paths: Iterable[Path], *, parents: bool) -> bool:
    """May any user read these and the packages of the running interpreter (and, with ``parents``, walk there)?

    False on a machine where root installs under a strict umask or below its own home.
    """
    return _packages_readable() and all(_open_to_all(path, parents=parents) for path in paths)


@functools.cache
def _packages_readable() -> bool:
    probes = [Path(os.__file__), Path(sys.executable).resolve()]
    for folder in map(Path, site.getsitepackages()):
        probes += folder.iterdir() if folder.is_dir() else ()
    return all(_open_to_all(path, parents=False) for path in probes)


def _open_to_all(path: Path, *, parents: bool) -> bool:
    if not path.exists():
        return True
    mode = path.stat().st_mode
    enterable = not stat.S_ISDIR(mode) or mode & stat.S_IXOTH
    walkable = not parents or all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)
    return bool(mode & stat.S_IROTH and enterable and walkable)


def read_files(folder: Path, names: Sequence[str], limit: int) -> dict[str, bytes]:
    """The regular files among ``names`` below ``folder``, at most ``limit`` bytes each; longer ones are left out.

    The folder was in hostile hands: every part of a name is opened without following links, and a pipe or
    device is never waited for.
    """
    found: dict[str, bytes] = {}
    for name in names:
        parts = Path(name).parts
        if not parts or ".." in parts or Path(name).is_absolute():
            continue
        content = _read(folder, parts, limit)
        if content is not None:
            found[name] = content
    return found


def _read(folder: Path, parts: Sequence[str], limit: int) -> bytes | None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            flags = (
                os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | (0 if last else os.O_DIRECTORY)
            )
            below = os.open(part, flags, dir_fd=handle)
            os.close(handle)
            handle = below
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
            return None
        with os.fdopen(os.dup(handle), "rb") as file:
            return file.read(limit)
    except OSError:
        return None
    finally:
        os.close(handle)


def remove(folder: Path) -> None:
    """Delete a scratch folder, also with folders inside that were made unreadable."""
    for parent, folders, _ in os.walk(folder):
        for name in folders:
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                os.chmod(path, 0o700)
    shutil.rmtree(folder, ignore_errors=True)
