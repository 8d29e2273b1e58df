# SPDX-License-Identifier: Apache-2.0
"""The compilers in front of PATH keep what they compiled, see cached-cc: most objects of two configurations are the same."""
import contextlib
import functools
import hashlib
import os
import pathlib
import shutil
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = (ROOT / os.environ.get('BUILD', 'build')).resolve()
CACHED = pathlib.Path(__file__).parent / 'cached-cc'
A_DAY = 24 * 3600


@functools.cache
def compilers():
    """A directory of compilers that look into the directory of objects; and that, which is another one for other compilers."""
    found = {name: shutil.which(name) for name in ('musl-gcc', 'gcc', 'clang') if shutil.which(name)}
    said = [subprocess.run([path, '--version'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout for path in found.values()]
    top = BUILD / 'tests/objects' / hashlib.sha256(b''.join(said)).hexdigest()[:12]
    (top / 'bin').mkdir(parents=True, exist_ok=True)
    for name, path in found.items():
        script = top / f'bin/{name}'
        new = top / f'bin/{name}.{os.getpid()}'
        new.write_text(f'#!/bin/sh\nexec {CACHED} {path} "$@"\n')
        new.chmod(0o755)
        new.rename(script)
    for path in top.glob('*.o'):
        with contextlib.suppress(FileNotFoundError):  # one that was just made got its name
            if path.stat().st_mtime < time.time() - A_DAY:
                path.unlink()
    return top / 'bin', top


def environment():
    """The variables for a program that compiles."""
    path, top = compilers()
    return {**os.environ, 'PATH': f'{path}:{os.environ["PATH"]}', 'CACHED_OBJECTS': str(top)}
