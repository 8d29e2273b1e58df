# SPDX-License-Identifier: Apache-2.0
"""Builds programs for this machine, not for musl, of applets/lib and of test code: for the tests of parts and for fuzzing."""
import concurrent.futures
import fcntl
import os
import pathlib
import random
import shutil
import re
import subprocess
import threading

from lib import pool, tap
from lib.objects import BUILD, ROOT, environment

SEED = int(os.environ.get('SEED') or random.SystemRandom().randrange(10**6))
JOBS = len(os.sched_getaffinity(0))

# What tests/unit/sim.c stands in for.
WRAP = [f'-Wl,--wrap={name}' for name in (
    'read recv readv write writev close shutdown sys_socket connect sys_accept setsockopt getsockopt file_mode file_look sys_open file_open_port getrandom syscall '
    'sys_select sys_signalfd sigprocmask net_listen net_raise_lo net_unsent').split()]


def show(text):
    """Passes on what a program in C printed: `ok NAME`, `not ok NAME: why`, other lines."""
    for line in text.splitlines():
        found = re.fullmatch(r'(ok|not ok) (.*)', line)
        if found:
            tap.result(*found.groups())
        else:
            tap.show(f'{"" if line.startswith("#") else "# "}{line}\n')


def run(program, *args):
    """Passes on the program's lines; true if it is satisfied."""
    env = dict(os.environ, SEED=str(SEED), UBSAN_OPTIONS='print_stacktrace=1')
    done = subprocess.run([program, *map(str, args)], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = done.stdout.decode(errors='backslashreplace')
    name = pathlib.Path(program).name
    show(text)
    if done.returncode and 'not ok ' not in text:
        show(f'not ok {name}: exit status {done.returncode}\n')
    return done.returncode == 0


def find(*names):
    return next((n for n in names if shutil.which(n)), None)


def can(cc, flags):
    """Whether the compiler and what it links with are there."""
    out = BUILD / 'tests'
    out.mkdir(parents=True, exist_ok=True)
    program = 'int LLVMFuzzerTestOneInput(const unsigned char *p, unsigned long n) { return p && n > 9; }\n'
    if not any('fuzzer' in f for f in flags):
        program = 'int main(void) { return 0; }\n'
    done = subprocess.run([cc, *flags, '-x', 'c', '-', '-o', out / f'try-{cc}-{os.getpid()}'], input=program.encode(),
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (out / f'try-{cc}-{os.getpid()}').unlink(missing_ok=True)
    return done.returncode == 0


def parallel(function, items):
    """Each of these keeps a processor busy."""
    def do(item):
        with pool.slot(True):
            return function(item)
    with concurrent.futures.ThreadPoolExecutor(JOBS) as threads:
        return list(threads.map(do, items))


# All of the rooms that the proxies need, but what surrounds them (names, memory): the simulation has its own of these.
SURROUNDINGS = 'memory sysfs dirwatch directory root scan'.split()
PARTS = sorted(p for room in ('base', 'wire', 'relay') for p in (ROOT / 'applets/lib' / room).glob('*.c') if p.stem not in SURROUNDINGS)
HEADERS = [*(ROOT / 'applets/lib').glob('*/*.h'), *(ROOT / 'tests/unit').glob('*.h')]


class Lib:
    """The parts in one archive, with these Kconfig values. build: else there is only what compiling them needs. An object is kept while
    it is newer than its source, than all headers, and made by the same command."""

    def __init__(self, name, cc, flags, config, build=True):
        self.dir = BUILD / 'tests' / name
        self.dir.mkdir(parents=True, exist_ok=True)
        lines = (f'# CONFIG_{k} is not set\n' if v == 'n' else f'CONFIG_{k}={v}\n' for k, v in {'FEATURE_SANDBOX': 'n', **config}.items())
        (self.dir / 'config').write_text(''.join(lines))
        self.header = self.dir / 'config.h'
        subprocess.run([os.environ.get('AWK', 'awk'), '-f', 'applets/kbuild/kconfig.awk', '-v', 'mode=build',
                        '-v', f'header={self.header}', '-v', f'makefile={self.dir}/config.mk', 'Kconfig', self.dir / 'config'],
                       cwd=ROOT, check=True)
        self.command = [cc, '-std=c11', '-D_GNU_SOURCE', '-DVIOS_VERSION="test"', '-include', str(self.header), '-Iapplets/lib', '-Wall', '-Wextra',
                        *flags]
        if not build:
            return
        objects = [self.dir / f'{part.stem}.o' for part in PARTS]
        for part, obj in zip(PARTS, objects):
            self.compile(part, obj)
        self.archive = self.dir / 'lib.a'
        self.archive.unlink(missing_ok=True)
        subprocess.run(['ar', 'rcs', self.archive, *objects], check=True)
        self.made, self.lock = set(), threading.Lock()

    def objects(self, parts, more):
        """Parts of applets/lib, or applets, compiled with more options than those of the archive."""
        made = [self.dir / f'{"-".join(part.split("/") + [m.strip("-").replace("/", "-") for m in more])}.o' for part in parts]
        with self.lock:
            for part, obj in zip(parts, made):
                if obj not in self.made:
                    self.compile(ROOT / f'applets/{"lib/" if "/" in part else ""}{part}.c', obj, *more)
                    self.made.add(obj)
        return made

    def compile(self, source, obj, *more):
        command = [*self.command, *more, '-c', str(source), '-o', str(obj)]
        text = f'{command}\n{self.header.read_text()}'
        made = obj.with_suffix('.made')
        if made.exists() and made.read_text() == text and obj.stat().st_mtime > max(p.stat().st_mtime for p in [source, *HEADERS]):
            return
        made.unlink(missing_ok=True)
        subprocess.run(command, cwd=ROOT, env=environment(), check=True)
        made.write_text(text)

    def program(self, name, sources, more=()):
        out = self.dir / name
        if name not in self.made:
            files = []
            for source in sources:
                files.append(ROOT / 'tests' / source)
                if source.startswith('unit/'):  # the others include sources
                    files[-1] = self.dir / f'{name}-{pathlib.Path(source).stem}.o'
                    self.compile(ROOT / 'tests' / source, files[-1])
            subprocess.run([*self.command, '-o', out, *files, *more, self.archive], cwd=ROOT, check=True)
            self.made.add(name)
        return out


def diagnosis():
    """vios-list and vios-probe for this machine, with sanitizers: what reads or writes past its own ends the program. None: no compiler."""
    cc, flags = find('gcc', 'cc', 'clang'), ['-g', '-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined']
    if not cc or not can(cc, flags):
        return None
    lib = Lib('diagnosis', cc, flags, {'VIOS_CONNECT': 'n', 'VIOS_PROXY_GUEST': 'n', 'VIOS_PROXY_HOST': 'n'}, build=False)
    lib.command.append('-Iapplets')
    sources = [ROOT / 'vios.c', *(ROOT / f'applets/vios-{name}.c' for name in ('list', 'probe')),
               *(p for room in ('base', 'wire', 'diagnose') for p in sorted((ROOT / 'applets/lib' / room).glob('*.c')))]
    objects = [lib.dir / f'{source.stem}.o' for source in sources]
    with open(lib.dir / 'lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for source, obj in zip(sources, objects):
            lib.compile(source, obj)
        made = lib.dir / 'vios'  # as others run it, it is put in place whole, and only once
        if not made.exists() or made.stat().st_mtime < max(obj.stat().st_mtime for obj in objects):
            subprocess.run([*lib.command, '-o', f'{made}.new', *objects], cwd=ROOT, check=True)
            os.replace(f'{made}.new', made)
    return made
