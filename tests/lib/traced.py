# SPDX-License-Identifier: Apache-2.0
"""The system calls of a program under test."""
import pathlib
import shutil

from lib.vt import Skip, wait_until


def traced(t, proc, *options):
    """Has strace look at it from now on; the path of what that writes. end(): until it has written all."""
    if not shutil.which('strace'):
        raise Skip('no strace')
    out = t.dir / f'strace{len(t.procs)}'
    tracer = t.run('strace', '-qq', '-o', out, *options, '-p', proc.pid)
    wait_until(lambda: f'TracerPid:\t{tracer.pid}\n' in pathlib.Path(f'/proc/{proc.pid}/status').read_text() or not tracer.running, 'strace')
    if not tracer.running:
        raise Skip(f'strace: {tracer.log}')

    def end():
        tracer.stop()
        return out.read_text()
    return end
