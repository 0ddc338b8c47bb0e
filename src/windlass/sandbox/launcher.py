"""Turns itself into the sandboxed command: run as ``python -I -S launcher.py SPEC``, never imported.

It stands alone (standard library only) because it runs before any of Windlass can be trusted to be
reachable: inside a mount namespace, or as another user. SPEC is JSON, written by the level that starts it:

``argv``       the command
``status_fd``  where it says ``ready`` just before the command starts, ``exit N`` / ``signal N`` when it
               watched the command end, or ``error TEXT``; the command never gets this descriptor
``limits``     ``{"cpu", "address", "file", "processes", "open_files"}``
``identity``   ``[uid, gid]`` to become first, or null
``search``     keep CAP_DAC_READ_SEARCH, for an interpreter below a folder the new user may not enter
``home``       a folder to create, as that user, or null
``filter``     seccomp program, base64, or ""
``landlock``   ``{"abi", "read", "write", "device"}`` or null
``supervise``  stay as the parent: kill every descendant when the command ends or standard input closes
"""

# Importing pathlib would double the start-up time; exec is the point.
# ruff: noqa: PTH103, PTH112, PTH116, PTH208, S606
from __future__ import annotations

import base64
import ctypes
import json
import os
import resource
import select
import signal
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing is slow to import
    from collections.abc import Callable
    from typing import TypedDict

    class Rules(TypedDict):
        abi: int
        read: list[str]
        write: list[str]
        device: list[str]

    class Spec(TypedDict):
        argv: list[str]
        status_fd: int
        limits: dict[str, int]
        identity: tuple[int, int] | None
        search: bool
        home: str | None
        filter: str
        landlock: Rules | None
        supervise: bool


PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_SET_SECCOMP = 1, 8, 22
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 36, 38, 47
CAP_DAC_READ_SEARCH = 2
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
SCOPE_ABSTRACT_UNIX_SOCKET, SCOPE_SIGNAL = 1, 2
# include/uapi/linux/landlock.h: execute, write, read, list, remove x2, make x7, then one a version.
READ = 0b1101
FILE_ONLY = 0b111 | 1 << 14 | 1 << 15  # the rights a rule on a plain file may name
WRITE_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
NET_TCP = 0b11

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def check(result: int, what: str) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")
    return result


def prctl(option: int, *values: int) -> None:
    arguments = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    check(libc.prctl(option, *arguments), f"prctl {option}")


def syscall(number: int, *arguments: object) -> int:
    wrapped = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    return check(libc.syscall(ctypes.c_long(number), *wrapped), f"syscall {number}")


def new_ruleset(filesystem: int, network: int, scope: int, abi: int) -> int:
    fields = [filesystem] + ([network] if abi >= 4 else []) + ([scope] if abi >= 6 else [])
    attribute = struct.pack(f"{len(fields)}Q", *fields)
    return syscall(LANDLOCK_CREATE_RULESET, ctypes.create_string_buffer(attribute), len(attribute), 0)


def landlock_ruleset(rules: Rules) -> int:
    """Everything is refused but what the rules name; returns the ruleset's descriptor."""
    abi = rules["abi"]
    every = WRITE_BY_ABI[max(version for version in WRITE_BY_ABI if version <= abi)]
    ruleset = new_ruleset(every, NET_TCP, SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL, abi)
    device = 0b110 | (every & 1 << 14)
    for paths, rights in ((rules["read"], READ), (rules["write"], every), (rules["device"], device)):
        for path in paths:
            try:
                handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            allowed = rights if os.path.isdir(path) else rights & FILE_ONLY
            attribute = struct.pack("=Qi", allowed, handle)
            syscall(LANDLOCK_ADD_RULE, ruleset, 1, ctypes.create_string_buffer(attribute), 0)
            os.close(handle)
    return ruleset


def tasks_of(uid: int) -> int:
    """How many tasks this user runs now: outside a user namespace the kernel counts them all."""
    count = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.stat(f"/proc/{name}").st_uid == uid:
                    count += len(os.listdir(f"/proc/{name}/task"))
            except OSError:
                continue
    return count


def set_limits(limits: dict[str, int]) -> None:
    for kind, value in (
        (resource.RLIMIT_CPU, limits["cpu"]),
        (resource.RLIMIT_AS, limits["address"]),
        (resource.RLIMIT_FSIZE, limits["file"]),
        (resource.RLIMIT_NPROC, limits["processes"]),
        (resource.RLIMIT_NOFILE, limits["open_files"]),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 65536),
    ):
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # Past the soft limit comes SIGXCPU, which says what happened; past the hard one SIGKILL.
        top = value + 2 if kind == resource.RLIMIT_CPU and hard == resource.RLIM_INFINITY else value
        resource.setrlimit(kind, (value, top))


def become(uid: int, gid: int, search: bool) -> None:
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    prctl(PR_SET_KEEPCAPS, 1 if search else 0)
    os.setresuid(uid, uid, uid)
    if search:
        bit = 1 << CAP_DAC_READ_SEARCH
        header = ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0))
        data = ctypes.create_string_buffer(struct.pack("6I", bit, bit, bit, 0, 0, 0))
        check(libc.capset(header, data), "capset")
        prctl(PR_CAP_AMBIENT, 2, CAP_DAC_READ_SEARCH)


def set_filter(program: bytes) -> None:
    code = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: length in instructions of 8 bytes, padding, pointer.
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code)))
    check(libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(2), head), "seccomp filter")


def confine_and_exec(spec: Spec) -> None:
    """Give up, in an order where each step is still allowed to take the next; ends in ``exec``."""
    status = spec["status_fd"]
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # if the machine runs out of memory, this goes first
    ruleset = landlock_ruleset(spec["landlock"]) if spec["landlock"] else -1
    limits = dict(spec["limits"])
    if spec["supervise"] and not spec["identity"]:
        limits["processes"] += tasks_of(os.getuid())
    set_limits(limits)
    if spec["identity"]:
        uid, gid = spec["identity"]
        become(uid, gid, spec["search"])
    if spec["supervise"]:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if spec["home"]:
        os.makedirs(spec["home"], mode=0o700, exist_ok=True)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    if ruleset >= 0:
        syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0)
        os.close(ruleset)
    if spec["filter"]:
        set_filter(base64.b64decode(spec["filter"]))
    os.closerange(3, status)
    os.closerange(status + 1, 65536)
    os.set_inheritable(status, False)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL if number == signal.SIGPIPE else signal.SIG_IGN)
    os.write(status, b"ready\n")
    try:
        os.execvp(spec["argv"][0], spec["argv"])
    except OSError as error:
        os.write(2, f"{spec['argv'][0]}: {error.strerror}\n".encode())
        os._exit(126 if isinstance(error, PermissionError) else 127)


def own_scope(abi: int) -> bool:
    """Put this process into a signal scope of its own, so ``kill(-1)`` reaches only what it started."""
    if abi < 6:
        return False
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    ruleset = new_ruleset(0, 0, SCOPE_SIGNAL, abi)
    syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    try:
        os.kill(os.getppid(), 0)
    except PermissionError:
        return True
    return False  # the scope does not hold (or the parent is gone): never signal everyone


def descendants(root: int) -> list[int]:
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children") as file:
                    children = [int(word) for word in file.read().split()]
                found += children
                queue += children
        except OSError:
            continue
    return found


def kill_everything(scoped: bool) -> None:
    """Kill and reap until nothing is left; orphans come to this process because it is their subreaper."""
    while True:
        if scoped:
            try:
                os.kill(-1, signal.SIGKILL)
            except OSError:
                pass
        for pid in descendants(os.getpid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        select.select([], [], [], 0.005)


def supervise(spec: Spec) -> None:
    scoped = own_scope(spec["landlock"]["abi"]) if spec["landlock"] else False
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    child = os.fork()
    if child == 0:
        os.setsid()
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, 0)
        guarded(confine_and_exec, spec)
    handle = os.pidfd_open(child)
    waiting = select.poll()
    waiting.register(handle, select.POLLIN)
    waiting.register(0, select.POLLIN | select.POLLHUP)
    ending = None
    while ending is None:
        # The timeout is for orphans that ended: they count against the limit until they are reaped.
        events = dict(waiting.poll(100))
        if 0 in events:
            break
        while True:
            pid, code = os.waitpid(-1, os.WNOHANG)
            if pid == child:
                ending = os.waitstatus_to_exitcode(code)
            if pid in (0, child):
                break
    kill_everything(scoped)
    if ending is not None:
        word = f"exit {ending}" if ending >= 0 else f"signal {-ending}"
        os.write(spec["status_fd"], f"{word}\n".encode())
    os._exit(0)


def guarded(work: Callable[[Spec], None], spec: Spec) -> None:
    """Nothing may run on after a failed step: the command would start less confined than asked."""
    try:
        work(spec)
    except BaseException as error:
        os.write(spec["status_fd"], f"error {error}\n".encode())
    os._exit(125)


if __name__ == "__main__":
    SPEC = json.loads(sys.argv[1])
    guarded(supervise if SPEC["supervise"] else confine_and_exec, SPEC)
