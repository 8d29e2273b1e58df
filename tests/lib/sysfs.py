# SPDX-License-Identifier: Apache-2.0
"""A guest's /sys and /dev as files of the test: for programs that look for ports there, without a guest. A port is any character device."""
import os
import shutil
import subprocess

from lib.vt import Skip

MOUNTS = '''
mount -t sysfs sysfs /mnt
mount --bind "$1" /sys
mount --bind /dev/pts "$2"
mount -t tmpfs dev /dev
mkdir /dev/pts
mount --move "$2" /dev/pts
mknod -m 666 /dev/null c 1 3
ln -s /proc/self/fd /dev/fd
. "$3"
shift 3
exec "$@"
'''
CONSOLE = 4000, 1  # of no driver: cannot be opened, as a console's port (ENXIO)


class Sysfs:
    """What is below /sys of the program: self.path, in which a test may change it meanwhile. The kernel's own is in its /mnt."""

    def __init__(self, t):
        if os.geteuid() or not shutil.which('unshare'):
            raise Skip('no root, or no unshare')
        self.path, self.script = t.sub('sys'), t.dir / 'dev.sh'
        t.sub('pts')
        self.script.write_text('')
        for name in 'class', 'bus/virtio/drivers/virtio_console', 'dev/char', 'kernel/debug':
            self.file(f'{name}/').mkdir(parents=True)

    def file(self, name, text=None):
        """Makes a file of this text, or only its directory."""
        path = self.path / name
        if text is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return path

    def port(self, node, name, device, dev=None, **numbers):
        """A port: its name, its device and, from debugfs, its numbers. dev: what sysfs says instead of the device's numbers."""
        self.file(f'class/virtio-ports/{node}/name', f'{name}\n')
        self.file(f'class/virtio-ports/{node}/dev', dev or '{}:{}\n'.format(*device))
        (self.path / 'dev/char' / '{}:{}'.format(*device)).symlink_to(f'../../class/virtio-ports/{node}')
        if numbers:
            self.file(f'kernel/debug/virtio-ports/{node}', f'name: {name}\n' + ''.join(f'{k}: {v}\n' for k, v in numbers.items()))

    def unplug(self, node):
        shutil.rmtree(self.path / 'class/virtio-ports' / node)

    def dev(self, *lines):
        """Commands that fill /dev."""
        self.script.write_text('\n'.join(lines))

    def node(self, node, device):
        return 'mknod -m 600 /dev/{} c {} {}'.format(node, *device)

    def alone(self, *limits):
        """Words before a command that sees all this. limits: words between."""
        how = ['unshare', '-mn', 'sh', '-ec', MOUNTS, 'sh', self.path, self.path.parent / 'pts', self.script, *limits]
        if subprocess.run([*how, 'true'], stderr=subprocess.DEVNULL).returncode:
            raise Skip('no namespaces')
        return how
