# SPDX-License-Identifier: Apache-2.0
"""What QEMU is between the two proxies, without QEMU: one virtio-serial channel, with a unix socket for either side.
vios-protocol(7), socket facts 1 to 5.

Host side, as a chardev: one client at a time, a backlog of 1. While none is attached the guest's bytes are not read; when it
goes, what is queued for it is dropped, be it half a frame. The guest then reads what is there, and sees the end; unless it hears
nothing, because the next host comes so quickly that it looks like no change. Guest side, as a port: bytes for a guest
that is not there wait; when it closes, those that it had not read are dropped, and those that it wrote still go out."""
import contextlib
import os
import random
import select
import socket
import threading

from lib.vt import wait_until
from lib.wire import unread

QUEUE = 1 << 16


class Side:
    """One end: where it listens, who is attached, and what waits to go to it."""

    def __init__(self, path):
        self.path, self.conn, self.queue, self.passed, self.paused = str(path), None, bytearray(), 0, False
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(1)

    def accept(self):
        self.conn, _ = self.listener.accept()
        self.conn.setblocking(False)

    def drop(self):
        """Its client goes, and what waited for that is lost."""
        if self.conn:
            self.conn.close()
        self.conn = None
        self.queue.clear()


class Relay(threading.Thread):
    """chunk: the most bytes that go on at once; with step the next ones only when these have been read.
    up and down count the bytes that reached the host and the guest; pause(side) stops what goes to that side."""

    def __init__(self, t, guest_path, host_path, chunk=QUEUE, step=False, hears=True):
        super().__init__(daemon=True)
        self.guest, self.host = Side(guest_path), Side(host_path)
        self.chunk, self.step, self.hears, self.rng = chunk, step, hears, random.Random(t.rng.random())
        self.leaving = False  # the guest is to see the end behind what waits for it
        self.lock, self.ending = threading.Lock(), False
        self.wake_r, self.wake_w = os.pipe()
        self.start()
        t.defer(self.close)

    # ---- for tests ----

    @property
    def up(self):
        return self.host.passed

    @property
    def down(self):
        return self.guest.passed

    def attached(self):
        """Waits until both proxies are, and the guest has seen an end that came before."""
        wait_until(lambda: self.guest.conn and self.host.conn and not self.leaving, 'both proxies at the relay')

    def drop(self, side):
        """QEMU loses this side's client."""
        with self.lock:
            self._gone(side)
        self._wake()

    def pause(self, side, paused=True):
        side.paused = paused
        self._wake()

    def close(self):
        self.ending = True
        self._wake()
        self.join()
        for side in self.guest, self.host:
            side.drop()
            side.listener.close()
            with contextlib.suppress(OSError):
                os.unlink(side.path)
        os.close(self.wake_r)
        os.close(self.wake_w)

    # ---- the thread ----

    def _wake(self):
        os.write(self.wake_w, b'x')

    def _gone(self, side):
        side.drop()
        self.leaving |= self.hears and side is self.host and bool(self.guest.conn)

    def _events(self, me, other):
        events = select.POLLRDHUP if me is self.host else 0
        if other.conn and len(other.queue) < QUEUE:
            events |= select.POLLIN
        if me is self.host and len(other.queue) < QUEUE:
            events |= select.POLLIN  # bytes for a guest that is not there wait
        if me.queue and not me.paused and not (self.step and unread(me.conn)):
            events |= select.POLLOUT
        return events

    def _read(self, me, other):
        try:
            data = me.conn.recv(QUEUE - len(other.queue)) if len(other.queue) < QUEUE else None
        except BlockingIOError:
            return
        except ConnectionError:
            data = b''
        if data:
            other.queue += data
        elif data is not None:
            self._gone(me)

    def _write(self, me):
        size = self.rng.randint(1, self.chunk) if self.chunk < QUEUE else QUEUE
        try:
            sent = me.conn.send(memoryview(me.queue)[:size])
        except BlockingIOError:
            return
        except OSError:
            me.queue.clear()  # it has gone; what it sent before may still be there to be read
            return
        del me.queue[:sent]
        me.passed += sent

    def _turn(self, poll):
        sides = ((self.guest, self.host), (self.host, self.guest))
        fds = {}
        held = False
        with self.lock:
            for me, other in sides:
                events = self._events(me, other) if me.conn else select.POLLIN
                held |= bool(self.step and me.conn and me.queue and not me.paused and not events & select.POLLOUT)
                if events:  # else a hang-up would be reported again and again
                    fd = (me.conn or me.listener).fileno()
                    fds[fd] = me, other, me.conn
                    poll.register(fd, events)
        ready = poll.poll(0 if held else None)
        with self.lock:
            for fd in fds:
                with contextlib.suppress(KeyError, OSError):
                    poll.unregister(fd)
            for fd, event in ready:
                if fd == self.wake_r:
                    os.read(self.wake_r, 4096)
                    continue
                me, other, conn = fds[fd]
                if me.conn is not conn:
                    continue
                if not conn:
                    me.accept()
                    continue
                if event & (select.POLLIN | select.POLLHUP | select.POLLRDHUP):
                    self._read(me, other)
                if me.conn and event & select.POLLRDHUP and me is self.host:
                    self._gone(me)
                elif me.conn and event & select.POLLOUT:
                    self._write(me)

            if self.leaving and not self.guest.queue:
                self.guest.drop()
                self.leaving = False

    def run(self):
        poll = select.poll()
        poll.register(self.wake_r, select.POLLIN)
        while not self.ending:
            self._turn(poll)
