# SPDX-License-Identifier: Apache-2.0
"""Tests of commands that have paths and ports of their own: a file of them runs in a network and among mounts of its own, in which
/tmp, /run and /dev are empty."""
import os
import shutil
import sys

from lib import pool
from lib.vt import ROOT, VIOS, main

APART = 'VIOS_TEST_APART'
MOUNTS = '''
mount -t tmpfs tmp /mnt
case $1 in
/tmp/*) mkdir -p "/mnt${1#/tmp}"; mount --rbind "$1" "/mnt${1#/tmp}" ;;
esac
mount --move /mnt /tmp
mount -t tmpfs run /run
mount -t tmpfs dev /dev
mknod -m 666 /dev/null c 1 3
mknod -m 666 /dev/full c 1 7
mknod -m 666 /dev/random c 1 8
mknod -m 666 /dev/urandom c 1 9
ln -s /proc/self/fd /dev/fd
ip link set lo up
export TEST_MOUNTED=1
shift
exec "$@"
'''


def bin_of(t):
    """A directory of links to the binary, for the PATH."""
    path = t.sub('bin')
    for name in 'vios-connect', 'vios-list', 'vios-probe', 'vios-proxy-guest', 'vios-proxy-host', 'vios':
        if not (path / name).exists():
            (path / name).symlink_to(VIOS)
    return path


def with_path(t, **more):
    return {**os.environ, 'PATH': f'{bin_of(t)}:{os.environ["PATH"]}', **more}


def example(t, text, *args, **options):
    """Runs it as a script, with the applets in the PATH."""
    return t.run('sh', '-c', text if '\n' in text else f'exec {text}', 'sh', *args, env=with_path(t), **options)


def main_apart():
    if APART in os.environ:
        pool.workers = 1  # the cases share these
        main()
    elif os.geteuid() or not shutil.which('unshare'):
        print('1..0 # SKIP no root, or no unshare')
    else:
        os.execvpe('unshare', ['unshare', '-mn', 'sh', '-ec', MOUNTS, 'sh', str(ROOT), sys.executable, *sys.argv], {**os.environ, APART: '1'})
