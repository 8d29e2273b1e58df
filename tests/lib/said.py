# SPDX-License-Identifier: Apache-2.0
"""Runs vios-list and vios-probe, and takes what they said apart."""
import json
import os
import signal
import subprocess

from lib import vt
from lib.vt import DEADLINE, equal

# A name as a host may give one. Neither this nor the JSON of it is UTF-8; in JSON each byte is one character.
ODD = b'a"b\\c\x01\x1b[31m\x7f\xc3\xbc\xff'
ODD_TEXT = 'a"b\\c??[31m?ü?'
ODD_JSON = ODD.decode('latin-1')


class Said:
    """status, out and err of a command that has ended; text is both."""

    def __init__(self, status, out, err=''):
        self.status, self.out, self.err, self.text = status, out, err, out + err

    def check(self, status, *texts):
        """It has this exit status, and all of these texts."""
        equal(self.status, status, f'exit status of: {self.text}')
        for text in texts:
            assert text in self.text, f'no {text!r} in: {self.text}'
        return self

    def json(self):
        return json.loads(self.out)

    def rows(self):
        """The table: {name: {heading: cell}}. Columns are where the headings are."""
        lines = self.out.splitlines()
        starts = [i for i, c in enumerate(lines[0]) if c != ' ' and (i == 0 or lines[0][i - 2:i] == '  ')]
        cells = [[line[a:b].strip() for a, b in zip(starts, [*starts[1:], None])] for line in lines]
        for line in lines[1:]:
            assert all(line[i - 2:i] == '  ' for i in starts[1:]), f'column too narrow: {line!r}'
        return {row[0]: dict(zip(cells[0], row)) for row in cells[1:]}


def vios(*argv, under=(), **options):
    """Runs an applet to its end. under: words before its command line."""
    return command(*under, vt.VIOS, *argv, **options)


def command(*argv, **options):
    """Runs a program to its end."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=DEADLINE, **options)
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


class Running:
    """An applet beside the test."""

    def __init__(self, t, *argv):
        self.popen = subprocess.Popen([vt.VIOS, *map(str, argv)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE)
        t.defer(self._kill)

    def _kill(self):
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.communicate()

    def signal(self, number=signal.SIGTERM):
        self.popen.send_signal(number)

    def line(self):
        """Its next line on stdout."""
        return self.popen.stdout.readline().decode()

    def end(self, *checks):
        """What it said, checked."""
        out, err = self.popen.communicate(timeout=DEADLINE)
        said = Said(self.popen.returncode, out.decode(), err.decode())
        return said.check(*checks) if checks else said


def unprivileged():
    """Options for vios() as a user who may not do much."""
    return {'user': 65534, 'group': 65534, 'extra_groups': []} if os.geteuid() == 0 else {}
