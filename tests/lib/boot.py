# SPDX-License-Identifier: Apache-2.0
"""Initramfs images that are booted in QEMU, with a host's service behind virtio-serial ports. What they say comes on the console."""
import fcntl
import os
import pathlib
import re
import shutil
import subprocess

from lib import pool
from lib.guest import WORDS
from lib.tcp import Service
from lib.vt import BUILD, ROOT, VIOS, Late, Skip, equal, main, wait_until

pool.busy = True
BOOT_DEADLINE = 90
SECRET = b'a key from the host\n'
CONF = 'etc/vios/initramfs.conf'

# In early boot: once a channel is there, and the host's proxy, the answer is the secret.
FETCH = '''
case $(/usr/bin/busybox cat /proc/cmdline) in
*errors*) . /errors ;;
esac
[ ! -e /more ] || . /more
fetch() { # PORT FILE: asks the service, once; in $line what it said
    /usr/bin/busybox nc 127.0.0.1 $1 </dev/null >$2
    read -r line <$2
}
fetch ${PORT:-5672} /run/fetched
echo "EARLY: fetched $line" >/dev/console
'''

# The real root: what came with the boot, and whether the proxy lives on.
INIT = '''#!/bin/busybox sh
export PATH=/bin
busybox mount -t proc proc /proc 2>/dev/null
exec >/dev/console 2>&1
echo "ROOT: up, fetched $(busybox cat /run/fetched)"
for pid in /proc/[0-9]*; do
    case $(busybox readlink $pid/exe) in
    */vios*) echo "ROOT: vios runs" ;;
    esac
done
echo "ROOT: /run has" /run/*
echo "ROOT: end"
busybox poweroff -f
'''


# Of QEMU's machines, by Debian's name of the processor: the program, what it needs, the console for -append, and the device of the ports.
SERIAL = ['-chardev', 'file,id=console,path={}']
MACHINES = {
    'amd64': (['qemu-system-x86_64', '-M', 'q35', *SERIAL, '-serial', 'chardev:console'], 'ttyS0', 'virtio-serial-pci'),
    'arm64': (['qemu-system-aarch64', '-M', 'virt', '-cpu', 'cortex-a57', *SERIAL, '-serial', 'chardev:console'], 'ttyAMA0',
              'virtio-serial-device'),
    's390x': (['qemu-system-s390x', *SERIAL, '-device', 'sclpconsole,chardev=console'], 'ttysclp0', 'virtio-serial-ccw'),
}


def kernel(machine='amd64'):
    """The unpacked kernel: its image, its release, and the directory that has boot and lib/modules."""
    top = BUILD / 'cache' / ('kernel' if machine == 'amd64' else f'kernel-{machine}')
    image = next(top.glob('boot/vmlinuz*'), None)
    if not image:
        raise Skip('no kernel in the cache: run tests/deps')
    return image, next(top.glob('lib/modules/*')).name, top


def unpack(module, out):
    """A module that may be compressed, as it is loaded."""
    how = {'.xz': 'xz', '.zst': 'zstd', '.gz': 'gzip'}.get(module.suffix)
    with open(module, 'rb') as data, open(out, 'wb') as file:
        subprocess.run([how, '-dc'] if how else ['cat'], stdin=data, stdout=file, check=True)


def cpio(directory, out):
    """An archive of a directory, as the kernel unpacks it."""
    names = subprocess.run(['find', '.'], cwd=directory, stdout=subprocess.PIPE, check=True).stdout
    subprocess.run(['cpio', '--quiet', '-o', '-H', 'newc', '-R', '0:0', '-F', out], cwd=directory, input=names, check=True)
    return out


class Boot:
    """A guest that boots from these archives (one after another in memory), with ports of these names, and a disk."""

    def __init__(self, t, archives, names=('vios.0',), disk=None, words='', machine='amd64'):
        self.t, self.dir = t, t.sub('h') / 'guest'
        self.dir.mkdir(exist_ok=True)
        initrd, self.log = t.dir / 'initrd', t.dir / 'console'
        with open(initrd, 'wb') as out:
            for archive in archives:
                data = pathlib.Path(archive).read_bytes()
                out.write(data + bytes(-len(data) % 512))
        argv, console, device = MACHINES[machine]
        if not shutil.which(argv[0]):
            raise Skip(f'no {argv[0]}')
        argv = [*(a.format(self.log) for a in argv), '-accel', 'tcg', '-m', '384', '-nodefaults', '-nic', 'none', '-display', 'none',
                '-no-reboot', '-kernel', kernel(machine)[0], '-initrd', initrd, '-append', f'{WORDS} console={console} {words}']
        if names:
            argv += ['-device', f'{device},id=vs']
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
        return re.sub(r'\r|\x1b\[[\d;?!]*[a-zA-Z]|\x1b[P\]][^\a\x1b]*(\a|\x1b\\)|\x1b[\d=>]', '', text)  # systemd talks to a terminal

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
    how, work = [] if os.geteuid() == 0 else ['sudo', '-n'], t.sub('tmp')
    if how and not shutil.which('sudo'):
        raise Skip('neither root nor sudo')
    script = f'{mounts}: >{work}/mounted\n{script}'
    done = subprocess.run([*how, 'env', f'TMPDIR={work}', 'unshare', '-m', 'sh', '-ec', script], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if not (work / 'mounted').exists():
        raise Skip(f'no overlay mounts here, or no root: {done.stdout.strip()[:150]}')
    assert done.returncode == 0, f'{script}: {done.stdout[-3000:]}'
    return done.stdout


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def foreign_ports():
    """Kconfig's patterns of other agents' ports, as make gives them to the installation."""
    words = re.search('^#define CONFIG_FOREIGN_PORTS "(.*)"$', (BUILD / 'config.h').read_text(), re.M)[1].split()
    return '|'.join(word.partition('=')[0] for word in words)


def install(t, *systems, bindir='/usr/bin', libdir='/usr/lib/vios'):
    """A directory with vios and the files for these systems."""
    stage = t.sub('stage')
    (stage / bindir[1:]).mkdir(parents=True, exist_ok=True)
    shutil.copy(VIOS, stage / bindir[1:] / 'vios')
    listed = ' '.join(subprocess.run([VIOS, '--list'], stdout=subprocess.PIPE, text=True, check=True).stdout.split())
    subprocess.run([ROOT / 'applets/integration/install', *systems], check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, 'DESTDIR': str(stage), 'BINDIR': bindir, 'LIBDIR': libdir, 'APPLETS': listed,
                        'FOREIGN_PORTS': foreign_ports()})
    return stage


def busybox():
    path = BUILD / 'cache/busybox'
    if not path.exists():
        raise Skip('no busybox in the cache: run tests/deps')
    return path


def modules():
    """The kernel's top directory, with its modules' dependencies, which its package does not carry."""
    _, release, top = kernel()
    with open(BUILD / 'cache/lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (top / f'lib/modules/{release}/modules.dep').exists():
            subprocess.run(['/sbin/depmod', '-b', top, release], check=True)
    return release, top


def disk(t):
    """A root file system with no more than busybox."""
    root = t.sub('root')
    for name in 'dev', 'proc', 'sys', 'run', 'tmp', 'etc', 'usr', 'var':
        (root / name).mkdir(exist_ok=True)
    write(root / 'sbin/init', INIT, 0o755)
    write(root / 'etc/os-release', 'ID=test\n')
    (root / 'bin').mkdir()
    shutil.copy(busybox(), root / 'bin/busybox')
    (root / 'bin/sh').symlink_to('busybox')
    image = t.dir / 'disk'
    subprocess.run(['/sbin/mkfs.ext4', '-q', '-O', '^has_journal', '-d', root, image, '12M'], check=True, stdout=subprocess.DEVNULL)
    return image


def once(t, name, build):
    """The image of this name, built by the first case that asks for it."""
    image = BUILD / 'tests' / f'{name}.{os.getppid()}.{os.getpid()}'
    if not image.exists():
        image.parent.mkdir(exist_ok=True)
        try:
            build(t, image)
        except BaseException:
            image.unlink(missing_ok=True)
            raise
        made.append(image)
    return image


made = []


def over(t, path, text):
    """An archive that goes over the image: one file of it with another text."""
    write(t.sub('over') / path, text)
    return cpio(t.dir / 'over', t.dir / 'over.cpio')


def boot(t, archives, word='', **more):
    """It goes on to the real root. All of the console's text, and whether the proxy runs in the real root."""
    service = Service(t, lambda conn: conn.sendall(SECRET))
    t.host(service.port, directory=t.sub('h'))
    guest = Boot(t, archives, disk=disk(t), words=f'root=/dev/vda rw {word}', **more)
    secret = SECRET.decode().strip() if word != 'errors' else ''
    guest.wait(f'^EARLY: fetched {secret}$')
    guest.wait('^ROOT: end')
    text = guest.end()
    assert f'ROOT: up, fetched {secret}\n' in text, text[-2000:]
    return text, 'ROOT: vios runs' in text


def fetches(t, image, **more):
    """It fetches early, the proxy is gone when the real root is there, and nobody complains. All of the console's text."""
    text, runs = boot(t, [image], **more)
    assert not runs, text
    equal([line for line in text.splitlines() if 'vios-proxy' in line], [], 'complaints')
    return text


def main_and_forget():
    """main(), and the images go."""
    pool.workers = 1  # the cases share them
    try:
        main()
    finally:
        for path in made:
            path.unlink(missing_ok=True)
