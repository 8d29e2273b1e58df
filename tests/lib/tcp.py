# SPDX-License-Identifier: Apache-2.0
"""Services and clients on the loopback."""
import contextlib
import hashlib
import socket
import struct
import threading

from lib.vt import DEADLINE


def patient(sock):
    sock.settimeout(DEADLINE)
    return sock


def connect(port, address='127.0.0.1'):
    """A client."""
    return patient(socket.create_connection((address, port), DEADLINE))


def connect_unix(path):
    s = patient(socket.socket(socket.AF_UNIX))
    s.connect(str(path))
    return s


def read_all(sock):
    """All bytes until the orderly end."""
    parts = []
    while data := sock.recv(1 << 18):
        parts.append(data)
    return b''.join(parts)


def read_exactly(sock, count):
    parts = bytearray()
    while len(parts) < count:
        data = sock.recv(min(count - len(parts), 1 << 18))
        assert data, f'end after {len(parts)} of {count} bytes'
        parts += data
    return bytes(parts)


def is_reset(sock):
    """Waits for the end of the connection: whether it is a RST."""
    try:
        read_all(sock)
    except ConnectionResetError:
        return True
    return False


def is_closed(sock):
    """Waits for the end of the connection, of either kind."""
    is_reset(sock)
    return True


def abort(sock):
    """Closes it with a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    sock.close()


class Stream:
    """A deterministic stream of bytes that is cheap to make and to check in any pieces."""

    def __init__(self, seed):
        self.block = hashlib.shake_256(str(seed).encode()).digest(65521)  # a prime, so that no power of two repeats it

    def at(self, offset, count):
        start = offset % len(self.block)
        return (self.block * (2 + count // len(self.block)))[start:start + count]

    def send(self, sock, total, piece=1 << 17):
        done = 0
        while done < total:
            n = min(piece, total - done)
            sock.sendall(self.at(done, n))
            done += n

    def check(self, sock, total):
        done = 0
        while done < total:
            data = sock.recv(1 << 18)
            assert data, f'end after {done} of {total} bytes'
            assert data == self.at(done, len(data)), f'wrong bytes after {done}'
            done += len(data)


class Worker(threading.Thread):
    """Runs a function beside the test; join() raises what it raised."""

    def __init__(self, function, *args, **named):
        super().__init__(daemon=True)
        self.function, self.args, self.named, self.error, self.value = function, args, named, None, None
        self.start()

    def run(self):
        try:
            self.value = self.function(*self.args, **self.named)
        except BaseException as error:
            self.error = error

    def result(self):
        self.join(3 * DEADLINE)
        assert not self.is_alive(), 'a worker does not end'
        if self.error:
            raise self.error
        return self.value


class Service:
    """A TCP service: handler(sock) runs in a thread for each connection. accepted counts them."""

    def __init__(self, t, handler, path=None, address='127.0.0.1', port=0):
        self.handler, self.accepted, self.socks = handler, 0, []
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
        else:
            self.listener = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET)
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a service before may have connections in TIME_WAIT
            self.listener.bind((address, port))
            self.port = self.listener.getsockname()[1]
        self.listener.listen(4096)  # a full backlog would be a service that hangs
        threading.Thread(target=self._accept, daemon=True).start()
        t.defer(self.close)

    def _accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            self.socks.append(conn)
            threading.Thread(target=self._run, args=(patient(conn),), daemon=True).start()

    def _run(self, conn):
        with conn, contextlib.suppress(OSError):
            self.handler(conn)

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for conn in self.socks:
            with contextlib.suppress(OSError):
                conn.shutdown(socket.SHUT_RDWR)


def echo(conn):
    """Gives back what comes; when its client ends, ends in order."""
    while data := conn.recv(1 << 18):
        conn.sendall(data)


def answer(conn):
    """Reads to the end, then says how much and its digest: needs half-close."""
    data = read_all(conn)
    conn.sendall(b'%d %s' % (len(data), hashlib.sha256(data).hexdigest().encode()))


def sink(conn):
    while conn.recv(1 << 18):
        pass


class Held:
    """A handler that hands each connection to the test."""

    def __init__(self):
        self.waiting, self.ready = [], threading.Condition()

    def __call__(self, conn):
        done = threading.Event()
        with self.ready:
            self.waiting.append((conn, done))
            self.ready.notify_all()
        done.wait()

    def take(self):
        """The next connection; the test closes it."""
        with self.ready:
            assert self.ready.wait_for(lambda: self.waiting, DEADLINE), 'no connection at the service'
            return self.waiting.pop(0)[0]


class HangingService:
    """A port that echoes to its first connection; after hang() the connects of others hang, as nobody accepts them."""

    def __init__(self, t):
        self.listener = socket.socket()
        self.listener.bind(('127.0.0.1', 0))
        self.listener.listen(0)
        self.port, self.t, self.taken = self.listener.getsockname()[1], t, threading.Event()
        t.defer(self.listener.close)
        self.first = Worker(self._first)

    def _first(self):
        conn, _ = self.listener.accept()
        self.taken.set()
        with patient(conn), contextlib.suppress(OSError):
            echo(conn)

    def hang(self):
        """Fills the backlog, for good: the place of the first connection was taken before."""
        for _ in range(4):
            s = socket.socket()
            self.t.defer(s.close)
            s.setblocking(False)
            s.connect_ex(self.listener.getsockname())
            assert self.taken.wait(DEADLINE), 'nobody accepts'


class BusyService:
    """A unix socket whose backlog is full, so that connects to it fail with EAGAIN; after serve() it echoes to those that come."""

    def __init__(self, t, path):
        self.listener, self.t, self.fillers = socket.socket(socket.AF_UNIX), t, []
        self.listener.bind(str(path))
        self.listener.listen(0)
        t.defer(self.listener.close)
        with contextlib.suppress(BlockingIOError):
            while True:
                s = socket.socket(socket.AF_UNIX)
                t.defer(s.close)
                s.setblocking(False)
                s.connect(str(path))
                self.fillers.append(s)

    def serve(self):
        for s in self.fillers:
            self.listener.accept()[0].close()
        return Worker(self._serve)

    def _serve(self):
        conn, _ = self.listener.accept()
        with patient(conn), contextlib.suppress(OSError):
            echo(conn)
