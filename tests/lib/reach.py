# SPDX-License-Identifier: Apache-2.0
"""Which cases of the black-box files reach which lines of the sources, and how long each case takes. For tests/mutants.

The programs are built with reach.c beside them. Each case has a directory map/FILE/CASE: the file `seconds` if it passed, and one for
each binary that ran, with a byte for each address of its code."""
import bisect
import collections
import os
import pathlib
import re
import shutil
import subprocess

from lib.vt import BUILD, ROOT

REACH = BUILD / 'reach'


def collect(files, jobs):
    """Runs these files with binaries that note what they reach."""
    shutil.rmtree(REACH, ignore_errors=True)
    (REACH / 'map').mkdir(parents=True)
    (REACH / 'map').chmod(0o777)
    subprocess.run(['musl-gcc', '-O2', '-c', ROOT / 'tests/lib/reach.c', '-o', REACH / 'reach.o'], check=True)
    env = {**os.environ, 'CFLAGS': '-O0 -fsanitize-coverage=trace-pc', 'LDFLAGS': str(REACH / 'reach.o'), 'WERROR': '0',
           'BUILD': str(REACH / 'b'), 'REACH': str(REACH / 'map'), 'TEST_TIMEOUT': '1500'}
    subprocess.run(['make', '-s', f'O={REACH}/b'], cwd=ROOT, env=env, check=True)
    subprocess.run(['tests/run', f'-j{jobs}', *files], cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
    (REACH / 'complete').touch()


class Binary:
    """The blocks of a program: the offset of each in its code, and (source, line)."""

    def __init__(self, path):
        symbols = subprocess.run(['nm', path], stdout=subprocess.PIPE, text=True, check=True).stdout
        start = int(re.search(r'^(\w+) . __executable_start$', symbols, re.M)[1], 16)
        code = subprocess.run(['objdump', '-d', '--no-show-raw-insn', path], stdout=subprocess.PIPE, text=True, check=True).stdout
        after = [int(a, 16) for a in re.findall(r'<__sanitizer_cov_trace_pc>\n\s+(\w+):', code)]
        said = subprocess.run(['addr2line', '-e', path], input=''.join(f'{a - 1:#x}\n' for a in after), stdout=subprocess.PIPE, text=True, check=True).stdout
        found = [re.search(r'(applets/[\w/.-]+):(\d+)', line) for line in said.splitlines()]
        self.blocks = {a - start: (m[1], int(m[2])) for a, m in zip(after, found) if m}


class Reach:
    def __init__(self):
        self.seconds, self.cases, self.lines = {}, collections.defaultdict(set), collections.defaultdict(set)
        self.binaries = {}
        for directory in (REACH / 'map').glob('*/*'):
            if (directory / 'seconds').exists():  # it passes
                case = directory.parent.name, directory.name.replace('|', '/')
                self.seconds[case] = float((directory / 'seconds').read_text())
                for path in directory.glob('|*'):
                    self.add(case, self.binary(path.name.replace('|', '/')), path.read_bytes())
        for source, line in {where for b in self.binaries.values() for where in b.blocks.values()}:
            self.lines[source].add(line)
        self.lines = {source: sorted(lines) for source, lines in self.lines.items()}

    def binary(self, ran):
        path = pathlib.Path(f'{ran}_unstripped')
        path = path if path.exists() else REACH / 'b/vios_unstripped'  # a copy that a case made
        if path not in self.binaries:
            self.binaries[path] = Binary(path)
        return self.binaries[path]

    def add(self, case, binary, seen):
        for offset in (m.start() for m in re.finditer(b'\1', seen)):
            if offset in binary.blocks:
                self.cases[binary.blocks[offset]].add(case)

    def cases_of(self, source, number):
        """The cases that reach this line, the quickest first; number: from 1. Of a table: those that reach the file."""
        text, lines = (ROOT / source).read_text().splitlines(), self.lines.get(source, [])
        top = next((n for n in range(number, 0, -1) if re.match(r'[a-z].*', text[n - 1]) and not re.match(r'\w+:$', text[n - 1])), 1)
        near = bisect.bisect_right(lines, number) - 1
        if near >= 0 and lines[near] >= top and '=' not in text[top - 1].partition('(')[0]:
            found = self.cases[(source, lines[near])]
        else:
            found = set().union(*(self.cases[(source, line)] for line in lines))
        return sorted(found, key=lambda c: self.seconds[c])
