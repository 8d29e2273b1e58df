# SPDX-License-Identifier: Apache-2.0
"""Faults of the kernel, by strace's injection: which errors a call can give, a process that meets them, and what came of it.

strace injects an error in place of the call, so the call does nothing. So there is no injection into close() and shutdown(), which do
their work whatever they say; and an error that says that something else has happened is made true by the test (GONE, TOLD)."""
import collections
import os
import re
import shutil
import signal

from lib.vt import ROOT, Skip

MEMORY, FILES = 'ENOMEM', 'EMFILE ENFILE'
LOOKS = f'EINTR EACCES ENOENT ENOTDIR ELOOP ENAMETOOLONG EIO {MEMORY}'
OPENS = f'{LOOKS} {FILES} ENXIO EBUSY ENODEV'
READS = f'EINTR EAGAIN EIO ECONNRESET ETIMEDOUT {MEMORY}'
WRITES = f'EINTR EAGAIN EIO ECONNRESET EPIPE ENOBUFS {MEMORY}'
SENDS = f'EINTR EAGAIN ECONNREFUSED ECONNRESET EPIPE ENOBUFS {MEMORY}'
# What each call can say, of what its page lists; nothing: it cannot fail, but by what the program itself did wrong.
ERRORS = {
    'accept4': f'EINTR EAGAIN ECONNABORTED EPROTO EPERM ENOBUFS {FILES} {MEMORY}',
    'access': LOOKS, 'bind': f'EADDRINUSE EACCES EADDRNOTAVAIL EROFS {MEMORY}', 'chmod': 'EPERM EROFS EIO', 'clock_gettime': '', 'close': '',
    'connect': f'EAGAIN EACCES ECONNREFUSED ECONNRESET ENETUNREACH ENOENT EPERM ETIMEDOUT EADDRNOTAVAIL {MEMORY}',
    'exit_group': '', 'fcntl': f'EPERM {MEMORY}', 'getdents64': f'EIO ENOENT {MEMORY}', 'geteuid': '', 'getpid': '',
    'getrandom': 'EINTR EAGAIN ENOSYS', 'getsockname': f'ENOBUFS {MEMORY}', 'getsockopt': f'ENOPROTOOPT {MEMORY}', 'getuid': '',
    'inotify_add_watch': f'ENOSPC EACCES ENOENT ENOTDIR ELOOP {MEMORY}', 'inotify_init1': f'{FILES} {MEMORY}', 'inotify_rm_watch': 'EINVAL',
    'ioctl': f'EPERM {MEMORY}', 'listen': 'EADDRINUSE', 'lseek': 'EINVAL', 'madvise': f'EAGAIN EINVAL {MEMORY}',
    'mmap': f'EAGAIN EPERM {MEMORY}', 'openat': OPENS, 'openat2': f'{OPENS} EAGAIN EXDEV ENOSYS', 'prctl': 'EINVAL', 'prlimit64': 'EPERM',
    'pselect6': f'EINTR {MEMORY}', 'read': READS, 'readlink': LOOKS, 'readv': READS, 'recvfrom': READS,
    'recvmsg': f'EINTR EAGAIN ECONNRESET {MEMORY}', 'rt_sigaction': '', 'rt_sigprocmask': '', 'sendmsg': SENDS, 'sendto': SENDS,
    'setsockopt': f'ENOPROTOOPT {MEMORY}', 'shutdown': '', 'signalfd4': f'{FILES} {MEMORY}', 'statx': LOOKS,
    'socket': f'EACCES EAFNOSUPPORT ENOBUFS {FILES} {MEMORY}', 'umask': '', 'unlink': 'EACCES EROFS EIO',
    'write': f'{WRITES} ENOSPC', 'writev': WRITES}
STARTING = {'execve', 'arch_prctl', 'set_tid_address', 'brk'}  # of the C library and the kernel, before main()
WHENS = '1', '2', '3', '1..3', '2+3', '1+'  # which of the calls fail; the last one: all
BRIEF = {'EINTR', 'EAGAIN'}  # never for ever
GONE = {'EPIPE', 'ECONNRESET'}  # for good, once it was said of a socket
TOLD = {'EACCES', 'ENOENT', 'ENOTDIR', 'ELOOP'}  # when a name's is over, there is an event
HITS = 12   # of a fault that lasts: then it has had its chance to spin
SPIN = 4000  # calls while one fault lasts, at most; an exchange takes about 100
SPIN_ALONE = 40000  # of one that looks at the files of each process


def strace(t, *words, **options):
    if not shutil.which('strace'):
        raise Skip('no strace')
    return t.run('strace', *words, **options)


def failing(call, error, when='1+'):
    """The words before a command line for which this call fails. The process is the command's own."""
    if not shutil.which('strace'):
        raise Skip('no strace')
    return ['strace', '-D', '-qqq', '-o', '/dev/null', '-e', f'trace={call}', '-e', f'inject={call}:error={error}:when={when}']


def calls_of(text):
    """How often each was made."""
    counts = collections.Counter(re.findall(r'^(?:\d+ +)?([a-z_]\w+)\(', text, re.M))
    return {call: n for call, n in counts.items() if call not in STARTING}


def plan(calls):
    """All (call, error, when)."""
    unknown = sorted(set(calls) - set(ERRORS))
    assert not unknown, f'calls whose errors are not known here: {unknown}'
    return [(call, error, when) for call in sorted(calls) for error in ERRORS[call].split() for when in whens(error)
            if int(when[0]) <= calls[call]]


def whens(error):
    if error in GONE:
        return [f'{when}+' for when in WHENS[:3]]
    return WHENS[:-1] if error in BRIEF else WHENS


def choose(t, faults, once, n):
    """ALL_FAULTS=1: all of them. Else those that once failed, and n at random."""
    if os.environ.get('ALL_FAULTS'):
        return faults
    again = [f for f in faults if f in once]
    return again + t.rng.sample([f for f in faults if f not in again], min(n, len(faults) - len(again)))


class Attack:
    """strace on a process that runs: this call fails, with this error, at these times."""

    def __init__(self, t, pid, call, error, when):
        self.out = t.dir / 'attack'
        self.proc = strace(t, '-o', self.out, '-p', pid, '-e', f'inject={call}:error={error}:when={when}')
        self.proc.wait_log('attached')

    def text(self):
        return self.out.read_text(errors='replace') if self.out.exists() else ''

    def lasts(self):
        """It may still show something."""
        return self.proc.running and self.text().count('(INJECTED)') < HITS

    def end(self):
        if self.proc.running:
            self.proc.send(signal.SIGINT)
        self.proc.wait()
        return Traced(self.text())


class Traced:
    """What a process did meanwhile: hits of the fault, and calls in all."""

    def __init__(self, text):
        lines = text.splitlines()
        self.injected = [line for line in lines if '(INJECTED)' in line]
        self.hits, self.calls = len(self.injected), len(lines)

    def is_of_log(self):
        """A message was hit: there may be none then."""
        return any(re.match(r'(\d+ +)?write\(2, ', line) for line in self.injected)


def documented(page):
    """The FATAL messages of a page, each as far as it is always the same."""
    text = (ROOT / f'applets/{page}').read_text().replace('\\&', '').replace('\\\n', '')
    if page == 'vios-proxy-host.1':
        text += (ROOT / 'applets/vios-proxy-guest.1').read_text().replace('\\&', '')
    items = re.findall(r'FATAL: ([^,\n]+)', text)
    return {re.split(r'[A-Z]{2,}|reason|\(', item)[0].strip(' :') for item in items} - {''}


def is_documented(lines, page):
    """One FATAL line, the last one, which the page has."""
    fatal = [line.partition('FATAL: ')[2] for line in lines if 'FATAL: ' in line]
    return len(fatal) == 1 and any(fatal[0].startswith(text) for text in documented(page))


class Table:
    """call x error: what came of it."""

    def __init__(self, what):
        self.what, self.rows, self.wrong, self.runs, self.most = what, collections.OrderedDict(), [], 0, 0

    def add(self, fault, outcome, wrong=None):
        self.runs += outcome != 'not called'
        self.rows.setdefault(fault[:2], collections.Counter())[outcome] += 1
        if wrong:
            self.wrong.append(f'{" ".join(fault)}: {outcome}: {wrong}')

    def show(self):
        for (call, error), outcomes in self.rows.items():
            print(f'# {call} {error}: ' + ', '.join(f'{name} x{n}' if n > 1 else name for name, n in outcomes.items()))
        for line in self.wrong:
            print(f'# WRONG {line}'[:400])
        print(f'# {self.what}: {len({c for c, _ in self.rows})} calls, {len(self.rows)} calls x errors, {self.runs} faults; '
              f'at most {self.most} system calls during one', flush=True)
        assert not self.wrong, f'{len(self.wrong)} of {self.runs}: {self.wrong[0][:300]}'
