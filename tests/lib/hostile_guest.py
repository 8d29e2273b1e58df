# SPDX-License-Identifier: Apache-2.0
"""A guest that means harm, on sockets of its own beside those of others: it shares channels and breaks each rule, without end."""
import contextlib
import os
import random
import select
import socket
import subprocess
import threading

from lib.guest import peer
from lib.vt import DEADLINE, SEED, ROOT
from lib.wire import ACK, ANY, DATA, FILLER_LEAST, INIT, RESET, SYN, SYNACK, WINDOW, Decoder, frame, token

TURN = 0.01  # seconds that it waits for an answer, or for room: it shall not have the processor alone


class Port:
    """One of its channels."""

    def __init__(self, path, rng):
        self.rng, self.conn, self.decoder, self.known = rng, None, Decoder(), []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(1)
        self.listener.setblocking(False)

    def leave(self):
        if self.conn:
            self.conn.close()
        self.conn = None

    def attach(self):
        if self.conn:
            return True
        with contextlib.suppress(BlockingIOError):
            self.conn = self.listener.accept()[0]
            self.conn.setblocking(False)
            self.decoder, self.known = Decoder(), []
        return self.conn is not None

    def hear(self):
        """Takes what there is, and keeps the tokens."""
        if not self.conn or not select.select([self.conn], [], [], TURN)[0]:
            return
        data = self.conn.recv(1 << 18)
        if not data:
            self.leave()
            return
        self.decoder.feed(data)
        while f := self.decoder.next():
            if f.ctrl in (SYN, SYNACK):
                self.known = [*self.known[-20:], (f.guest, f.host if f.ctrl == SYNACK else token(self.rng))]

    def say(self, data):
        """As much of it as there is room for: the rest of a frame may never come."""
        if self.conn and select.select([], [self.conn], [], TURN)[1]:
            self.conn.send(data)

    # ---- what it says ----

    def tokens(self):
        made = token(self.rng), self.rng.choice([ANY, token(self.rng)])
        return self.rng.choice([*self.known, made]) if self.rng.random() < 0.9 else made

    def odd(self):
        """Any frame, with a name that is known or not."""
        ctrl = self.rng.choice([SYN, ACK, SYNACK, DATA, DATA, DATA, RESET, WINDOW, bytes([self.rng.randrange(256)])])
        payload = self.rng.randbytes(self.rng.choice([0, 0, 1, 4, 14, 100, 5000]))
        length = None if self.rng.random() < 0.95 else self.rng.randrange(65536)
        return frame(ctrl, *self.tokens(), payload, length=length)

    def share(self):
        """In order, as far as that goes."""
        guest = token(self.rng)
        self.say(b'1' * FILLER_LEAST)
        self.say(frame(RESET, INIT, INIT) + frame(SYN, guest, ANY, self.rng.choice([b'EM M64', b'EMS', b'EMS Sweb', b'E', b''])))
        for _ in range(20):
            self.hear()
            if self.known and self.known[-1][0] == guest:
                self.say(frame(ACK, *self.known[-1]))
                return

    def step(self):
        kind = self.rng.randrange(40)
        if kind == 0:
            self.share()
        elif kind == 1:
            self.leave()
        elif kind == 2:
            self.say(self.rng.randbytes(self.rng.randrange(1, 20000)))
        elif kind == 3:
            self.say(b''.join(frame(SYN, token(self.rng), ANY, b'EMS') for _ in range(self.rng.randrange(100))))
        elif kind == 4 and self.known:
            self.say(frame(SYNACK, *self.known[-1], b'EM M64'))
        else:
            self.say(self.odd())
        self.hear()


class HostileGuest:
    """root/bad, for the proxies of root. service: the port of what it may use. visited: the socket of clients into it."""

    def __init__(self, t, root, visited):
        self.rng, self.rounds, self.ending, self.error = random.Random(f'{SEED} hostile'), 0, False, None
        self.dir, self.visited, self.client = root / 'bad', visited, None
        self.dir.mkdir()
        self.ports = [Port(self.dir / name, self.rng) for name in ('0.sock', 'x.in')]
        self.peer = subprocess.Popen([peer(), 'serve', '0', '-s', 'echo'], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        t.defer(self.peer.stdout.close)
        t.defer(self.peer.wait)
        t.defer(self.peer.kill)
        self.service = int(self.peer.stdout.readline().split()[1])
        threading.Thread(target=self.drain, daemon=True).start()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        t.defer(self.end)

    def drain(self):
        with contextlib.suppress(ValueError):
            for _ in self.peer.stdout:
                pass

    def visit(self):
        """A client of the host's that comes to it, and goes."""
        if self.client:
            self.client.close()
        self.client = socket.socket(socket.AF_UNIX)
        self.client.setblocking(False)
        with contextlib.suppress(OSError):
            self.client.connect(str(self.visited))
            self.client.send(self.rng.randbytes(self.rng.randrange(1, 5000)))

    def run(self):
        while not self.ending:
            port = self.rng.choice(self.ports)
            if self.rng.randrange(20) == 0:
                self.visit()
            try:
                if port.attach():
                    port.step()
                else:
                    select.select([], [], [], TURN)
            except OSError:
                port.leave()
            except Exception as error:
                self.error = error
                return
            self.rounds += 1

    def end(self):
        """It goes, with its sockets."""
        self.ending = True
        self.thread.join(DEADLINE)
        for port in self.ports:
            port.leave()
            port.listener.close()
        if self.client:
            self.client.close()
        for path in [*self.dir.iterdir()] if self.dir.exists() else []:
            os.unlink(path)
        if self.dir.exists():
            self.dir.rmdir()
        assert not self.error, f'the hostile guest: {self.error!r}'
