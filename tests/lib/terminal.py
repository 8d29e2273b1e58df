# SPDX-License-Identifier: Apache-2.0
"""A character device that is no virtio-serial port: a terminal, under the name of a port, for programs that see no sysfs."""
import os
import subprocess

from lib.vt import Skip

HIDE = 'mount -t tmpfs none /sys; [ -z "$0" ] || mount --bind "$0" /proc/devices; exec "$@"'


class Terminal:
    """g/NAME in the test's directory is a link to it."""

    def __init__(self, t, name='vios.0'):
        master, self.fd = os.openpty()
        t.defer(os.close, master)
        t.defer(os.close, self.fd)
        self.path = os.ttyname(self.fd)
        (t.sub('g') / name).symlink_to(self.path)

    def alone(self, t, devices=''):
        """Words before a command, for which there is no sysfs, and this in /proc/devices (empty: what is there)."""
        how = ['unshare', '-Urm', 'sh', '-ec', HIDE, '']
        if subprocess.run([*how, 'true'], stderr=subprocess.DEVNULL).returncode:
            raise Skip('no namespaces')
        if devices:
            how[-1] = t.dir / 'devices'
            how[-1].write_text('Character devices:\n  1 mem\n' + devices.format(major=os.major(os.fstat(self.fd).st_rdev)) +
                               '\nBlock devices:\n254 virtblk\n')
        return how

    def is_open(self, pid):
        """Whether this process has it open."""
        return self.path in [os.readlink(f'/proc/{pid}/fd/{fd}') for fd in os.listdir(f'/proc/{pid}/fd')]

    def is_held(self, pid):
        """How many descriptors of this process are it, under whatever name."""
        return sum(os.stat(f'/proc/{pid}/fd/{fd}').st_rdev == os.fstat(self.fd).st_rdev for fd in os.listdir(f'/proc/{pid}/fd'))
