# SPDX-License-Identifier: Apache-2.0
"""A real guest: boots QEMU (emulated, so that it runs anywhere) with virtio-serial ports, and runs commands in it.

    g = Guest(ports=3)                    # boots, about 2 s; close() or `with` ends it
    status, output = g.run('ls -l /dev/virtio-ports')
    job = g.spawn('exec /bin/vios-proxy-guest -f 1')
    job.wait_output(rb'^\n')
    g.unplug(1); g.plug(1); g.qmp('query-chardev'); g.sockets[1]

Its channels are the sockets in g.root/NAME/, so that g.root is a guest_directory for vios-proxy-host. What is on its console is in
g.console. Commands go over a second serial line, not over virtio, to tests/guest/agent.c."""
import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading
from signal import SIGKILL, SIGTERM

from lib import pool, vt
from lib.vt import BUILD, DEADLINE, ROOT, VIOS, Late, wait_until
from lib.wire import ANY, Decoder, FakeHost

BOOT_DEADLINE = 150
KEEP_OPEN = 'sleep 1000'  # keeps what it has open until the test kills it: nothing waits for its end
READY = b'ready 0 0\n'
# The second half is what the kernel does at its start for nobody here: without it a boot takes less processor time.
WORDS = ('quiet panic=-1 mitigations=off tsc=reliable no_timer_check nokaslr '
         'cryptomgr.notests initcall_blacklist=crypto_kdf108_init,init_kprobe_trace,load_system_certificate_list')


def compile_c(source):
    """A static program for tests, on this host and in guests, built when it is older than its source, or than a header beside that."""
    source = ROOT / source
    changed = max(path.stat().st_mtime for path in (source, *source.parent.glob('*.h')))
    program = BUILD / 'tests' / source.stem
    program.parent.mkdir(parents=True, exist_ok=True)
    with open(f'{program}.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists() or program.stat().st_mtime < changed:
            cc = subprocess.run([ROOT / 'applets/kbuild/find-cc'], stdout=subprocess.PIPE, text=True).stdout.split()
            subprocess.run([*cc, '-std=gnu11', '-O2', '-Wall', '-Wextra', '-static', '-o', f'{program}.new', source], check=True)
            os.replace(f'{program}.new', program)
    return program


def peer():
    return compile_c('tests/lib/peer.c')


class QMPError(AssertionError):
    """QEMU refused a command, or has gone."""


class Job:
    """A command in the guest. output is what it has written so far, both stdout and stderr."""

    def __init__(self, guest, number, command):
        self.guest, self.number, self.command = guest, number, command
        self.output, self.status, self.changed = b'', None, threading.Condition()

    @property
    def text(self):
        return self.output.decode(errors='backslashreplace')

    @property
    def running(self):
        return self.status is None and self.guest.alive

    def _until(self, condition, what, timeout):
        with self.changed:
            self.changed.wait_for(lambda: condition() or not self.running, timeout)
            if not condition():
                how = 'ended before' if self.status is not None else 'no' if self.guest.alive else 'the guest died before'
                raise Late(f'guest: {self.command[:200]}: {how} {what}: {self.text[-2000:]}')

    def wait(self, timeout=DEADLINE):
        """Its exit status; 256 + the signal that ended it."""
        self._until(lambda: self.status is not None, f'end within {timeout} s', timeout)
        return self.status

    def wait_output(self, pattern, times=1, timeout=DEADLINE):
        """The match (the one of that number) of a pattern, where ^ and $ are those of a line, in the output."""
        def found():
            return list(re.finditer(pattern, self.output, re.M))
        self._until(lambda: len(found()) >= times, f'{pattern!r} ({times} times)', timeout)
        return found()[times - 1]

    def signal(self, number):
        if self.running:
            self.guest.send(b'kill %d %d\n' % (self.number, number))

    def stop(self, number=SIGTERM):
        self.signal(number)
        return self.wait()

    def kill(self):
        return self.stop(SIGKILL)


class Guest:
    """ports: how many; names: of the ports (default vios.0...); links: whether there are /dev/virtio-ports/NAME, as with udev;
    devices: more arguments for QEMU; bus: the device of the ports, with its properties; files: {path in the guest: file on the host},
    beside those of tests/guest/build."""

    def __init__(self, ports=3, names=None, links=True, devices=(), files=None, binary=VIOS, name='guest', root=None,
                 memory=384, bus='virtio-serial'):
        self.stack = contextlib.ExitStack()
        self.jobs, self.next, self.alive, self.moving, self.lock, self.qemus = {}, 1, True, False, threading.Lock(), []
        self.ends = ()
        self.names = list(names or (f'vios.{i}' for i in range(ports)))
        try:
            self.dir = pathlib.Path(tempfile.mkdtemp(prefix='vg', dir='/tmp'))
            self.stack.callback(shutil.rmtree, self.dir, ignore_errors=True)
            self.root = pathlib.Path(root or self.dir / 'h')
            (self.root / name).mkdir(parents=True, exist_ok=True)
            self.sockets = [self.root / name / (n if n.endswith('.in') else f'{i}.sock') for i, n in enumerate(self.names)]
            self._build(binary, files or {})
            self._start(links, devices, memory, bus)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- commands in the guest ----

    def run(self, command, timeout=DEADLINE):
        """Runs a shell command to its end: its status, and what it wrote."""
        job = self.spawn(command)
        try:
            return job.wait(timeout), job.text
        finally:
            job.signal(SIGKILL)

    def check(self, command, timeout=DEADLINE):
        """What the command wrote; it must succeed."""
        status, text = self.run(command, timeout)
        assert status == 0, f'guest: {command[:200]}: status {status}: {text[-2000:]}'
        return text

    def spawn(self, command):
        """Starts a shell command. With `exec` in front a signal reaches the program itself."""
        data = command.encode()
        with self.lock:
            job = self.jobs[self.next] = Job(self, self.next, command)
            self.next += 1
        self.send(b'run %d %d\n%s' % (job.number, len(data), data))
        return job

    def send(self, data):
        with self.lock:
            self.control.sendall(data)

    # ---- its ports ----

    def plug(self, i, name=None):
        """Adds port i again, and waits until the guest has it. vios-protocol(7), socket fact 9."""
        self.names[i] = name or self.names[i]
        port = {'driver': 'virtserialport', 'bus': 'vs.0', 'id': f'port{i}', 'chardev': f'channel{i}', 'name': self.names[i], 'nr': i + 1}

        def add():  # QEMU lets go of an unplugged port's chardev a little later
            with contextlib.suppress(QMPError):
                self.qmp('device_add', **port)
                return True
        wait_until(add, f'QEMU to add {port}')
        self.wait_port(i)

    def unplug(self, i):
        """Takes port i away, and waits until the guest has noticed."""
        self.qmp('device_del', id=f'port{i}')
        self.wait_port(i, False)

    def wait_port(self, i, there=True):
        test = f'[ -L /dev/virtio-ports/{self.names[i]} ]' if self.links else f'grep -qsx {self.names[i]} /sys/class/virtio-ports/*/name'
        self.check(f'{"until" if there else "while"} {test}; do usleep 10000; done')

    def qmp(self, command, **arguments):
        """What QEMU returns for the command."""
        with self.lock:
            return self.ask(self.monitor, command, **arguments)

    def ask(self, monitor, command, **arguments):
        try:
            monitor.write(json.dumps({'execute': command, 'arguments': arguments}).encode() + b'\n')
            monitor.flush()
        except OSError:
            raise self.gone(command) from None
        while True:
            line = monitor.readline()
            if not line:
                raise self.gone(command)
            reply = json.loads(line)
            if 'error' in reply:
                raise QMPError(f'{command}: {reply["error"]["desc"]}')
            if 'return' in reply:
                return reply['return']

    def state(self):
        """What QEMU says of a guest whose commands have no answer, and of the registers of their serial line."""
        asked = ['info status', 'info chardev', 'info irq', *(f'i /b {0x2f8 + register:#x}' for register in (1, 4, 5))]
        try:
            said = [f'{what}: {self.qmp("human-monitor-command", **{"command-line": what})}' for what in asked]
        except QMPError as error:
            return str(error)
        return '\n'.join([*said, f'console: {self.console[-3000:]}'])

    def gone(self, what):
        return QMPError(f'{what}: QEMU has gone: {(self.dir / "qemu.log").read_text()}, console: {self.console[-3000:]}')

    @property
    def console(self):
        return (self.dir / 'console').read_text(errors='backslashreplace')

    def close(self):
        """Ends QEMU, and removes the directory."""
        self.alive = False
        self.stack.close()

    # ---- booting ----

    def _build(self, binary, files):
        main = self.dir / 'main'
        main.write_text('#!/bin/sh\nexec /bin/agent /dev/ttyS1\n')
        main.chmod(0o755)
        files = {'main': main, 'bin/agent': compile_c('tests/guest/agent.c'), 'bin/peer': peer(), **files}
        subprocess.run([ROOT / 'tests/guest/build', self.dir / 'initramfs', *(f'{v}={k}' for k, v in files.items())],
                       env={**os.environ, 'BUILD': str(BUILD), 'VIOS': str(binary)}, check=True, stdin=subprocess.DEVNULL)

    def _start(self, links, devices, memory, bus):
        self.links = links
        kernel = next((BUILD / 'cache/kernel/boot').glob('vmlinuz*'))
        argv = ['qemu-system-x86_64', '-accel', 'tcg', '-M', 'q35', '-m', str(memory), '-smp', '1', '-nodefaults', '-nic', 'none',
                '-display', 'none', '-no-reboot', '-kernel', kernel, '-initrd', self.dir / 'initramfs',
                '-append', f'console=ttyS0 {WORDS} links={int(links)} ports={len(self.names)}',
                '-chardev', f'file,id=console,path={self.dir}/console,append=on', '-serial', 'chardev:console',
                '-chardev', f'socket,id=control,path={self.dir}/control,server=on,wait=off', '-serial', 'chardev:control',
                '-qmp', f'unix:{self.dir}/qmp,server=on,wait=off', '-device', f'{bus},id=vs']
        for i, name in enumerate(self.names):
            argv += ['-chardev', f'socket,id=channel{i},path={self.sockets[i]},server=on,wait=off',
                     '-device', f'virtserialport,bus=vs.0,id=port{i},chardev=channel{i},name={name},nr={i + 1}']
        self.argv = [str(a) for a in [*argv, *devices]]
        self.ready = Job(self, 0, 'boot')
        self.jobs[0] = self.ready
        self.stack.callback(self._end)
        self.stack.callback(self._hang_up)
        self._run()
        self._booted()

    def _booted(self):
        try:
            self.ready.wait(BOOT_DEADLINE)
        except Late as late:
            raise Late(f'{late}: console: {self.console[-2000:]}') from None

    def _run(self, *more):
        """Starts QEMU, and talks to it and to the agent."""
        self._launch(*more)
        self._talk()

    def _launch(self, *more):
        for name in 'control', 'qmp':
            (self.dir / name).unlink(missing_ok=True)
        self.qemu = subprocess.Popen([*self.argv, *more], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                     stderr=open(self.dir / 'qemu.log', 'ab'))
        self.qemus.append(self.qemu)

    def _talk(self, *ends):
        """ends: of _connect_both()."""
        self._hang_up()
        self.control, self.monitor = self.ends = ends or self._connect_both()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _hang_up(self):
        for end in self.ends:
            end.close()
        self.ends = ()

    def _connect_both(self):
        """To a new QEMU."""
        control, monitor = self._connect('control'), self._connect('qmp').makefile('rwb')
        monitor.readline()
        self.ask(monitor, 'qmp_capabilities')
        return control, monitor

    # A QEMU that takes a guest over must have its serial line's other end before: if a byte of the guest's waited to be taken, it waits for
    # ever otherwise (QEMU 7.2), and all commands with it.

    def move(self, restored=lambda: None):
        """The guest goes on, with its commands, in another QEMU, as when it is saved and restored; restored() is called before."""
        self.qmp('stop')
        self.qmp('migrate', uri=f'exec:cat >{self.dir}/state')
        wait_until(lambda: self.qmp('query-migrate').get('status') == 'completed', 'QEMU to save the guest')
        self.moving = True
        self._end()
        self.reader.join()
        self.moving = False
        self._run('-incoming', 'defer')
        self.qmp('migrate-incoming', uri=f'exec:cat {self.dir}/state')
        wait_until(lambda: self.qmp('query-status')['status'] == 'paused', 'QEMU to restore the guest')
        restored()
        self.qmp('cont')

    def migrate(self):
        """The guest goes on in another QEMU, which is there before the first one is gone, as when it is moved to another host. It is stopped
        meanwhile: of guests that ran while QEMU 7.2 copied them, without KVM, one in some 90 crashed, as if some of its memory was old."""
        reader, place = self.reader, f'unix:{self.dir}/incoming'
        self.moving = True
        self._launch('-incoming', 'defer')
        control, monitor = self._connect_both()
        self.ask(monitor, 'migrate-incoming', uri=place)
        self.qmp('stop')
        self.qmp('migrate', uri=place)

        def completed():
            status = self.qmp('query-migrate').get('status')
            assert status != 'failed', self.qmp('query-migrate')
            return status == 'completed'
        wait_until(completed, 'QEMU to migrate the guest', BOOT_DEADLINE)
        first = self.qemus.pop(0)
        first.kill()
        first.wait()
        reader.join()
        self.moving = False
        self._talk(control, monitor)
        wait_until(lambda: self.qmp('query-status')['status'] == 'paused', 'QEMU to have the guest')
        self.qmp('cont')

    def sleep(self, timeout=DEADLINE):
        """Suspends the guest to its memory, and wakes it."""
        job = self.spawn('echo mem >/sys/power/state')

        def awake():
            if self.qmp('query-status')['status'] == 'suspended':
                self.qmp('system_wakeup')
            return not job.running
        wait_until(awake, 'the guest to sleep and to wake', timeout)
        assert job.status == 0, job.text

    def reset(self):
        """The guest starts again, without a word to its commands, as when it crashed."""
        for job in self.jobs.values():
            with job.changed:
                job.status = 256 + SIGKILL if job.status is None else job.status
                job.changed.notify_all()
        self.ready = Job(self, 0, 'boot')
        self.jobs = {0: self.ready}
        self.qmp('set-action', reboot='reset')
        self.qmp('system_reset')
        self._booted()
        self.qmp('set-action', reboot='shutdown')

    def _connect(self, name):
        def attempt():
            assert self.qemu.poll() is None, f'QEMU: {(self.dir / "qemu.log").read_text()}'
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(str(self.dir / name))
                return s
            except OSError:
                s.close()
        return wait_until(attempt, f"QEMU's {name} socket")

    def _read(self):
        stream, data = self.control.makefile('rb'), b''
        with contextlib.suppress(OSError, ValueError):
            while line := stream.readline():
                if (data + line).endswith(READY):  # a reset may have come so shortly before the end of an output
                    line = READY
                data = b''
                word = re.search(rb'(ready|out|end) (\d+) (\d+)\n$', line)  # before `ready` the serial line may say anything
                if not word:
                    continue
                kind, job, number = word[1], self.jobs.get(int(word[2])), int(word[3])
                data = self._output(stream, number) if kind == b'out' else b''
                if data.endswith(READY):
                    kind, job, number = b'ready', self.jobs.get(0), 0
                if job:
                    with job.changed:
                        job.output += data
                        if kind != b'out':
                            job.status = number
                        job.changed.notify_all()
        if self.moving:
            return
        self.alive = False
        for job in list(self.jobs.values()):
            with job.changed:
                job.changed.notify_all()

    @staticmethod
    def _output(stream, number):
        """So many bytes; fewer, with READY as the last ones, if the guest was reset within them."""
        data = b''
        while len(data) < number and not data.endswith(READY):
            piece = stream.read1(number - len(data))
            if not piece:
                break
            data += piece
        return data

    def _end(self):
        for qemu in self.qemus:
            qemu.kill()
            qemu.wait()
        self.qemus = []


def main():
    """vt.main(), where the cases share guests."""
    pool.workers, pool.busy = 1, True
    vt.main()


def debug(i):
    return f'/sys/kernel/debug/virtio-ports/vport0p{i + 1}'


def host_is(g, i, attached):
    """Waits until the guest has noticed."""
    g.check(f'until grep -q "^host_connected: {int(attached)}" {debug(i)}; do usleep 10000; done')


def heard(g, name):
    """Waits until our host's proxy answers on a channel that nobody holds: `attached` may be the proxy's visitor, which goes again."""
    g.check(f'while vios probe -t 15 {name} >/tmp/out 2>&1; [ $? = 3 ]; do usleep 10000; done')


def fill(g, i):
    """Writes to the port until its host would have to read: the writer, which waits."""
    writer = g.spawn(f'exec dd if=/dev/zero of=/dev/vport0p{i + 1} bs=4k')
    g.check(f'until grep -q "^outvq_full: 1" {debug(i)}; do usleep 10000; done')
    return writer


class QemuHost(FakeHost):
    """A program that has QEMU's socket open."""

    def __init__(self, t, g, i=0, attach=True):
        self.t, self.g, self.i, self.conn, self.guest, self.host = t, g, i, None, ANY, ANY
        t.defer(self.away)
        if attach:
            self.attach()
            host_is(g, i, True)

    def attach(self):
        """Twice, as the host's proxy does, for QEMU may have stopped reading the port when the last host went."""
        for _ in range(2):
            self.detach()
            self.conn = socket.socket(socket.AF_UNIX)
            self.conn.connect(str(self.g.sockets[self.i]))
        self.conn.settimeout(DEADLINE)
        self.decoder = Decoder()

    def away(self):
        self.detach()
        host_is(self.g, self.i, False)

    def probed(self, *options):
        """A probe that has sent its SYN."""
        job = self.g.spawn(' '.join(['exec vios probe', *options, self.g.names[self.i]]))
        self.syn()
        return job
