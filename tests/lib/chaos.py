# SPDX-License-Identifier: Apache-2.0
"""A storm over real guests: clients of every manner (tests/lib/storm.c) go on, both ways and by the names of services, while proxies,
ports, guests and directories come and go, beside a hostile guest. Each end of each connection says what came of it; what is no
right end has to follow from an event that may end it. All choices are the seed's; when they come true is the machine's."""
import collections
import contextlib
import os
import pathlib
import random
import re
import threading
import time
from signal import SIGCONT, SIGSTOP, SIGTERM, SIGUSR1

from lib import pool
from lib.guest import BOOT_DEADLINE, Guest, compile_c
from lib.hostile_guest import HostileGuest
from lib.tcp import Worker
from lib.traced import traced
from lib.vt import DEADLINE, HOST, SEED, Late, equal, wait_until

# Seconds without progress that are a hang: longer than any timeout that may end such a connection. The longest are 60 s for a client
# that reads nothing after its peer has aborted; and 30 s of a host's proxy for the rest of a frame of a guest that was reset, once the
# guest's proxy has come again. So the time that a guest takes to start is added, twice.
STALL = 65
LEAST = 5        # events of each kind: a storm may last GRACE seconds longer for them
GRACE = 30
KEPT = 1000      # seconds in which an event is remembered
# Seconds in which an event may still be felt; more, if the machine is slow.
SETTLE = 5 if pool.SLOTS else 1
RETRY = 6        # after what was short it is tried again within so many
WAYS = ('out', 'in')
LEAVING = {'kept-abort', 'abort', 'leave', 'mute'}  # manners of clients who do not see whether anything works
MEMORY = 160     # MiB of a guest: as little as it starts with
# What the kernel has no memory for, now and then: calls of the host's proxies.
FAILING = 'read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,accept4,socket,connect,openat,openat2'
NAMES = {'db': 5673, 'web': 5674, 'key': '/run/key.sock'}  # services, and where a guest's clients find them
INWARD = 7       # the port of the guest's own service
GUESTS = {'one': ['vios.0', 'vios.1', 'x.in'], 'two': ['vios.0', 'x.in']}
LINE = re.compile(r'storm (client|service) (\S+) (\w+) id=(\w+) sent=(\d+)/\d+ received=(\d+)/\d+ .* ms=(\d+)$')
# These may delay a connection, no more. After the others it may end before its time.
DELAYING = {'host-stopped', 'guest-stopped', 'paused'}
GUEST_KINDS = ['guest-killed', 'guest-stopped', 'guest-short-of-descriptors', 'guest-short-of-memory', 'plugged', 'sysfs-remade',
               'directory-remade', 'paused', 'suspended', 'moved', 'migrated', 'reset']
HOST_KINDS = ['host-killed', 'host-stopped', 'host-short-of-descriptors', 'host-short-of-memory']
ENDING = {*GUEST_KINDS, *HOST_KINDS} - DELAYING


def storm():
    return compile_c('tests/lib/storm.c')


class Record:
    """What has happened, and what each end of a connection has said of it. faults: what nothing explains."""

    def __init__(self):
        self.events, self.faults, self.bytes, self.born = [], [], 0, time.monotonic()
        self.logs = collections.deque(maxlen=600)
        self.counts, self.whole, self.kinds = collections.Counter(), collections.Counter(), collections.Counter()
        self.lock, self.calm, self.injected, self.settle = threading.Lock(), False, 0, SETTLE

    @contextlib.contextmanager
    def event(self, kind, guests, ways=WAYS):
        """It may be felt by connections of these guests, these ways."""
        entry = [kind, {(guest, way) for guest in guests for way in ways}, time.monotonic(), None]
        with self.lock:
            self.events = [e for e in self.events if not e[3] or e[3] > entry[2] - KEPT] + [entry]
        self.logs.append(f'{entry[2] - self.born:.1f} {", ".join(guests)}: {kind}')
        yield
        entry[3] = time.monotonic()
        self.logs.append(f'{entry[3] - self.born:.1f} {", ".join(guests)}: end of {kind}')
        self.kinds[kind] += 1

    def explained(self, kinds, whose, begun, ended):
        with self.lock:
            return not self.calm and any(kind in kinds and whose in felt and start <= ended and (end is None or end + self.felt(kind) >= begun)
                                         for kind, felt, start, end in self.events)

    def felt(self, kind):
        return self.settle + ('short' in kind) * RETRY

    def judge(self, where, line):
        """where: 'host', or the name of a guest."""
        found = LINE.match(line)
        if 'FATAL' in line:
            self.faults.append(f'{where}: {line}')
        if not found:
            return
        side, manner, verdict, number, _, received, ms = found.groups()
        guest, at = list(GUESTS)[int(number, 16) & 15] if int(number, 16) else None, time.monotonic()
        whose = guest, 'in' if (side == 'client') == (where == 'host') else 'out'
        begun = at - int(ms) / 1000 - self.settle
        self.counts[verdict] += 1
        self.bytes += int(received)
        if side == 'client':
            self.counts['connections'] += 1
            self.whole[whose] += verdict == 'whole' and manner not in LEAVING
        own = 'host-killed' if where == 'host' else 'guest-killed'  # the kernel ends what a process had, in order
        may = {'whole': True, 'open': True, 'wrong': False, 'hang': False}.get(verdict)
        if may is None:
            may = self.explained({own} if verdict == 'short' else ENDING, whose, begun, at)
            self.counts['explained'] += may
        if not may:
            self.faults.append(f'{where}: {line}')


class Side:
    """What runs in one guest, and its clients on the host."""

    def __init__(self, world, index, name):
        self.world, self.index, self.name = world, index, name
        self.t, self.record, self.rng = world.t, world.record, random.Random(f'{SEED} chaos {name}')
        self.proxies, self.clients, self.service, self.inward = {}, [], None, None
        self.boot()

    def boot(self):
        self.guest = Guest(names=GUESTS[self.name], name=self.name, root=self.world.root, files={'bin/storm': storm()},
                           binary=self.world.binary, memory=MEMORY)
        self.t.defer(self.guest.close)

    def seed(self, soft):
        """soft: some end of these connections is a unix socket, which knows no resets."""
        return self.rng.getrandbits(58) << 5 | soft << 4 | self.index

    def job(self, *words):
        return self.guest.spawn(' '.join(map(str, [f'export STALL={self.world.stall}; exec', *words])))

    def start_proxy(self, way):
        listen = [word for name, at in NAMES.items() for word in ('-l', f'{at}={name}')]
        options = ['-R', '-f', 1, '/dev/virtio-ports', INWARD] if way == 'in' else ['-w', 30, *listen, '-f', 1, '/dev/virtio-ports', 'none']
        proxy = self.job('vios-proxy-guest', *options)
        proxy.wait_output(rb'^\n', timeout=self.world.stall)
        self.proxies[way] = proxy

    def start(self, clients=True):
        service = self.job('storm', 'serve', INWARD)
        service.wait_output(rb'^port ', timeout=self.world.stall)
        self.service = service
        for way in WAYS:
            self.start_proxy(way)
        self.clients = [self.visit(name) for name in NAMES] if clients else []

    def visit(self, name, clients=2, count=0):
        return self.job('storm', 'visit', NAMES[name], self.seed(name == 'key'), clients, count)

    def visit_inward(self, clients=3, count=0):
        return self.world.host_job('storm-in', 'visit', self.world.sockets / self.name, self.seed(True), clients, count)

    def jobs(self):
        return [job for job in [self.service, *self.proxies.values(), *self.clients, *self.world.rest[self.name]] if job]

    def spare(self):
        """Ports out of the guest, but for one."""
        ports = [i for i, name in enumerate(self.guest.names) if not name.endswith('.in')]
        return self.rng.sample(ports, len(ports) - 1)

    # ---- events ----

    def events(self):
        """One after another; then whatever works over this guest's ports has to work again."""
        for kind in self.world.deck(self.world.kinds, self.rng):
            before = {way: self.record.whole[self.name, way] for way in WAYS}
            try:
                getattr(self, kind.replace('-', '_'))(lambda ways=WAYS, kind=kind: self.record.event(kind, {self.name}, ways))
            except (AssertionError, OSError, ValueError):
                self.record.logs.append(f'{self.name}: {self.guest.state()}')
                raise
            self.works_again(kind, before)
            time.sleep(self.rng.uniform(0, 1) * self.world.gap)  # until the next one

    def works_again(self, kind, before):
        bug = re.search('general protection fault|BUG: |Oops|Kernel panic', self.guest.console)
        assert not bug, f"{self.name}: the guest's kernel after {kind}: {self.guest.console[bug.start():][:3000]}"

        def more():
            return self.world.over() or all(self.record.whole[self.name, way] > n + 1 for way, n in before.items())
        try:
            wait_until(more, timeout=self.world.stall)
        except Late:
            self.record.faults.append(f'{self.name}: nothing works after {kind}: {before}, now {dict(self.record.whole)}')

    def guest_killed(self, event):
        way = self.rng.choice(WAYS)
        with event([way]):
            self.proxies[way].kill()
            self.start_proxy(way)

    def guest_stopped(self, event):
        with event():
            for proxy in self.proxies.values():
                proxy.signal(SIGSTOP)
            time.sleep(self.rng.uniform(0.05, 1))  # is the event
            for proxy in self.proxies.values():
                proxy.signal(SIGCONT)

    def plugged(self, event):
        names = self.guest.names
        ports = self.rng.sample(range(len(names)), self.rng.randrange(1, len(names) + 1))
        with event({'in' if names[i].endswith('.in') else 'out' for i in ports}):
            for i in ports:
                self.guest.unplug(i)
            for i in ports:
                self.guest.plug(i)

    def guest_short_of_descriptors(self, event):
        with event():
            self.guest.check(f'storm short {self.rng.randrange(50, 1000)} $(pidof vios-proxy-guest)', BOOT_DEADLINE)

    def guest_short_of_memory(self, event):
        with event():
            self.guest.check(f'storm hog {self.rng.randrange(200, 1000)}', BOOT_DEADLINE)

    def sysfs_remade(self, event):
        """All that the driver has made goes, and comes again. The ports before it: Linux 6.1 damages its memory when the driver leaves
        ports that are open."""
        ports = range(len(self.guest.names))
        with event():
            for i in ports:
                self.guest.unplug(i)
            self.guest.check('until rmmod virtio_console; do usleep 10000; done 2>/dev/null; insmod /modules/virtio_console.ko', BOOT_DEADLINE)
            for i in ports:
                self.guest.plug(i)

    def directory_remade(self, event):
        """The sockets' directory."""
        path, old = self.world.root / self.name, self.world.root / f'.{self.name}'
        with event():
            path.rename(old)
            path.mkdir()
            for socket in old.iterdir():
                socket.rename(path / socket.name)
            old.rmdir()

    def paused(self, event):
        with event():
            self.guest.qmp('stop')
            time.sleep(self.rng.uniform(0.05, 1))  # is the event
            self.guest.qmp('cont')

    def moved(self, event):
        self.guest.check('true')  # commands that the guest has not read yet stay behind in the old QEMU
        with event():
            self.guest.move()

    def migrated(self, event):
        self.guest.check('true')
        with event():
            self.guest.migrate()

    def suspended(self, event):
        """With what integration/systemd/sleep has done before, and after."""
        with event():
            for way in WAYS:
                equal(self.proxies[way].stop(), 0, 'status')
            self.guest.sleep(BOOT_DEADLINE)
            for way in WAYS:
                self.start_proxy(way)

    def reset(self, event):
        self.guest.check('true')  # the rest of a command would reach the next agent, which would take the one behind for its end
        with event():
            self.world.collect()
            self.guest.reset()
            self.start()


class World:
    """t.binary is what runs on both sides. stall: seconds that make a hang. first: it is over when a fault matches this pattern. kinds: of
    events of guests; calm: how many times longer it is than usual from an event to the next."""

    def __init__(self, t, seconds, stall=None, first=None, kinds=GUEST_KINDS, calm=1):
        self.t, self.seconds, self.first, self.kinds, self.binary = t, seconds, first, kinds, t.binary
        self.root, self.sockets, self.record, self.rng = t.sub('h'), t.sub('s'), Record(), random.Random(f'{SEED} chaos host')
        self.rest, self.lock, self.ending = collections.defaultdict(list), threading.Lock(), False
        self.proxies, self.gap, self.logs = {}, calm, self.record.logs
        booting = [Worker(Side, self, i, name) for i, name in enumerate(GUESTS)]
        self.sides = [worker.join(2 * BOOT_DEADLINE) or worker.result() for worker in booting]
        self.stall, self.record.settle = stall or STALL + 2 * self.age(), SETTLE + self.age() / 20
        self.services = {name: self.host_job('storm', 'serve', t.dir / 'key' if name == 'key' else 0) for name in NAMES}
        self.at = {name: t.dir / 'key' if name == 'key' else int(job.wait_log('^port').split()[1]) for name, job in self.services.items()}
        self.hostile = HostileGuest(t, self.root, self.sockets / 'bad')
        for way in WAYS:
            self.start_host(way)

    def host_job(self, _, *words):
        env = {**os.environ, 'STALL': str(self.stall)}
        return self.t.run('sh', '-c', 'exec "$@" >&2', 'sh', storm(), *words, env=env)

    def start_host(self, way):
        if way == 'in':
            options = ['-R', '-u', self.sockets / '%g', self.root, '', 'NOTICE']
        else:
            own = [word for name, at in self.at.items() for guest in GUESTS for word in ('-s', f'{guest}/{name}={at}')]
            options = [*own, self.root, self.hostile.service, 'NOTICE']
        self.proxies[way] = self.t.ready(HOST, *options)

    # ---- what comes of it ----

    def collect(self):
        """Takes the lines that have come."""
        with self.lock:
            for side in self.sides:
                for job in side.jobs():
                    inside = hasattr(job, 'guest')
                    for line in self.take_job(job) if inside else self.take_proc(job):
                        self.record.judge(side.name if inside else 'host', line)
                        if not line.startswith('storm '):
                            self.logs.append(f'{self.age():.1f} {side.name}: {line}')
            for job in self.services.values():
                for line in self.take_proc(job):
                    self.record.judge('host', line)
            for way, proxy in self.proxies.items():
                lines = [f'{self.age():.1f} {way}: {line}' for line in self.take_proc(proxy)]
                self.logs += [line for line in lines if ' bad/' not in line]
                for line in lines:
                    self.record.judge('host', line)

    @staticmethod
    def take_job(job):
        with job.changed:
            whole, _, job.output = job.output.rpartition(b'\n')
        return whole.decode(errors='backslashreplace').splitlines()

    @staticmethod
    def take_proc(proc):
        with proc.changed:
            lines, proc.read[:] = proc.read[:], []
        return lines

    def age(self):
        return time.monotonic() - self.record.born

    def collector(self):
        shown = 0
        while not self.ending:
            self.collect()
            if self.record.faults and not shown:
                self.show_tables()
            time.sleep(0.1)  # between two looks
            while shown < len(self.record.faults):
                print(f'# {self.age():.1f} s: {self.record.faults[shown]}', flush=True)
                shown += 1

    def show_tables(self):
        """In the logs."""
        for proxy in [*self.proxies.values(), *(job for side in self.sides for job in side.proxies.values())]:
            with contextlib.suppress(OSError):
                (getattr(proxy, 'send', None) or proxy.signal)(SIGUSR1)

    # ---- the storm ----

    def over(self):
        return self.found() or self.time_is_up()

    def found(self):
        return self.first and any(re.search(self.first, fault) for fault in self.record.faults)

    def time_is_up(self):
        return time.monotonic() > self.end

    def wanted(self, kind):
        late = time.monotonic() > self.end + GRACE
        return not self.over() or not (self.first or late or self.record.kinds[kind] >= LEAST)

    def deck(self, kinds, rng):
        """Each kind as often as the others, and all often enough."""
        while any(self.wanted(kind) for kind in kinds):
            for kind in rng.sample(kinds, len(kinds)):
                if self.wanted(kind):
                    yield kind

    def host_events(self):
        for kind in self.deck(HOST_KINDS, self.rng):
            getattr(self, kind.replace('-', '_'))(lambda ways=WAYS, kind=kind: self.record.event(kind, GUESTS, ways))
            time.sleep(self.rng.uniform(0.5, 3) * self.gap)  # until the next one

    def host_killed(self, event):
        way = self.rng.choice(WAYS)
        with event([way]):
            self.proxies[way].kill()
            self.start_host(way)

    def host_stopped(self, event):
        with event():
            for proxy in self.proxies.values():
                proxy.send(SIGSTOP)
            time.sleep(self.rng.uniform(0.05, 1))  # is the event
            for proxy in self.proxies.values():
                proxy.send(SIGCONT)

    def host_short_of_memory(self, event):
        with event():
            ends = [traced(self.t, proxy, '-e', f'trace={FAILING}', '-e', f'inject={FAILING}:error=ENOMEM:when={self.rng.randrange(1, 9)}+3')
                    for proxy in self.proxies.values()]
            time.sleep(self.rng.uniform(0.05, 1))  # is the event
            self.record.injected += sum(end().count('INJECTED') for end in ends)

    def host_short_of_descriptors(self, event):
        with event():
            enough = [proxy.starve() for proxy in self.proxies.values()]
            time.sleep(self.rng.uniform(0.05, 1))  # is the event
            for end in enough:
                end()

    def begin(self):
        for side in self.sides:
            side.start()
            self.rest[side.name] = [side.visit_inward()]
        self.end = time.monotonic() + self.seconds
        self.collecting = Worker(self.collector)

    def rage(self):
        """Until the time is up (first: or a fault was found)."""
        self.begin()
        workers = [Worker(self.host_events), *(Worker(side.events) for side in self.sides)]
        for worker in workers:
            while worker.is_alive() and not any(w.error for w in workers):
                worker.join(1)  # between two looks
            if any(w.error for w in workers):
                self.end = 0  # for the others
            worker.join(self.seconds + GRACE + 2 * (BOOT_DEADLINE + self.stall))
            worker.result()

    def calm(self):
        """No new clients. Those that are there end, in time."""
        for side in self.sides:
            for job in side.clients:
                job.signal(SIGTERM)
            for job in self.rest[side.name]:
                job.send(SIGTERM)
        for job in [job for side in self.sides for job in [*side.clients, *self.rest[side.name]]]:
            job.wait(self.stall + 2 * DEADLINE)
        wait_until(lambda: not any(self.children(job.pid) for job in self.services.values()), 'the services to have ended all', self.stall)
        for side in self.sides:
            side.guest.check('until [ $(pidof storm | wc -w) = 1 ]; do usleep 100000; done', self.stall)
        self.collect()
        self.hostile.end()

    @staticmethod
    def children(pid):
        return pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().split()

    def all_work(self):
        """New clients, at once, each way: each one gets what it should. A guest's clients share one port, so the others are unplugged
        meanwhile; which one is left is chosen anew each time."""
        faults, connections, self.record.calm = len(self.record.faults), self.record.counts['connections'], True
        away = [(side, i) for side in self.sides for i in side.spare()]
        for side, i in away:
            side.guest.unplug(i)
        for side in self.sides:
            side.clients = [side.visit(name, 3, 4) for name in NAMES]
            self.rest[side.name] = [side.visit_inward(3, 4)]
        for job in [job for side in self.sides for job in [*side.clients, *self.rest[side.name]]]:
            equal(job.wait(self.stall + 2 * DEADLINE), 0, 'status')
        self.collect()
        equal(self.record.faults[faults:], [], 'faults after the storm')
        equal(self.record.counts['connections'] - connections, len(GUESTS) * 12 * (len(NAMES) + 1), 'connections after the storm')
        for side, i in away:
            side.guest.plug(i)

    # ---- what is left ----

    @staticmethod
    def guest_holds(side, way):
        """Descriptors and KiB of memory of the proxy in the guest."""
        test = '=' if way == 'in' else '!='
        text = side.guest.check(f"""
            for pid in $(pidof vios-proxy-guest); do
                [ "$(tr '\\0' '\\n' </proc/$pid/cmdline | sed -n 2p)" {test} -R ] || continue
                ls /proc/$pid/fd | wc -l
                sed -n 's/^Rss: *\\([0-9]*\\).*/\\1/p' /proc/$pid/smaps_rollup
            done""")
        return [int(n) for n in text.split()]

    def holds(self):
        """(descriptors, KiB) of each proxy."""
        found = {f'host {way}': [proxy.fds(), proxy.pss()] for way, proxy in self.proxies.items()}
        for side in self.sides:
            found.update({f'{side.name} {way}': self.guest_holds(side, way) for way in WAYS})
        return found

    def rested(self):
        """The same, once it does not change any more: they give memory back when they have been idle for a while."""
        found = [self.holds()]

        def same():
            time.sleep(2)  # between two looks
            found.append(self.holds())
            return found[-2] == found[-1]
        wait_until(same, 'proxies that rest')
        return found[-1]

    def renew(self):
        """All proxies again, each after an orderly end."""
        for way, proxy in list(self.proxies.items()):
            equal(proxy.stop(), 0, f"status of the host's proxy {way}")
            self.start_host(way)
        for side in self.sides:
            for way, job in list(side.proxies.items()):
                equal(job.stop(), 0, f'status of the proxy {way} of {side.name}')
                side.start_proxy(way)

    def summary(self):
        kinds = [f'{kind} {self.record.kinds[kind]}' for kind in [*HOST_KINDS, *self.kinds]]
        counts = self.record.counts
        return [f'{counts["connections"]} connections, {self.record.bytes >> 20} MiB, {self.hostile.rounds} rounds of the hostile guest, '
                f'{self.record.injected} calls without memory',
                f'events: {", ".join(kinds)}',
                f'ends: {", ".join(f"{k} {n}" for k, n in sorted(counts.items()) if k != "connections")}; faults {len(self.record.faults)}']

    def close(self):
        self.ending = True
        for side in self.sides:
            side.guest.close()

