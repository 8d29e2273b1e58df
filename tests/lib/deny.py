# SPDX-License-Identifier: Apache-2.0
"""System calls that fail in a child, by a seccomp filter: diagnostics that nothing else provokes."""
import ctypes
import errno
import os
import struct

from lib.vt import Skip

NUMBERS = {'socket': 41, 'sendto': 44, 'bind': 49, 'listen': 50, 'fcntl': 72, 'inotify_add_watch': 254, 'accept4': 288, 'inotify_init1': 294,
           'select': 270}  # as pselect6(), which every Linux has
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, FAIL = 0x7fff0000, 0x00050000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, FILTER = 38, 22, 2


def deny(call, reason=errno.EPERM, **arguments):
    """A preexec_fn after which this call fails. arguments: arg0=N..arg5=N, only such calls."""
    if os.uname().machine != 'x86_64':
        raise Skip('the filter knows the system calls of x86_64 only')
    tests = [(0, NUMBERS[call])] + [(16 + 8 * int(k[3:]), v) for k, v in arguments.items()]
    code = []
    for i, (offset, value) in enumerate(tests):
        code += [(LOAD, 0, 0, offset), (JUMP_EQUAL, 0, 2 * (len(tests) - i - 1) + 1, value)]
    code += [(RETURN, 0, 0, FAIL | reason), (RETURN, 0, 0, ALLOW)]
    program = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *line) for line in code))
    filter_ = ctypes.create_string_buffer(struct.pack('HxxxxxxP', len(code), ctypes.addressof(program)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def install(keep=(program, filter_)):
        if prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or prctl(PR_SET_SECCOMP, FILTER, keep[1], 0, 0):
            os._exit(99)
    return install
