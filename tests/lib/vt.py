# SPDX-License-Identifier: Apache-2.0
"""What the tests in Python share: cases, processes under test, waiting.

    @case
    def it_works(t): ...            # prints `ok 1 - it-works`

    @case(table=[('one', 1), ('two', 2)])
    def it_counts(t, n): ...        # prints `ok 2 - it-counts/one`, `ok 3 - it-counts/two`

    if __name__ == '__main__':
        main()

t is a Test: a directory with a short path, random numbers from the seed, and an end for all that the case started. Arguments of the
program choose cases by a part of their names; SEED repeats a run, and FIRST ends it at the first case that fails."""
import atexit
import contextlib
import fcntl
import functools
import os
import pathlib
import random
import re
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
import traceback

from lib import objects, pool, tap
from lib.objects import BUILD, ROOT

VIOS = BUILD / 'vios'
GUEST, HOST = 'vios-proxy-guest', 'vios-proxy-host'
LEVELS = 'FATAL ALERT ERROR WARN NOTICE INFO DEBUG'.split()
DEADLINE = 40        # seconds; long after a condition should have come true: ends a hung test, decides nothing else
CASE_DEADLINE = 240  # of a whole case, also beside other work

SEED = os.environ.get('SEED') or str(random.SystemRandom().randrange(10**9))
cases = []


class Skip(Exception):
    """The case cannot run here; the text says why."""


class Late(AssertionError):
    """A condition did not come true."""


def case(function=None, table=None, deadline=CASE_DEADLINE):
    def register(fn):
        name = fn.__name__.replace('_', '-')
        for row in table or [()]:
            cases.append((f'{name}/{row[0]}' if row else name, fn, row[1:], max(deadline, CASE_DEADLINE)))
        return fn
    return register(function) if function else register


def wait_until(condition, what='', timeout=DEADLINE):
    """Waits until condition() is true, and returns its value."""
    end = time.monotonic() + timeout
    pause = 0.001
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Late(f'waited {timeout} s for {what or "a condition"}')
        time.sleep(pause)  # between two looks at the condition
        pause = min(pause * 1.5, 0.05)


def equal(got, wanted, what='value'):
    assert got == wanted, f'{what}: {shorten(got)}, wanted {shorten(wanted)}'


def shorten(value):
    text = repr(value)
    return text if len(text) < 200 else f'{text[:90]}...{text[-90:]} ({len(value)})'


def free_port():
    """A port that is free now, outside the range from which the kernel gives ports to clients."""
    low = int(pathlib.Path('/proc/sys/net/ipv4/ip_local_port_range').read_text().split()[0])
    while True:
        port = random.SystemRandom().randrange(10000, max(low, 20000))
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(('127.0.0.1', port))
            return port


@functools.cache  # as make looks at everything again
def variant(name, **symbols):
    """The binary built with these Kconfig values, the others at their defaults."""
    out = BUILD / f'test-{name}'
    out.mkdir(parents=True, exist_ok=True)
    config = out / 'variant.config'
    text = ''.join(f'CONFIG_{k}={v}\n' for k, v in symbols.items())
    env = {k: v for k, v in objects.environment().items() if k not in ('MAKEFLAGS', 'MFLAGS', 'MAKELEVEL', 'MAKEOVERRIDES')}
    with open(out / 'lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not config.exists() or config.read_text() != text:
            config.write_text(text)
        made = subprocess.run(['make', '-s', f'O={out}', f'KCONFIG_CONFIG={config}'], cwd=ROOT, env=env,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert made.returncode == 0, f'make {name}: {made.stdout}'
    return out / 'vios'


def arrived(fd):
    """Bytes of a pipe or socket that can be read."""
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)


class Proc:
    """A program under test; its stderr is collected line by line."""

    def __init__(self, argv, **options):
        self.read, self.changed = [], threading.Condition()
        self.popen = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
        self.pid = self.popen.pid
        self.reader = threading.Thread(target=self._collect, daemon=True)
        self.reader.start()

    def _collect(self):
        """Under the lock the pipe is read and the lines are added: who has the lock and sees an empty pipe has every line."""
        pipe, rest, data = select.poll(), b'', b'more'
        pipe.register(self.popen.stderr, select.POLLIN)
        while data:
            pipe.poll()
            with self.changed:
                data = os.read(self.popen.stderr.fileno(), 65536)
                *lines, rest = (rest + data).split(b'\n')
                if rest and not data:
                    lines.append(rest)
                self.read += [line.decode(errors='backslashreplace') for line in lines]
                if not data:
                    self.popen.stderr.close()
                self.changed.notify_all()

    @property
    def lines(self):
        """All that the program has written until now."""
        with self.changed:
            self.changed.wait_for(lambda: self.popen.stderr.closed or not arrived(self.popen.stderr), DEADLINE)
            return list(self.read)

    @property
    def log(self):
        return '\n'.join(self.lines)

    def count(self, pattern):
        return sum(bool(re.search(pattern, line)) for line in self.lines)

    def wait_log(self, pattern, times=1, timeout=DEADLINE):
        """The line that is the given one of those which match."""
        def found():
            return [line for line in self.read if re.search(pattern, line)]
        with self.changed:
            self.changed.wait_for(lambda: len(found()) >= times or not self.reader.is_alive(), timeout)
        assert len(found()) >= times, f'log has no {pattern!r} ({times} times): {self.log}'
        return found()[times - 1]

    def wait(self, timeout=DEADLINE):
        try:
            status = self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Late(f'process still runs after {timeout} s: {self.log}') from None
        self.reader.join(DEADLINE)
        return status

    def send(self, number):
        self.popen.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """Ends it in order; the exit status."""
        self.send(number)
        return self.wait()

    def kill(self):
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()
        self.reader.join(DEADLINE)

    @property
    def running(self):
        return self.popen.poll() is None

    def fds(self):
        """Its descriptors while it sleeps: a turn of its loop has some more open for a moment."""
        def asleep():
            status = pathlib.Path(f'/proc/{self.pid}/status').read_text()
            return re.search(r'^State:\s+[ST]', status, re.M) and re.findall(r'ctxt_switches:.*', status)

        def count():
            before = asleep()
            fds = before and len(os.listdir(f'/proc/{self.pid}/fd'))
            return fds if before and before == asleep() else None
        return wait_until(count, 'a process that sleeps')

    def starve(self):
        """It can open no descriptor more. Returns what ends that."""
        used = {int(fd) for fd in os.listdir(f'/proc/{self.pid}/fd')}
        before = resource.prlimit(self.pid, resource.RLIMIT_NOFILE)
        lowest = min(set(range(len(used) + 1)) - used)
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (lowest, before[1]))
        return lambda: resource.prlimit(self.pid, resource.RLIMIT_NOFILE, before)

    def number(self, file, key):
        return int(re.search(rf'^{key}:\s+(\d+)', pathlib.Path(f'/proc/{self.pid}/{file}').read_text(), re.M)[1])

    def ran(self):
        """How long, and how often: the same as long as it sleeps. (Who never sleeps is not woken up either.)"""
        return pathlib.Path(f'/proc/{self.pid}/schedstat').read_text()

    def wakeups(self):
        return self.number('status', 'voluntary_ctxt_switches')

    def pss(self):
        """Proportional set size in KiB."""
        return self.number('smaps_rollup', 'Pss')

    def cpu(self):
        """Processor time in seconds."""
        fields = pathlib.Path(f'/proc/{self.pid}/stat').read_text().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def table(self):
        """The lines of the status table that SIGUSR1 asks for, the totals last."""
        start, before = len(self.lines), self.count('NOTICE: total')
        self.send(signal.SIGUSR1)
        self.wait_log('NOTICE: total', before + 1)
        return [line for line in self.lines[start:] if ': NOTICE: ' in line]


def quiescent(*procs, window=0.4):
    """Waits until these processes sleep, without a wake-up within the window: what was under way is over."""
    def asleep():
        before = [p.ran() for p in procs]
        time.sleep(window)  # the window of the measurement
        return before == [p.ran() for p in procs]
    wait_until(asleep, 'a process that sleeps')


class Test:
    """One case's surroundings."""

    def __init__(self, name):
        self.name, self.rng, self.stack, self.procs = name, random.Random(f'{SEED} {name}'), contextlib.ExitStack(), []
        self.binary = VIOS
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix='vt', dir='/tmp'))
        if not os.environ.get('KEEP'):
            self.stack.callback(shutil.rmtree, self.dir, ignore_errors=True)

    def defer(self, function, *args):
        self.stack.callback(function, *args)

    def sub(self, name):
        path = self.dir / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def run(self, *argv, **options):
        """Starts a program."""
        proc = Proc(argv, **options)
        self.procs.append(proc)
        self.defer(proc.kill)
        return proc

    def applet(self, name, *args, under=(), **options):
        """under: words before its command line."""
        return self.run(*under, self.binary, name, *args, **options)

    def own_binary(self):
        """From here on a copy of the binary: of pages that processes of other tests share, only a part would count as a process's memory."""
        self.binary = pathlib.Path(shutil.copy(self.binary, self.dir / 'vios'))

    def as_nobody(self):
        """For start options: a user whom modes stop. Makes a copy of the binary that this user can run."""
        if os.geteuid():
            return {}
        self.dir.chmod(0o755)
        self.own_binary()
        return {'user': 65534, 'group': 65534, 'extra_groups': []}

    def ready(self, name, *args, **options):
        """Starts an applet, and waits until it says that it is ready."""
        r, w = os.pipe()
        try:
            proc = self.applet(name, '-f', w, *args, pass_fds=(w,), **options)
        finally:
            os.close(w)
        with os.fdopen(r, 'rb') as pipe:
            if pipe.read() != b'\n':
                raise AssertionError(f'{name} did not get ready: exit {proc.wait()}: {proc.log}')
        return proc

    def guest(self, *options, directory=None, port=None, level='INFO', **more):
        """Starts vios-proxy-guest on a free port; proc.port is where it listens."""
        port = port or free_port()
        proc = self.ready(GUEST, *options, directory or self.sub('g'), port, level, **more)
        proc.port = port
        return proc

    def host(self, port, *options, directory=None, level='INFO', **more):
        """Starts vios-proxy-host for the service at this port."""
        return self.ready(HOST, *options, directory or self.sub('h'), port, level, **more)

    def show(self):
        for proc in self.procs:
            for line in proc.lines[-30:]:
                print('#  ', line[:300], file=sys.stderr)


@contextlib.contextmanager
def known_as(name):
    """This process has another name, in /proc."""
    comm = pathlib.Path('/proc/self/comm')
    before = comm.read_text()
    comm.write_text(name)
    try:
        yield
    finally:
        comm.write_text(before)


def expired(*_):
    raise Late('the case takes too long')


def reached(name):
    """For tests/mutants: what the programs of this case reach goes below the directory REACH; returns what notes its time."""
    if 'REACH' not in os.environ:
        return lambda: None
    path, began = pathlib.Path(os.environ['REACH']) / pathlib.Path(sys.argv[0]).stem / name.replace('/', '|'), time.monotonic()
    path.mkdir(parents=True)
    path.chmod(0o777)
    os.environ['REACHED'] = str(path)
    return lambda: (path / 'seconds').write_text(f'{time.monotonic() - began}')


def run(name, function, args, deadline):
    """One case: the kind of its result, its name, and why."""
    note_time = reached(name)
    t = Test(name)
    signal.alarm(deadline)
    try:
        with t.stack:
            try:
                function(t, *args)
            except Skip:
                raise
            except BaseException:
                signal.alarm(0)
                for line in traceback.format_exc().splitlines():
                    print('# ', line[:500], file=sys.stderr)
                t.show()
                raise
            finally:
                signal.alarm(0)
    except Skip as why:
        return 'skip', name, ' '.join(str(why).split())
    except Exception as why:
        text = ' '.join(f'{type(why).__name__} {why}'.split())
        return 'not ok', name, text[:300]
    note_time()
    return 'ok', name, ''


def results(chosen):
    """What run() returns for each of these cases, as they end."""
    if not pool.SLOTS or min(pool.workers, len(chosen)) < 2:
        for c in chosen:
            with pool.slot(pool.busy):
                result = run(*c)
            yield result
        return
    for number, result, text in pool.run(len(chosen), lambda number: run(*chosen[number])):
        tap.show(text.decode(errors='backslashreplace'))
        yield result or ('not ok', chosen[number][0], 'its process died')


@atexit.register
def show_processor_time():
    """What the file used, with its guests: so it is registered before them, and called after them."""
    if cases:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        tap.show(f'# processor: {sum(u.ru_utime + u.ru_stime for u in used):.0f} s\n')


def main():
    wanted = sys.argv[1:]
    os.environ.pop('SLOTS', None)  # not for tests that a test runs
    signal.signal(signal.SIGALRM, expired)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has it ignored, and programs inherit that
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup, the same
    chosen = [c for c in cases if not wanted or any(w in c[0] for w in wanted)]
    tap.show(f'# SEED={SEED}\n')
    missing = [w for w in wanted if not any(w in c[0] for c in cases)]
    tap.plan(len(chosen) + len(missing))
    for w in missing:
        tap.result('not ok', w, 'no such case')
    good = not missing
    for result in results(chosen):
        tap.result(*result)
        good &= result[0] != 'not ok'
        if not good and 'FIRST' in os.environ:
            break
    sys.exit(not good)
