# SPDX-License-Identifier: Apache-2.0
"""What tests set up: a guest proxy among fake hosts, a host proxy among fake guests, or both with relays between them."""
import select
import threading
import time

from lib.qemu_socket import QUEUE, Relay
from lib.tcp import Service, connect, echo
from lib.vt import DEADLINE, variant, wait_until
from lib.wire import FakeGuest, FakeHost


def small(t):
    """Timeouts so short that tests need not wait for them."""
    t.binary = variant('fast', HANDSHAKE_TIMEOUT=1, MOVE_TIMEOUT=100, LINGER_TIMEOUT=100, HALF_CLOSED_TIMEOUT=1, CONNECT_TIMEOUT=1,
                       RETRY_MIN=10, RETRY_MAX=40)


# ---- the guest proxy alone ----

def guest_rig(t, *options, count=1, caps=b'E', kind=FakeHost, **more):
    """vios-proxy-guest, and the fake hosts of its channels, attached."""
    hosts = [kind(t, t.sub('g') / f'ch{i}') for i in range(count)]
    proc = t.guest(*options, **more)
    for host in hosts:
        host.caps = caps
        host.attach()
    return proc, hosts


def open_client(proc, host):
    """A client of the guest proxy with its connection established."""
    client = connect(proc.port)
    host.serve()
    return client


def first_to_hear(peers):
    """The peer to which the proxy has sent something."""
    ready = select.select([p.conn for p in peers], [], [], DEADLINE)[0]
    assert ready, 'nothing came on any channel'
    return next(p for p in peers if p.conn is ready[0])


# ---- the host proxy alone ----

def host_rig(t, *options, handler=echo, port=None, names=('vm1/ch0',), kind=FakeGuest, **more):
    """vios-proxy-host for a service with this handler (proc.service) or at this port, and fake guests, attached."""
    service = None if port else Service(t, handler)
    guests = []
    for name in names:
        t.sub(f'h/{name.rpartition("/")[0]}')
        guests.append(kind(t, t.dir / 'h' / name))
    proc = t.host(port or service.port, *options, **more)
    proc.service = service
    for guest in guests:
        guest.attach()
    return proc, guests


class Bystander(threading.Thread):
    """Another guest at work: it keeps exchanging with an echo service over a connection that must last."""

    def __init__(self, t, guest):
        super().__init__(daemon=True)
        self.guest, self.rng, self.exchanges, self.error, self.ending = guest, t.rng, 0, None, False
        guest.open(b'E')
        self.start()
        t.defer(self.end)
        self.works(1)

    def run(self):
        try:
            while not self.ending:
                self.guest.exchange(b'still here %d' % self.exchanges)
                self.exchanges += 1
                time.sleep(0.001)  # leaves the processor to the others
        except BaseException as error:
            self.error = error

    def works(self, more=3):
        """Waits for some more exchanges."""
        wanted = self.exchanges + more
        wait_until(lambda: self.exchanges >= wanted or self.error, 'the other guest to go on')
        if self.error:
            raise self.error

    def end(self):
        self.ending = True
        self.join(DEADLINE)


# ---- both ----

class Pair:
    """Service <- host proxy <- relays <- guest proxy: self.port is where clients connect. host: another binary for the host's proxy."""

    def __init__(self, t, handler=echo, count=1, chunk=QUEUE, step=False, hears=True, port=None, level='INFO', host=None):
        self.t, self.level, self.host_binary = t, level, host or t.binary
        self.service = None if port else Service(t, handler)
        self.service_port = port or self.service.port
        t.sub('g')
        t.sub('h/vm1')
        self.relays = [Relay(t, t.dir / f'g/ch{i}', t.dir / f'h/vm1/ch{i}', chunk, step, hears)
                       for i in range(count)]
        self.start_host()
        self.start_guest()
        self.attached()

    def start_host(self):
        binary = self.t.binary
        self.t.binary = self.host_binary
        self.host = self.t.host(self.service_port, level=self.level)
        self.t.binary = binary

    def start_guest(self):
        self.guest = self.t.guest(level=self.level)
        self.port = self.guest.port

    def attached(self):
        for relay in self.relays:
            relay.attached()

    def connect(self):
        return connect(self.port)
