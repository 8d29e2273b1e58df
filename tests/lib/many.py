# SPDX-License-Identifier: Apache-2.0
"""Peers that share a channel among connections (vios-protocol(7), MANY CONNECTIONS ON A CHANNEL), also read from the description. A
ManyHost is the host of a vios-proxy-guest, a ManyGuest the guest of a vios-proxy-host. Each frame that comes is taken to its
connection, and checked: its token, its length, the credit that it had, that nothing comes behind an end of stream."""
import collections
import select
import socket
import struct

from lib.vt import equal, quiescent
from lib.wire import ACK, ANY, CREDIT, DATA, INIT, RESET, SYN, SYNACK, WINDOW, FakeGuest, FakeHost, Talk, frame, split, token

MOST = 32754              # payload bytes of a frame
RING = 131072             # CONFIG_WINDOW: what a connection may have under way towards us
CREDIT_MOST = 2**31 - 1
CLOG, EACH = 4 << 20, 150000  # bytes that fill a channel, and that sockets take
GREETING = frame(RESET, INIT, INIT)
PATTERN = GREETING[:12]   # as much of it as payload must not have


def number(n):
    """The payload of a WINDOW."""
    return struct.pack('>I', n)


def offered(syn):
    """Whether it offers M, and S unless it was built without that."""
    return syn.payload.split(b' ')[0] in (b'EM', b'EMS')


class Connection(Talk):
    """One of a shared channel. room: bytes that the proxy may still send on it; credit: that we may. windows: all that it has granted.
    raw: each of its frames as it was."""

    def __init__(self, channel, guest, host=ANY):
        self.channel, self.guest, self.host = channel, guest, host
        self.frames, self.raw, self.windows = collections.deque(), [], []
        self.room = self.credit = CREDIT
        self.ended = False
        channel.conns[guest] = self

    def came(self, f):
        if f.ctrl == SYNACK:
            self.host = f.host
        assert f.host in (ANY, self.host), f'{f} of a connection whose host token is {self.host}'
        self.raw.append(f)
        if f.ctrl == WINDOW:
            equal(len(f.payload), 4, 'bytes of a WINDOW')
            n, = struct.unpack('>I', f.payload)
            assert 0 < n and self.credit + n <= CREDIT_MOST, f'a WINDOW of {n} beside {self.credit}'
            self.windows.append(n)
            self.credit += n
            return
        if f.ctrl == DATA:
            assert not self.ended, f'{f[:3]} after end of stream'
            assert len(f.payload) <= MOST, f'{len(f.payload)} bytes in a frame'
            self.room -= len(f.payload)
            assert self.room >= 0, f'{-self.room} bytes beyond the credit'
            self.ended = not f.payload
        self.frames.append(f._replace(host=self.host))

    def next(self):
        while not self.frames:
            self.channel.step()
        return self.frames.popleft()

    def send(self, data, size=None):
        self.channel.send(data, size)

    def window(self, n):
        self.room += n
        self.put(WINDOW, number(n))

    def data(self, payload, size=None, piece=MOST):
        """Within the credit: waits for more if need be."""
        for part in split(payload, piece):
            while part:
                while not self.credit:
                    self.channel.step()
                now, part = part[:self.credit], part[self.credit:]
                self.credit -= len(now)
                self.put(DATA, now, size)

    def works(self, other, text=b'well'):
        """Both ways, with its TCP peer. That of an echo: None."""
        self.data(text)
        if other:
            got = b''
            while len(got) < len(text):
                got += other.recv(len(text) - len(got))
            equal(got, text, 'to the TCP side')
            other.sendall(text)
        equal(self.read(len(text)), text, 'from the TCP side')


class Sharing:
    """conns: by guest token. strangers: frames for none of them. inits: RESETs INIT/INIT that came since it is shared."""

    def attach(self, **options):
        super().attach(**options)
        self.forget()
        return self

    def forget(self):
        """The channel is not shared any more."""
        self.conns, self.strangers, self.inits, self.syns = {}, [], 0, collections.deque()

    def step(self):
        """The next frame goes to its connection."""
        f = self.next()
        assert not self.decoder.junk, f'no frames: {self.decoder.junk}'
        if f[:3] == (RESET, INIT, INIT):
            self.inits += 1
        elif f.ctrl == SYN:
            self.came_syn(f)
        elif f.guest in self.conns and f.host in (ANY, self.conns[f.guest].host) or f.ctrl == SYNACK and f.guest in self.conns:
            self.conns[f.guest].came(f)
        else:
            self.strangers.append(f)

    def settle(self, *procs, window=0.4):
        """All that the programs do now is done, and what they sent has been taken."""
        quiescent(*procs, window=window)
        self.sweep()

    def sweep(self):
        while select.select([self.conn], [], [], 0)[0]:
            self.receive()
        while len(self.decoder.buffer) >= 14:
            before = len(self.decoder.buffer)
            self.step()
            assert len(self.decoder.buffer) < before

    def expect_init(self):
        """The proxy ends the sharing."""
        while not self.inits:
            self.step()
        equal(self.inits, 1, 'RESETs INIT/INIT')

    def expect_stranger(self, *wanted):
        while not self.strangers:
            self.step()
        f = self.strangers.pop(0)
        equal(f[:3], wanted, f'{f}')


class ManyHost(Sharing, FakeHost):
    """grants: what each connection gets beside its first credit."""

    places, grants = b'64', 1 << 20

    @property
    def letters(self):
        return b'EM M' + self.places

    def share(self, letters=None):
        """The first connection of a channel, which begins the sharing. RESET INIT + SYN, SYNACK, ACK. What came before for
        connections that are no more is passed over."""
        f = self.next()
        while f[:3] != (RESET, INIT, INIT):
            assert f.guest in self.conns, f'{f} before RESET INIT/INIT + SYN'
            f = self.next()
        f = self.next()
        equal((f.ctrl, f.host, offered(f)), (SYN, ANY, True), f'{f}')
        assert f.guest not in self.conns, f'token {f.guest} is used again'
        self.filler, self.decoder.junk = self.decoder.junk, collections.Counter()
        self.guest, self.host = f.guest, token(self.t.rng)
        return self.begin(self.letters if letters is None else letters)

    def begin(self, letters=None):
        """The SYN has come: SYNACK, ACK."""
        self.accept(letters or self.letters)
        self.forget()
        conn = Connection(self, self.guest, self.host)
        self.grant(conn)
        return conn

    def grant(self, conn):
        if self.grants:
            conn.window(self.grants)

    def came_syn(self, f):
        equal((f.host, offered(f)), (ANY, True), f'{f}')
        assert all(33 <= c <= 126 for c in f.guest), f'token {f.guest}'
        assert f.guest not in self.conns, f'token {f.guest} is used again'
        conn = Connection(self, f.guest)
        conn.asked = f.payload
        self.syns.append(conn)

    def asked(self):
        """The next connection whose SYN comes; no RESET stands before it."""
        while not self.syns:
            self.step()
        equal(self.inits, 0, 'RESETs before a SYN')
        return self.syns.popleft()

    def answer(self, conn):
        conn.host = token(self.t.rng)
        conn.put(SYNACK, self.letters)
        self.grant(conn)
        return conn

    def take(self):
        """The next connection, accepted."""
        return self.answer(self.asked())

    def turn_down(self, conn, reason=b'no'):
        """Refuses it."""
        self.send(frame(RESET, conn.guest, ANY, reason))


class ManyGuest(Sharing, FakeGuest):
    grants = 1 << 20

    def ask(self, letters=b'EM'):
        """RESET INIT + SYN."""
        self.guest, self.host = token(self.t.rng), ANY
        self.send(GREETING + frame(SYN, self.guest, ANY, letters))

    def share(self, places=b'64'):
        """The first connection of a channel, which begins the sharing."""
        self.ask()
        f = self.next()
        while f.guest != self.guest:  # what was sent before
            f = self.next()
        equal(f.ctrl, SYNACK, f'{f}')
        self.decoder.junk.clear()
        self.letters = b'EM M' + places
        equal(f.payload, self.letters, 'letters of the SYNACK')
        self.host = f.host
        self.put(ACK)
        self.forget()
        conn = Connection(self, self.guest, self.host)
        if self.grants:
            conn.window(self.grants)
        return conn

    def dial(self, more=lambda conn: None, guest=None, letters=b'EM'):
        """SYN, and what more(conn) sends, in one write."""
        conn, parts = Connection(self, guest or token(self.t.rng)), []
        conn.send = lambda data, size=None: parts.append(data)
        conn.put(SYN, letters)
        if self.grants:
            conn.window(self.grants)
        more(conn)
        del conn.send
        self.send(b''.join(parts))
        return conn

    def came_syn(self, f):
        raise AssertionError(f'{f} from a host')

    def answered(self, conn):
        """Waits for the SYNACK."""
        f = conn.next()
        equal((f.ctrl, f.payload), (SYNACK, self.letters), f'{f}')
        assert all(33 <= c <= 126 for c in f.host), f'token {f.host}'
        return conn

    def more(self, *args, **options):
        """One more connection, accepted."""
        return self.answered(self.dial(*args, **options))

    def expect_turned_down(self, conn, why):
        f = conn.next()
        equal(f[:3], (RESET, conn.guest, ANY), f'{f}')
        assert why in f.payload, f'reason {f.payload}'
        del self.conns[conn.guest]


def stall(proc, channel, conn, stream):
    """Sends until no credit is left: the TCP side, which is not read, takes no more. The bytes that were sent."""
    sent = 0
    while conn.credit:
        n = conn.credit
        conn.data(stream.at(sent, n))
        sent += n
        channel.settle(proc, window=0.15)
    return sent


def in_turns(channel, conns):
    """Reads these connections, each of which has EACH bytes to send: a turn has one frame or two."""
    while all(conn.room > (1 << 24) + CREDIT - EACH for conn in conns):
        channel.step()
        rooms = [conn.room for conn in conns]
        assert max(rooms) - min(rooms) <= 2 * MOST, f'bytes that have not come: {sorted(rooms)}'
    for conn in conns:
        frames = [f for f in conn.raw if f.ctrl == DATA]
        assert all(len(f.payload) <= MOST for f in frames), f'lengths: {[len(f.payload) for f in frames]}'
        conn.read(EACH)


def wide(sock):
    """It takes as much as others again."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    return sock


def greetings():
    """The pattern of a greeting at every offset, and across the ends of frames."""
    parts = [b'.' * i + PATTERN for i in range(300)] + [PATTERN * 20, PATTERN[:-1] * 30, PATTERN + bytes(2)]
    parts += [b'VS1HVS1HINITINIT', b'VS1HINITINITINIT', b'VS1VS1HINITINIT', PATTERN[:6] * 9]
    text = b''.join(parts)
    for edge in CREDIT, 8192, MOST, 2 * MOST, 4 * 32768:
        for i in range(-14, 2):
            text += b'-' * (edge + i - len(text) % edge) + PATTERN
    return text
