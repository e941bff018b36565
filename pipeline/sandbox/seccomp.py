"""A filter of system calls for the level without a view of its own: no sockets, no way around that, no look into other processes.

The filter is a program for the kernel's packet filter (seccomp(2)); it needs no privilege. Refused calls answer EPERM, as if the system did
not allow them, which programs bear: a name that cannot be looked up, a proxy that cannot be reached. `socketpair` and pipes stay.
"""

from __future__ import annotations

import os
import struct

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE = 0, 4
"""Offsets in struct seccomp_data."""
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | 1, 0x80000000
_X32 = 0x40000000
"""Calls of the x32 interface have this bit: the same calls by other numbers."""

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_CALLS = {
    "x86_64": {"socket": 41, "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311},
    "aarch64": {"socket": 198, "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271},
}
_COMMON = {"io_uring_setup": 425, "pidfd_getfd": 438}
"""The same number on every architecture. io_uring opens sockets without the call of that name; pidfd_getfd takes another's."""


def no_sockets(machine: str | None = None) -> bytes:
    """The filter for this machine, or for the named architecture; empty when there is none for it."""
    name = machine or os.uname().machine
    if name not in _CALLS:
        return b""
    refused = sorted([*_CALLS[name].values(), *_COMMON.values()])
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, _ARCHITECTURES[name]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, len(refused) + 1, 0, _X32),
    ]
    for place, number in enumerate(refused):
        program.append((_EQUAL, len(refused) - place, 0, number))
    program += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
