# SPDX-License-Identifier: Apache-2.0
"""What the tests of the build share: make in the tree or in a copy of it, and Kconfig's symbols."""
import os
import pathlib
import re
import shutil
import subprocess

from lib import objects, pool
from lib.vt import ROOT

pool.workers, pool.busy = 2, True
JOBS = f'-j{1 if pool.SLOTS else len(os.sched_getaffinity(0))}'


def make(*args, cwd=ROOT, path=None, status=0, **env):
    """What make says; its exit status must be as given. path: the PATH, with the tools that make is to find, None for compilers that
    keep what they compiled."""
    clean = {k: v for k, v in objects.environment().items() if not re.match(r'MAKE|MFLAGS|CC$|CFLAGS$|LDFLAGS$|CROSS_COMPILE$|KCONFIG', k)}
    clean.update(env, **({'PATH': str(path)} if path else {}))
    done = subprocess.run([shutil.which('make'), *map(str, args)], cwd=cwd, env=clean, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert (done.returncode == 0) == (status == 0), f'make {args} ends with {done.returncode}: {done.stdout}'
    return done.stdout


def build(out, config='', *args, **more):
    """Builds into the directory out with this .config; out/vios."""
    out.mkdir(parents=True, exist_ok=True)
    (out / 'test.config').write_text(config)
    make('-s', JOBS, f'O={out}', f'KCONFIG_CONFIG={out}/test.config', *args, **more)
    return out / 'vios'


def copy_tree(to):
    """A copy of the tree without what is built."""
    def built(directory, names):
        return [n for n in names if n in ('.git', '.config', '__pycache__') or n.startswith('build') and pathlib.Path(directory) == ROOT]
    shutil.copytree(ROOT, to, ignore=built, symlinks=True)
    return to


def tools(directory, *names):
    """A directory that holds just these programs, for a PATH."""
    directory.mkdir()
    for name in names:
        (directory / name).symlink_to(shutil.which(name))
    return directory


def stanzas():
    """Kconfig's symbols: {name: its stanza's text}."""
    parts = re.split(r'^config (\w+)\n', (ROOT / 'Kconfig').read_text(), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def symbols(kind):
    """The names of the symbols of this kind: bool, int, string."""
    return [name for name, text in stanzas().items() if re.match(rf'\s+{kind}\b', text)]


def applets():
    """The names of all applets."""
    return ['vios-' + s[5:].lower().replace('_', '-') for s in symbols('bool') if s.startswith('VIOS_')]


def only(*on):
    """A .config with just these bools on."""
    return ''.join(f'CONFIG_{s}=y\n' if s in on else f'# CONFIG_{s} is not set\n' for s in symbols('bool'))
