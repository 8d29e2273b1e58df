# SPDX-License-Identifier: Apache-2.0
"""Cases of a file at once, in worker processes, and limits for those of all files.

tests/run sets SLOTS_DIRECTORY, and SLOTS, how many cases that keep a processor busy may run at once; of those that mostly wait twice as
many may run beside them. A slot is a lock: it is free again when its process is gone, however it went."""
import contextlib
import fcntl
import os
import signal
import struct
import sys
import tempfile
import time
from multiprocessing import connection

SLOTS = int(os.environ.get('SLOTS') or 0)
DIRECTORY = os.environ.get('SLOTS_DIRECTORY')
NUMBER = struct.Struct('=H')

workers = 4    # of a file; 1 where its cases share something
busy = False   # whether a case keeps a processor busy


def lock(name, wait=False):
    """The locked file, or None."""
    fd = os.open(f'{DIRECTORY}/{name}', os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


@contextlib.contextmanager
def slot(keeps_busy):
    """Waits for one. The first who waits is the first who gets it: the kernel's order for the lock of all of them."""
    kind, count, fd = ('busy', SLOTS, None) if keeps_busy else ('waits', 2 * SLOTS, None)
    if SLOTS:
        turn = lock(kind, True)
        while (fd := next((fd for n in range(count) if (fd := lock(f'{kind}{n}')) is not None), None)) is None:
            time.sleep(0.01)  # between two looks at the slots
        os.close(turn)
    try:
        yield
    finally:
        if fd is not None:
            os.close(fd)


def work(do, queue, reply):
    """Takes the numbers of jobs from the queue until it is empty."""
    with tempfile.TemporaryFile('ab+', buffering=0) as output:
        for fd in 1, 2:
            os.dup2(output.fileno(), fd)
        shown = 0
        while data := os.read(queue, NUMBER.size):
            number, = NUMBER.unpack(data)
            with slot(busy):
                reply.send((number, None, b''))
                result = do(number)
            sys.stdout.flush()
            sys.stderr.flush()
            text = os.pread(output.fileno(), os.fstat(output.fileno()).st_size - shown, shown)
            shown += len(text)
            reply.send((number, result, text))


def start(do, queue, others):
    """A worker: its process, and where it replies."""
    ours, theirs = connection.Pipe(duplex=False)
    pid = os.fork()
    if not pid:
        others.clear()
        ours.close()
        work(do, queue, theirs)
        sys.exit(0)  # what the file has for its end, its guests for example, ends with the worker
    theirs.close()
    return pid, ours


def run(count, do):
    """do(number) for each number below count; yields (number, what it returned, what it printed), None if its worker died."""
    queue, feed = os.pipe()  # its bytes are the numbers, which the workers take
    os.write(feed, b''.join(NUMBER.pack(n) for n in range(count)))
    os.close(feed)
    pids, pipes, left, busy = [], [], set(range(count)), {}
    try:
        for _ in range(min(workers, count)):
            pid, pipe = start(do, queue, pids)
            pids.append(pid)
            pipes.append(pipe)
        while pipes:
            for pipe in connection.wait(pipes):
                try:
                    number, result, text = pipe.recv()
                except EOFError:
                    pipes.remove(pipe)
                    number, result, text = busy.pop(pipe, None), None, b''
                    if number is None:
                        continue
                else:
                    if result is None:
                        busy[pipe] = number
                        continue
                    del busy[pipe]
                left.discard(number)
                yield number, result, text
        for number in sorted(left):
            yield number, None, b''
    except BaseException:
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        raise
    finally:
        os.close(queue)
        for pid in pids:
            os.waitpid(pid, 0)
