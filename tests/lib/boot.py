# SPDX-License-Identifier: Apache-2.0
"""Initramfs images that are booted in QEMU, with a host's service behind virtio-serial ports. What they say comes on the console."""
import os
import pathlib
import re
import subprocess

from guest import WORDS
from vt import BUILD, Late, Skip, wait_until

BOOT_DEADLINE = 90


def kernel():
    """The unpacked kernel: its image, its release, and the directory that has boot and lib/modules."""
    top = BUILD / 'cache/kernel'
    image = next(top.glob('boot/vmlinuz*'), None)
    if not image:
        raise Skip('no kernel in the cache: run tests/deps')
    return image, next(top.glob('lib/modules/*')).name, top


def cpio(directory, out):
    """An archive of a directory, as the kernel unpacks it."""
    names = subprocess.run(['find', '.'], cwd=directory, stdout=subprocess.PIPE, check=True).stdout
    subprocess.run(['cpio', '--quiet', '-o', '-H', 'newc', '-R', '0:0', '-F', out], cwd=directory, input=names, check=True)
    return out


class Boot:
    """A guest that boots from these archives (one after another in memory), with ports of these names, and a disk."""

    def __init__(self, t, archives, names=('vios.0',), disk=None, words=''):
        self.t, self.dir = t, t.sub('h') / 'guest'
        self.dir.mkdir(exist_ok=True)
        initrd, self.log = t.dir / 'initrd', t.dir / 'console'
        with open(initrd, 'wb') as out:
            for archive in archives:
                data = pathlib.Path(archive).read_bytes()
                out.write(data + bytes(-len(data) % 512))
        argv = ['qemu-system-x86_64', '-accel', 'tcg', '-M', 'q35', '-m', '384', '-nodefaults', '-nic', 'none', '-display', 'none',
                '-no-reboot', '-kernel', kernel()[0], '-initrd', initrd, '-append', f'{WORDS} {words}', '-serial', f'file:{self.log}']
        if names:
            argv += ['-device', 'virtio-serial,id=vs']
        for i, name in enumerate(names):
            argv += ['-chardev', f'socket,id=c{i},path={self.dir}/{name},server=on,wait=off',
                     '-device', f'virtserialport,bus=vs.0,chardev=c{i},name={name}']
        if disk:
            argv += ['-drive', f'file={disk},format=raw,if=none,id=root,snapshot=on', '-device', 'virtio-blk-pci,drive=root']
        self.qemu = t.run(*argv, stdout=subprocess.DEVNULL)
        wait_until(lambda: len(list(self.dir.iterdir())) == len(names) or not self.qemu.running, 'the sockets of QEMU')

    @property
    def console(self):
        text = self.log.read_text(errors='backslashreplace') if self.log.exists() else ''
        return text.replace('\r', '')

    def wait(self, pattern):
        """The match of this pattern on the console."""
        def look():
            ended = not self.qemu.running
            return re.search(pattern, self.console, re.M) or ended
        try:
            found = wait_until(look, f'{pattern!r} on the console', BOOT_DEADLINE)
        except Late as late:
            raise Late(f'{late}: {self.console[-3000:]}') from None
        assert found is not True, f'QEMU ended without {pattern!r}: {self.console[-3000:]}'
        return found

    def end(self):
        """Waits until the guest has switched itself off; all that it said."""
        self.qemu.wait(BOOT_DEADLINE)
        return self.console


def privileged(t, script, stage):
    """Runs a shell script with the files in stage, and the kernel's, laid over / for it alone."""
    _, _, top = kernel()
    usr, etc, boot = [stage / 'usr', top], [stage / 'etc'], [top / 'boot']  # top has lib/modules, as /usr has
    mounts = ''.join(f'mount -t overlay -o lowerdir={":".join(map(str, layers))}:{over} overlay {over}\n'
                     for over, layers in (('/usr', usr), ('/etc', etc), ('/boot', boot)))
    how = ['unshare', '-m'] if os.geteuid() == 0 else ['unshare', '-Urm']
    work = t.sub('tmp')
    done = subprocess.run([*how, 'sh', '-ec', f'{mounts}: >{work}/mounted\n{script}'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, env={**os.environ, 'TMPDIR': str(work)})
    if not (work / 'mounted').exists():
        raise Skip(f'no overlay mounts here: {done.stdout.strip()[:150]}')
    assert done.returncode == 0, f'{script}: {done.stdout[-3000:]}'
    return done.stdout
