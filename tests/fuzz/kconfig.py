# SPDX-License-Identifier: Apache-2.0
"""The reader of Kconfig and .config is awk, which libFuzzer cannot see into: so without its help, texts that are changed at
random. Whatever they are: a status of 0, or of 1 with messages that name file and line, and nothing else written; what it has
written, it reads, and writes again; every awk says the same."""
import pathlib
import random
import re
import shutil
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CORPUS = ROOT / 'tests/fuzz/corpus/kconfig'
AWKS = [[shutil.which(a[0]), *a[1:]] for a in (['mawk'], ['gawk', '--posix'], ['original-awk'], ['busybox', 'awk']) if shutil.which(a[0])]
MODES = 'build olddefconfig oldconfig savedefconfig defconfig allyesconfig allnoconfig randconfig guest_defconfig host_defconfig'.split()
WORDS = ('config menu endmenu comment mainmenu bool int string prompt default range depends on && help y n 0 1 65535 99999999999999999999 -1 007 "" "x" '
         '"/a" "a\\"b" "\\ A B VIOS_A CONFIG_A=y CONFIG_A=1 CONFIG_A="x" # is not set CONFIG_ = \t LOG_LEVEL X_DIRECTORY \r').split(' ')
END = '\x1e\n'


def inputs():
    """(Kconfig, .config) that are in order, or nearly."""
    found = [tuple(path.read_text(errors='surrogateescape').split(END, 1)) for path in sorted(CORPUS.iterdir())]
    kconfig = (ROOT / 'Kconfig').read_text()
    return [*found, (kconfig, ''), (kconfig, 'CONFIG_BUFFER_SIZE=700\n# CONFIG_FEATURE_MANY is not set\nCONFIG_LOG_LEVEL="ERROR"\n')]


def change(rng, text, other):
    lines = text.split('\n')
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        at = rng.randrange(len(lines))
        what = rng.randrange(8)
        if what == 0:
            del lines[at]
        elif what == 1:
            lines.insert(rng.randrange(len(lines) + 1), lines[at])
        elif what == 2:
            lines.insert(at, rng.choice(other.split('\n')))
        elif what == 3:
            lines[at] = lines[at][:rng.randrange(len(lines[at]) + 1)]
        elif what == 4:
            n = rng.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:n] + chr(rng.choice((0x22, 0x5c, 0x25, 0x26, 0x09, 0x0d, 0x7f, 0x01, rng.randrange(1, 127)))) + lines[at][n + rng.randrange(2):]
        else:
            words = lines[at].split(' ')
            words[rng.randrange(len(words))] = rng.choice(WORDS)
            lines[at] = ' '.join(words)
        lines = lines or ['']
    return '\n'.join(lines)


def run(dir, awk, mode, kconfig, config):
    """Status, output, messages, what was written."""
    written = [dir / 'config.h', dir / 'config.mk']
    for path in written:
        path.unlink(missing_ok=True)
    (dir / 'Kconfig').write_text(kconfig, errors='surrogateescape')
    (dir / '.config').write_text(config, errors='surrogateescape')
    done = subprocess.run([*awk, '-f', ROOT / 'applets/kbuild/kconfig.awk', '-v', f'mode={mode}', '-v', 'seed=7', '-v', 'header=config.h', '-v',
                           'makefile=config.mk', 'Kconfig', '.config'], cwd=dir, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    return done.returncode, done.stdout, done.stderr, [path.read_bytes() if path.exists() else None for path in written]


def wrong(dir, mode, kconfig, config):
    """What is wrong with what it makes of this; None: nothing."""
    results = [run(dir, awk, mode, kconfig, config) for awk in AWKS]
    status, out, err, files = results[0]
    if any(r != results[0] for r in results):
        return f'{AWKS} differ: {results}'
    if status not in (0, 1):
        return f'status {status}: {err}'
    if status and (out or any(files) or not err):
        return f'it fails, and wrote {out} {files}, and says {err}'
    for line in err.decode(errors='replace').split('\n')[:-1]:
        if not re.match(r'(\.config|Kconfig):\d+: |new: (# )?CONFIG_', line):
            return f'a message: {line}'
    if status or mode in ('build', 'savedefconfig'):
        return None
    again = run(dir, AWKS[0], 'olddefconfig', kconfig, out.decode(errors='surrogateescape'))
    if again[0] or again[2] or again[1].split(b'\n', 1)[1:] != out.split(b'\n', 1)[1:]:
        return f'its own output becomes {again[1]}, with {again[2]}, from {out}'
    built = run(dir, AWKS[0], 'build', kconfig, out.decode(errors='surrogateescape'))
    return f'its own output cannot be built: {built[2]}' if built[0] else None


def fuzz(seed, runs, seconds):
    """The number of runs, and what was wrong with the last one."""
    rng = random.Random(seed)
    seeds = inputs()
    until = time.monotonic() + seconds
    n = 0
    with tempfile.TemporaryDirectory() as dir:
        todo = [(mode, *pair) for pair in seeds for mode in ('build', 'olddefconfig')]
        while todo or (time.monotonic() < until if seconds else n < runs):
            if todo:
                mode, kconfig, config = todo.pop()
            else:
                (kconfig, config), other = rng.choice(seeds), rng.choice(seeds)
                mode, kconfig, config = rng.choice(MODES), change(rng, kconfig, other[0]), change(rng, config, other[1])
            n += 1
            why = wrong(pathlib.Path(dir), mode, kconfig, config)
            if why:
                return n, f'{mode}: {why}', kconfig + END + config
    return n, None, None
