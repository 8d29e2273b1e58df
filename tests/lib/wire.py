# SPDX-License-Identifier: Apache-2.0
"""The wire protocol, read from its description and not from our C: frames, and peers that tests make the other end of a channel of.

A FakeHost stands in for QEMU and vios-proxy-host in vios-proxy-guest's directory; a FakeGuest for QEMU and a guest in
vios-proxy-host's. Both are unix sockets on which they listen; each step is taken by the test."""
import array
import collections
import fcntl
import os
import select
import socket
import struct
import termios
import time

from lib.vt import DEADLINE, Late, equal, wait_until

SYN, ACK, SYNACK, DATA, RESET, WINDOW = b'A', b'B', b'C', b'D', b'H', b'W'
ANY, REFUSED, INIT = b'????', b'RRRR', b'INIT'
HEADER = struct.Struct('>2sss4s4sH')
FILLER_LEAST = 65548  # bytes that end any frame that an earlier opener has begun
PAYLOAD_MOST = 65535
CREDIT = 4096  # payload bytes that each direction of a connection of a shared channel begins with

Frame = collections.namedtuple('Frame', 'ctrl guest host payload')


def frame(ctrl, guest, host, payload=b'', sync=b'VS', version=b'1', length=None):
    return HEADER.pack(sync, version, ctrl, guest, host, len(payload) if length is None else length) + payload


def token(rng):
    return bytes(rng.randrange(33, 127) for _ in range(4))


def split(data, size):
    """Pieces of data: all of one size, or each of the size that size() returns."""
    at = 0
    while at < len(data):
        n = size() if callable(size) else size
        yield data[at:at + n]
        at += n


def unread(sock):
    """Whether the other end of this unix socket has not yet read all."""
    left = array.array('i', [0])
    fcntl.ioctl(sock, termios.TIOCOUTQ, left)
    return left[0] > 0


class Gone(AssertionError):
    """The proxy has closed the channel."""


class Decoder:
    """Bytes to frames. What is before a frame is counted as junk, by byte value."""

    def __init__(self):
        self.buffer, self.junk = bytearray(), collections.Counter()

    def feed(self, data):
        self.buffer += data

    def next(self):
        """The next frame, or None until it is complete."""
        at = self.buffer.find(b'VS1')
        if at < 0:
            at = max(0, len(self.buffer) - 2)
            while at < len(self.buffer) and not b'VS1'.startswith(self.buffer[at:]):
                at += 1
        self.junk.update(self.buffer[:at])
        del self.buffer[:at]
        if len(self.buffer) < HEADER.size:
            return None
        _, _, ctrl, guest, host, length = HEADER.unpack_from(self.buffer)
        if len(self.buffer) < HEADER.size + length:
            return None
        payload = bytes(self.buffer[HEADER.size:HEADER.size + length])
        del self.buffer[:HEADER.size + length]
        return Frame(ctrl, guest, host, payload)


class Talk:
    """What is said over one connection. guest, host: its tokens."""

    guest = host = ANY

    def put(self, ctrl, payload=b'', size=None, **odd):
        self.send(frame(ctrl, self.guest, self.host, payload, **odd), size)

    def data(self, payload, size=None, piece=PAYLOAD_MOST):
        for part in split(payload, piece):
            self.put(DATA, part, size)

    def end(self):
        """End of stream (capability E)."""
        self.put(DATA)

    def reset(self, reason=b''):
        self.put(RESET, reason)

    def expect(self, ctrl, **fields):
        """The next frame, which has this ctrl, our tokens and, by name, these fields."""
        f = self.next()
        equal(f.ctrl, ctrl, f'ctrl of {f}')
        for name, wanted in {'guest': self.guest, 'host': self.host, **fields}.items():
            equal(getattr(f, name), wanted, f'{name} of {f}')
        return f

    def read(self, count):
        """This many bytes of payload."""
        got = bytearray()
        while len(got) < count:
            f = self.expect(DATA)
            assert f.payload, f'end of stream after {len(got)} of {count} bytes'
            got += f.payload
        return bytes(got)

    def expect_end(self):
        equal(self.expect(DATA).payload, b'', 'payload')

    def expect_reset(self, why=b''):
        """A RESET of the session, with a reason that has this in it. Data before it is passed over."""
        f = self.next()
        while f.ctrl == DATA:
            f = self.next()
        equal(f[:3], (RESET, self.guest, self.host), f'{f}')
        assert why in f.payload and len(f.payload) <= 255, f'reason {f.payload}'
        assert all(32 <= c < 127 for c in f.payload), f'reason {f.payload}'
        return f


class Peer(Talk):
    """The listening end of a channel. guest, host: the tokens of its connection."""

    def __init__(self, t, path, mode=0o755):
        self.t, self.path, self.conn = t, str(path), None
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        os.chmod(self.path, mode)
        self.listener.listen(1)
        self.listener.settimeout(DEADLINE)
        t.defer(self.remove)

    def attach(self):
        """Waits for the proxy."""
        self.conn, _ = self.listener.accept()
        self.conn.settimeout(DEADLINE)
        self.decoder = Decoder()
        return self

    def detach(self):
        if self.conn:
            self.conn.close()
        self.conn = None

    def remove(self):
        """The channel is unplugged."""
        self.detach()
        self.listener.close()
        if os.path.exists(self.path):
            os.unlink(self.path)

    # ---- bytes ----

    def send(self, data, size=None):
        """Sends it, in pieces of which the proxy reads each before the next when there is a size."""
        for piece in split(data, size or len(data) or 1):
            self.conn.sendall(piece)
            end = time.monotonic() + DEADLINE
            while size and unread(self.conn):
                if time.monotonic() > end:
                    raise Late('the proxy does not read')
                time.sleep(0)

    def receive(self):
        data = self.conn.recv(1 << 18)
        if not data:
            raise Gone('the proxy has closed the channel')
        self.decoder.feed(data)

    def next(self):
        """The next frame."""
        while True:
            f = self.decoder.next()
            if f:
                return f
            try:
                self.receive()
            except TimeoutError:
                raise Late(f'no frame; junk {sum(self.decoder.junk.values())}, buffer {bytes(self.decoder.buffer[:40])}') from None

    def idle(self):
        """Whether nothing waits to be read now."""
        if select.select([self.conn], [], [], 0)[0]:
            self.receive()
        return not self.decoder.buffer

class FakeHost(Peer):
    """The host's end, towards vios-proxy-guest. caps=None: as the original, it knows no capabilities."""

    caps = None

    def syn(self):
        """Waits for RESET + SYN; the SYN. self.filler: the bytes that came before, by value. A proxy that has opened a port
        sends RESET INIT first (vios-protocol(7), sharing rule 9)."""
        f = self.next()
        equal(f.ctrl, RESET, f'ctrl of {f} before a SYN')
        opened = f == Frame(RESET, INIT, INIT, b'')
        f = self.next()
        if opened and f.ctrl == RESET:
            f = self.next()
        equal((f.ctrl, f.host), (SYN, ANY), f'{f}')
        assert all(33 <= c <= 126 for c in f.guest), f'token {f.guest}'
        self.filler, self.decoder.junk = self.decoder.junk, collections.Counter()
        self.guest, self.host = f.guest, token(self.t.rng)
        return f

    def accept(self, caps=None, size=None):
        """Answers a SYN that has come, and waits for the ACK."""
        self.put(SYNACK, self.caps or b'' if caps is None else caps, size)
        self.expect(ACK, payload=b'')
        return self

    def serve(self, caps=None):
        self.syn()
        return self.accept(caps)

    def refuse(self, reason=None):
        """Without a reason as the original does."""
        if reason is None:
            self.send(frame(RESET, REFUSED, REFUSED))
        else:
            self.send(frame(RESET, self.guest, ANY, reason))


class FakeGuest(Peer):
    """A guest, towards vios-proxy-host."""

    def attach(self, init=True):
        super().attach()
        if init:
            equal(self.next(), (RESET, INIT, INIT, b''), 'first frame')
        return self

    def syn(self, caps=b'', flood=b''):
        self.guest, self.host = token(self.t.rng), ANY
        self.send(flood + frame(SYN, self.guest, ANY, caps))

    def flood(self, caps=b''):
        """As the original: V bytes before the SYN, of which the kernel takes 32768 at once."""
        self.syn(caps, b'V' * self.t.rng.choice((32768, 65535)))

    def open(self, caps=b'', syn=None):
        (syn or self.syn)(caps)
        f = self.next()
        equal(f[:2], (SYNACK, self.guest), f'{f}')
        assert set(f.payload) <= set(caps), f'capabilities {f.payload}, offered {caps}'
        assert all(33 <= c <= 126 for c in f.host), f'token {f.host}'
        self.host, self.caps = f.host, f.payload
        self.put(ACK)
        return self

    def exchange(self, data):
        """With an echo service."""
        self.data(data)
        equal(self.read(len(data)), data, 'echo')

    def expect_refusal(self, why=b''):
        f = self.next()
        equal(f[:2], (RESET, self.guest), f'{f}')
        assert why in f.payload, f'reason {f.payload}'
        return f


def gone(peer):
    """Waits until the proxy has closed the channel."""
    def closed():
        try:
            peer.receive()
        except (Gone, ConnectionError):
            return True
        return False
    wait_until(closed, 'the end of the channel')
