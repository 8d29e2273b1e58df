# SPDX-License-Identifier: Apache-2.0
"""Both proxies around a real guest: a service on this host, clients in the guest.

    @case(table=VARIANTS)
    def it_works(t, binary):
        rig = Rig(t, binary)
        rig.start()
        service = rig.service('-s', 100, '-e', 'half')
        client = rig.client('-r', 100, '-e', 'half')
        complete(client.result(), received=100, end='eof')

The guest is booted once for all cases of a file; proxies, services and clients are new for each case. After a failed case the next
one gets a new guest."""
import atexit
import contextlib
import re
from signal import SIGUSR1

from lib import guest, pool, vt

pool.workers, pool.busy = 1, True  # the cases share the guest
PORT = 5672
# The binary's name in the guest. With the default one all clients share one channel.
ONE_EACH = [('one-each', 'one'), ('smallest-buffers', 'small')]
VARIANTS = [('default', 'default'), ONE_EACH[1]]
BINARIES = {'default': {}, 'one': {'FEATURE_MANY': 'n'}, 'small': {'FEATURE_MANY': 'n', 'BUFFER_SIZE': 512},
            'tiny': {'BUFFER_SIZE': 512, 'WINDOW': 8192}}
ENDLESS = 1 << 40
SMALL = 100000
# Seconds, well below the 30 s after which an unanswered handshake is given up. With QEMU 10.0 (not 10.2) a port may hold 4 MiB for the
# connection before, which are its client's: three times that, in pieces of 512 bytes, take their time.
AT_ONCE, AFTER_THE_REST = 10, 25


def binary_of(variant):
    return vt.variant(f'guest-{variant}', **BINARIES[variant]) if BINARIES[variant] else vt.VIOS


class Shared:
    """The guest that cases have in common. A file may set how many ports it has, and the binaries in it."""
    guest, ports, binaries = None, 3, ['default', 'one', 'small']

    @classmethod
    def get(cls):
        if not cls.guest or not cls.guest.alive:
            files = {f'{v}/vios-proxy-guest': binary_of(v) for v in cls.binaries}
            cls.guest = guest.Guest(ports=cls.ports, files=files)
        return cls.guest

    @classmethod
    def drop(cls):
        if cls.guest:
            cls.guest.close()
        cls.guest = None


atexit.register(Shared.drop)


def parse(text):
    """The result lines of a peer."""
    return [{k: v if k == 'end' else float(v) if k == 'ms' else int(v) for k, v in (item.split('=') for item in line.split()[1:])}
            for line in re.findall(r'^result .*$', text, re.M)]


def complete(result, sent=0, received=0, end='open', **more):
    """Checks a peer's result: so many right bytes, and the end."""
    wanted = {'sent': sent, 'received': received, 'mismatch': -1, 'end': end, **more}
    vt.equal({k: result[k] for k in wanted}, wanted, 'result')


class Rig:
    def __init__(self, t, variant='default'):
        self.t, self.variant, self.jobs = t, variant, []
        t.binary = binary_of(variant)
        self.guest = Shared.get()
        self.names = self.guest.names
        self.host_proxy = self.guest_proxy = None
        t.stack.push(self._end)
        assert not self.guest.run('pidof vios-proxy-guest')[1], 'a guest proxy of an earlier case still runs'

    def _end(self, kind, *_):
        if kind and kind is not vt.Skip:
            self._tables()
            for job in self.jobs:
                print(*(f'#   {line}' for line in [f'guest: {job.command}', *job.text.splitlines()[-30:]]), sep='\n', flush=True)
            Shared.drop()
            return
        for job in self.jobs:
            if job.running:
                job.kill()

    def _tables(self):
        """What both proxies have, for a failed case; the guest's is in its job's text."""
        with contextlib.suppress(Exception):
            print(*(f'#   {line}' for line in self.host_proxy.table()), sep='\n', flush=True)
        with contextlib.suppress(Exception):
            self.guest_proxy.signal(SIGUSR1)
            self.guest_proxy.wait_output(rb'NOTICE: total')

    # ---- the proxies ----

    def start(self, port=0, *options):
        """options: of the guest's proxy."""
        self.start_host(port)
        self.start_guest(*options)
        self.attached()

    def start_guest(self, *options, level='INFO'):
        command = ['exec', f'/{self.variant}/vios-proxy-guest', '-f', '1', *options, '/dev/virtio-ports', PORT, level]
        self.guest_proxy = self._job(command)
        self.guest_proxy.wait_output(rb'^\n')

    def start_host(self, port=0, *options):
        """Starts it for the service at the port, or for that which service() starts next."""
        self.port = port or getattr(self, 'port', 0) or vt.free_port()
        self.host_proxy = self.t.host(self.port, *options, directory=self.guest.root)

    def attached(self, hosts=None):
        """Waits until the guest sees the host side of these ports attached; of all by default."""
        for i in range(len(self.names)) if hosts is None else hosts:
            self.guest.check(f'until grep -q "^host_connected: 1" {self._debug(i)}; do usleep 10000; done')

    def host_has(self, count):
        """Waits until the host's proxy has so many channels open, whether the guest runs or not."""
        vt.wait_until(lambda: len([line for line in self.host_proxy.table() if re.search(r' free  ', line)]) == count, f'{count} free channels')

    def detached(self):
        for i in range(len(self.names)):
            self.guest.check(f'while grep -q "^host_connected: 1" {self._debug(i)}; do usleep 10000; done')

    def full(self):
        """Waits until no port takes more from the guest."""
        for i in range(len(self.names)):
            self.guest.check(f'until grep -q "^outvq_full: 1" {self._debug(i)}; do usleep 10000; done')

    def moving(self, ports, least=1 << 18, start=None):
        """Waits until each of these ports has carried so many bytes more, both ways, than now; or than what moved() said then."""
        start = start or dict.fromkeys(('bytes_sent', 'bytes_received'), '$(sed -n "s/^$key: //p" $p)')
        self.guest.check(f'''
            for p in {' '.join(self._debug(i) for i in ports)}; do
                for key in bytes_sent bytes_received; do
                    case $key in
                    bytes_sent) start={start['bytes_sent']} ;;
                    *) start={start['bytes_received']} ;;
                    esac
                    until [ $(($(sed -n "s/^$key: //p" $p) - start)) -ge {least} ]; do usleep 10000; done
                done
            done''', timeout=2 * vt.DEADLINE)

    def all_moving(self, least=1 << 20):
        """Waits until all ports together have carried so many bytes more, both ways."""
        self.guest.check(f'''
            sum() {{ cat /sys/kernel/debug/virtio-ports/* | awk "/^$1:/ {{ n += \\$2 }} END {{ printf \\"%.0f\\", n }}"; }}
            for key in bytes_sent bytes_received; do
                start=$(sum $key)
                until [ $(($(sum $key) - start)) -ge {least} ]; do usleep 10000; done
            done''', timeout=2 * vt.DEADLINE)

    def _debug(self, i):
        return f'/sys/kernel/debug/virtio-ports/vport0p{i + 1}'

    def moved(self, i):
        """The bytes that the port has carried, each way."""
        return {key: int(n) for key, n in re.findall(r'^(bytes_\w+): (\d+)', self.guest.check(f'cat {self._debug(i)}'), re.M)}

    def quiet(self):
        """Waits until nothing is under way: Linux loses what is in a port when a guest sleeps."""
        def same():
            before = [self.moved(i) for i in range(len(self.names))]
            vt.quiescent(self.host_proxy)
            return before == [self.moved(i) for i in range(len(self.names))]
        vt.wait_until(same, 'ports where nothing moves')

    def connected(self, count):
        """Waits until so many clients have a connection, or are in the backlog."""
        self.guest.check(f'''
            until awk '$3 ~ /:{PORT:04X}$/ && $4 == "01" {{ n++ }} END {{ exit n < {count} }}' /proc/net/tcp; do
                usleep 10000
            done''')

    def waiting(self, count):
        """Waits until so many clients are in the listening socket's backlog."""
        self.guest.check(f'''
            until awk '$2 ~ /:{PORT:04X}$/ && $4 == "0A" && $5 ~ /:{count:08X}$/ {{ n++ }} END {{ exit !n }}' /proc/net/tcp; do
                usleep 10000
            done''')

    # ---- services and clients ----

    def crowd(self, count, *plans):
        """Peers in the guest, that many at once, each with one of the plans (lists of options) in turn and a seed of its own, from 1 on. Their
        result lines are the job's output, and its end is that of all."""
        lines = [' '.join(str(w) for w in ['peer connect', PORT, *plans[i % len(plans)], '-S', i + 1, '&']) for i in range(count)]
        return self._job([*lines, 'wait'])

    def service(self, *options):
        """A peer on this host that serves the host proxy's connections."""
        command = ['sh', '-c', 'exec "$@" >&2', 'sh', guest.peer(), 'serve', getattr(self, 'port', 0), *options]
        service = self.t.run(*command)
        port = int(service.wait_log(r'^port \d+').split()[1])
        self.port = port

        def results(count):
            service.wait_log('^result', count, timeout=4 * vt.DEADLINE)
            return parse(service.log)
        service.results = results
        return service

    def client(self, *options):
        """A peer in the guest."""
        job = self._job(['exec', 'peer', 'connect', PORT, *options])

        def result(timeout=4 * vt.DEADLINE):
            job.wait(timeout)
            return parse(job.text)[0]
        job.result = result
        return job

    def _job(self, words):
        job = self.guest.spawn(' '.join(str(w) for w in words))
        self.jobs.append(job)
        return job


# ---- connections on all channels ----

def started(t, variant, *options):
    """Everything, with a service that sends and receives without end. options: of the guest's proxy."""
    rig = Rig(t, variant)
    rig.service_proc = rig.service('-s', ENDLESS, '-r', ENDLESS, '-S', t.rng.getrandbits(50))
    rig.start(0, *options)
    return rig


def busy(rig):
    """Three clients, on a channel each if channels are not shared, and bytes that go both ways on all of these."""
    clients = [rig.client('-s', ENDLESS, '-r', ENDLESS, '-S', i) for i in range(3)]
    rig.connected(3)
    if rig.variant in dict(ONE_EACH).values():
        rig.moving(range(3), 1 << 15 if rig.variant == 'small' else 1 << 18)
    else:
        rig.all_moving()
    return clients


def ended(clients):
    """These have been told that it is over, and have received no wrong byte before."""
    for client in clients:
        result = client.result(vt.DEADLINE)
        vt.equal(result['mismatch'], -1, 'first wrong byte')
        assert result['end'] in ('eof', 'reset'), result


def all_work(rig, channels=3):
    """New clients, as many as there are channels, exchange bytes at the first attempt, and are all there at once."""
    version = rig.guest.qmp('query-version')['qemu']
    deep = version['major'] == 10 and version['minor'] < 2
    within = AFTER_THE_REST if deep and rig.variant == 'small' else AT_ONCE
    clients = [rig.client('-s', SMALL, '-r', SMALL, '-e', 'hold', '-S', 1000 + i) for i in range(channels)]
    for client in clients:
        client.wait_output(rb'^result.*\n', timeout=within)
        complete(parse(client.text)[0], SMALL, SMALL)
    for client in clients:
        client.kill()


def served_ended(rig, count):
    """The service's connections have ended too; it has seen no wrong byte."""
    for result in rig.service_proc.results(count):
        vt.equal(result['mismatch'], -1, 'first wrong byte')
