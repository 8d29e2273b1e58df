# SPDX-License-Identifier: Apache-2.0
"""Binaries for other processors, a big-endian one among them: Debian's cross compilers with the musl of that architecture."""
import fcntl
import os
import re
import shutil
import subprocess

from lib.vt import BUILD, ROOT, Skip, equal


def script(path, text):
    path.write_text(f'#!/bin/sh\n{text}\n')
    path.chmod(0o755)
    return path


def compiler(out, name, debian):
    """A cc for musl on that machine: Debian's cross compiler, and the specs of Debian's musl-dev with their paths set right."""
    musl, gcc = BUILD / f'cache/musl-{debian}/usr', f'{name}-linux-gnu-gcc'
    if not shutil.which(gcc):
        raise Skip(f'no {gcc}')
    if not musl.exists():
        raise Skip(f'no musl for {debian} in the cache: run tests/deps')
    specs = (musl / f'lib/{name}-linux-musl/musl-gcc.specs').read_text()
    (out / 'specs').write_text(re.sub(rf'/usr/(include|lib)/{name}-linux-musl', rf'{musl}/\1/{name}-linux-musl', specs))
    return script(out / 'cc', f'exec {gcc} -specs {out}/specs "$@"')


def build(name, debian):
    """A directory with cc, and in out/ what make built with it for that machine."""
    out = BUILD / f'cross-{name}'
    out.mkdir(exist_ok=True)
    env = {k: v for k, v in os.environ.items() if not re.match(r'MAKE|MFLAGS|CC$|CFLAGS|LDFLAGS|KCONFIG', k)}
    with open(out / 'lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = subprocess.run(['make', '-s', f'O={out}/out', f'CC={compiler(out, name, debian)}', f'CROSS_COMPILE={name}-linux-gnu-',
                               'KCONFIG_CONFIG=/dev/null'], cwd=ROOT, env=env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    equal((made.returncode, made.stdout), (0, ''), 'make')
    return out
