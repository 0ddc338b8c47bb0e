"""The system-call filter: a classic BPF program, built here and loaded by the launcher.

Two policies. ``NAMESPACED`` is for bubblewrap, where mounts, processes and the network are already
separate: it closes what namespaces do not (key rings, vsock, kernel interfaces with a history of holes).
``SHARED`` adds what Landlock leaves open when nothing is separate: any socket, other people's processes,
file modes and times, shared memory that would outlive the run.
"""

from __future__ import annotations

import errno
import platform
import struct
from dataclasses import dataclass

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000
_NEW_NAMESPACE = 0x7E020000  # CLONE_NEWNS, -CGROUP, -UTS, -IPC, -USER, -PID, -NET

#: name: (x86_64, aarch64); None where the architecture has no such call.
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "add_key": (248, 217), "bind": (49, 200), "bpf": (321, 280), "chmod": (90, None),
    "chown": (92, None), "clone": (56, 220), "clone3": (435, 435), "connect": (42, 203),
    "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "fchown": (93, 55),
    "fchownat": (260, 54), "finit_module": (313, 273), "fremovexattr": (199, 16), "fsconfig": (431, 431),
    "fsetxattr": (190, 7), "fsmount": (432, 432), "fsopen": (430, 430), "fspick": (433, 433),
    "futimesat": (261, None), "init_module": (175, 105), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "io_uring_setup": (425, 425), "ioctl": (16, 29),
    "ioprio_set": (251, 30), "kexec_load": (246, 104), "keyctl": (250, 219), "kill": (62, 129),
    "lchown": (94, None), "lremovexattr": (198, 15), "lsetxattr": (189, 6), "mount": (165, 40),
    "mount_setattr": (442, 442), "move_mount": (429, 429), "mq_open": (240, 180), "msgget": (68, 186),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "open_tree": (428, 428),
    "perf_event_open": (298, 241), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "pivot_root": (155, 41), "prctl": (157, 167), "prlimit64": (302, 261), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "removexattr": (197, 14), "removexattrat": (466, 466),
    "request_key": (249, 218), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "sched_setaffinity": (203, 122), "sched_setattr": (314, 274), "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119), "semget": (64, 190), "setns": (308, 268), "setpriority": (141, 140),
    "setxattr": (188, 5), "setxattrat": (463, 463), "shmget": (29, 194), "socket": (41, 198),
    "socketpair": (53, 199), "tgkill": (234, 131), "tkill": (200, 130), "umount2": (166, 39),
    "unshare": (272, 97), "userfaultfd": (323, 282), "utime": (132, None), "utimensat": (280, 88),
    "utimes": (235, None),
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """Answer ``call`` with ``answer`` (an errno; 0 pretends success) when an argument meets the test.

    ``test`` is ``(argument, operator, values)``: ``in`` / ``not in`` compare the low 32 bits after
    ``mask``, ``any`` asks for any bit of the value. Without a test the answer is unconditional.
    """

    call: str
    answer: int = errno.EPERM
    test: tuple[int, str, tuple[int, ...]] | None = None
    mask: int = 0xFFFFFFFF


_KERNEL = (
    "add_key", "request_key", "keyctl", "bpf", "perf_event_open", "userfaultfd", "init_module",
    "finit_module", "kexec_load", "mount", "umount2", "pivot_root", "open_tree", "move_mount", "fsopen",
    "fsconfig", "fsmount", "fspick", "mount_setattr", "open_by_handle_at", "name_to_handle_at", "setns",
    "shmget", "semget", "msgget", "mq_open",
)  # fmt: skip
_METADATA = (
    "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "utime", "utimes",
    "futimesat", "utimensat", "setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr",
    "lremovexattr", "fremovexattr", "removexattrat",
)  # fmt: skip

NAMESPACED: tuple[Rule, ...] = (
    *(Rule(name) for name in _KERNEL),
    # io_uring makes calls this filter never sees; ENOSYS lets libraries fall back.
    *(Rule(name, errno.ENOSYS) for name in ("io_uring_setup", "io_uring_enter", "io_uring_register")),
    Rule("unshare", test=(0, "any", (_NEW_NAMESPACE,))),
    Rule("clone", test=(0, "any", (_NEW_NAMESPACE,))),
    # clone3 takes its flags through memory, out of a filter's sight; the C library falls back to clone.
    Rule("clone3", errno.ENOSYS),
    # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK belong to the network namespace; AF_VSOCK, for one, does not.
    Rule("socket", errno.EAFNOSUPPORT, (0, "not in", (1, 2, 10, 16))),
    Rule("ioctl", test=(1, "in", (0x5412,))),  # TIOCSTI types into the terminal
)

#: Landlock limits TCP only, and not at all before version 4; a path socket may lead to a container daemon.
#: A socketpair stays possible (asyncio needs one); a datagram one could be connected elsewhere later.
_NO_SOCKETS = (
    Rule("socket", errno.EACCES),
    Rule("connect", errno.EACCES),
    Rule("bind", errno.EACCES),
    Rule("socketpair", errno.EACCES, (1, "not in", (1, 5)), mask=0xF),
)
_OTHERS_PROCESSES = (
    Rule("prlimit64", test=(0, "not in", (0,))),
    Rule("setpriority", test=(0, "not in", (0,))),
    Rule("setpriority", test=(1, "not in", (0,))),
    *(
        Rule(name, test=(0, "not in", (0,)))
        for name in ("sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler")
    ),
    Rule("ioprio_set", test=(1, "not in", (0,))),
    *(Rule(name) for name in ("process_vm_readv", "process_vm_writev", "pidfd_getfd")),
    # Whoever hides from /proc also hides its open files from the disk watch.
    Rule("prctl", test=(0, "in", (4,))),
)
_SIGNALS = (
    Rule("kill", test=(0, "not in", (0,))),
    *(
        Rule(name)
        for name in ("tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal")
    ),
)


def shared(*, own_user: bool, signal_scope: bool) -> tuple[Rule, ...]:
    """The policy for a command that shares the machine's namespaces.

    ``own_user``: it runs as a user who owns nothing but its folder, so modes and times elsewhere are out of
    its reach. ``signal_scope``: Landlock keeps its signals inside; else it may signal only its own group.
    """
    rules = NAMESPACED + _NO_SOCKETS + _OTHERS_PROCESSES
    if not own_user:
        rules += tuple(Rule(name, 0) for name in _METADATA)
    if not signal_scope:
        rules += _SIGNALS
    return rules


def supported() -> bool:
    """Is there a filter for this machine's architecture?"""
    return platform.machine() in _ARCHITECTURES


def program(rules: tuple[Rule, ...]) -> bytes:
    """The filter as an array of ``struct sock_filter``; empty where the architecture is not known."""
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        return b""
    column = list(_ARCHITECTURES).index(machine)
    allow, kill = _return(0x7FFF0000), _return(0x80000000)
    code = [_load(4), _jump("==", _ARCHITECTURES[machine], 1, 0), kill, _load(0)]
    if machine == "x86_64":
        code += [_jump(">=", _X32, 0, 1), _return(0x00050000 | errno.ENOSYS)]
    for rule in rules:
        number = _NUMBERS[rule.call][column]
        if number is not None:
            code += _compile(rule, number)
    return b"".join([*code, allow])


def _compile(rule: Rule, number: int) -> list[bytes]:
    answer = _return(0x00050000 | rule.answer)
    if rule.test is None:
        return [_jump("==", number, 0, 1), answer]
    argument, operator, values = rule.test
    body = [_load(16 + 8 * argument), _instruction(0x54, rule.mask)]
    if operator == "any":
        body += [_jump("&", values[0], 0, 1), answer]
    else:
        for index, value in enumerate(values):
            left = len(values) - 1 - index
            if operator == "in":
                body.append(_jump("==", value, left, 0 if left else 1))
            else:
                body.append(_jump("==", value, left + 1, 0))
        body.append(answer)
    body.append(_load(0))
    return [_jump("==", number, 0, len(body)), *body]


def _instruction(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("HBBI", code, yes, no, value)


def _load(offset: int) -> bytes:
    return _instruction(0x20, offset)


def _return(value: int) -> bytes:
    return _instruction(0x06, value)


def _jump(operator: str, value: int, yes: int, no: int) -> bytes:
    return _instruction({"==": 0x15, ">=": 0x35, "&": 0x45}[operator], value, yes, no)
