# SPDX-License-Identifier: Apache-2.0
"""An ssh server and rsync for test guests: Debian's, unpacked by tests/deps; and how OpenSSH's client of this system gets in."""
import fcntl
import shutil
import subprocess

from lib.unpacked import libraries, library_path
from lib.vt import BUILD

CACHE = BUILD / 'cache/ssh'
LIBRARIES = library_path(CACHE)
HOME = BUILD / 'tests/ssh'


def ssh_files():
    """Dropbear, scp, sftp and rsync for the guest, with a key for root; nothing if they are not there."""
    if not (CACHE / 'usr/lib/openssh/sftp-server').exists() or not shutil.which('ssh'):
        return {}
    programs = {'usr/sbin/dropbear': CACHE / 'usr/sbin/dropbear', 'usr/bin/rsync': CACHE / 'usr/bin/rsync', 'usr/bin/scp': shutil.which('scp'),
                'usr/lib/sftp-server': CACHE / 'usr/lib/openssh/sftp-server'}
    HOME.mkdir(parents=True, exist_ok=True)
    with open(HOME / 'lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (HOME / 'group').exists():  # the last one
            (HOME / 'key').unlink(missing_ok=True)
            subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', HOME / 'key'], check=True)
            for name, text in ('passwd', 'root:x:0:0:root:/root:/bin/sh\n'), ('shells', '/bin/sh\n'), ('group', 'root:x:0:\n'):
                (HOME / name).write_text(text)
    files = {'etc/passwd': HOME / 'passwd', 'etc/shells': HOME / 'shells', 'etc/group': HOME / 'group',
             'root/.ssh/authorized_keys': HOME / 'key.pub', **programs}
    for program in programs.values():
        files.update(libraries(program, LIBRARIES))
    return files


OPTIONS = ['-F', 'none', '-i', HOME / 'key', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'BatchMode=yes',
           '-o', 'LogLevel=ERROR']
SERVER = 'exec env LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu /usr/sbin/dropbear -F -E -R -s -p 127.0.0.1:22'


def prepare(guest):
    """What the server wants to find in it."""
    guest.check('mkdir -p /dev/pts /var/run /var/log /etc/dropbear; mount | grep -q devpts || mount -t devpts devpts /dev/pts; '
                'chmod 700 /root /root/.ssh; chmod 600 /root/.ssh/authorized_keys')


def listens(guest):
    guest.check('until netstat -ltn | grep -q "127.0.0.1:22 "; do usleep 10000; done')
