# SPDX-License-Identifier: Apache-2.0
"""The bench's table of many connections on one channel. tests/bench/run runs it; the names of its rows begin with `many-`.

    many    this build, one port
    one     the same build without FEATURE_MANY, one port
    three   the same, three ports
    local   a service in the guest, over the guest's own loopback
    into    this build, one port, from a client on the host to a service in the guest (-R): up is into the guest there

All of it lies in one guest, and a row is measured with each of them in each round, in turn. A target is the median of the rounds' ratios."""
import re
import statistics
import sys
import textwrap
import time

from lib.vt import ROOT, variant, wait_until

MIB = 1 << 20
SUBJECTS = ['many', 'one', 'three', 'local', 'into']
WAYS = {'up': 'guest to host', 'down': 'host to guest'}
INTO = {'up': 'host to guest', 'down': 'guest to host'}
WINDOW = int(re.search(r'^config WINDOW\n(?:    .*\n)*?    default (\d+)', (ROOT / 'Kconfig').read_text(), re.M)[1])


class Row:
    """command(target): words for load; keys: {name of a row: what of the result it is}."""

    def __init__(self, command, subjects, **keys):
        self.command, self.subjects = command, subjects.split()
        self.keys = {f'many-{k.replace("_", "-")}': v for k, v in keys.items()}


def make_rows(quick):
    size, echoes, calls = (8 * MIB, 300, 60) if quick else (64 * MIB, 1000, 300)

    def move(way, n):
        each = [size // n if way == w else 0 for w in WAYS]
        return lambda t: ('move', t, *each, n)

    rows = [Row(lambda t: ('visit', t, calls), 'many one local into', visit='median'),
            Row(lambda t: ('visit', t, max(calls // 8, 10), 8), 'many three local', rate8='persec'),
            Row(lambda t: ('echo', t, 1, echoes), 'many three local into', echo='median')]
    for way in WAYS:
        rows += [Row(move(way, 1), 'many one local into', **{f'stream_{way}': 'rate'}),
                 Row(move(way, 16), 'many local into', **{f'16_{way}': 'rate', f'fair_{way}': 'fair'}),
                 Row(move(way, 64), 'many local into', **{f'64_{way}': 'rate'}),
                 Row(lambda t, way=way: ('beside', t, way, 1, 'echo', t, 1, echoes), 'many three local', **{f'beside_{way}': 'median'}),
                 Row(lambda t, way=way: ('beside', t, 'stalled', 63, *move(way, 1)(t)), 'many', **{f'stalled_{way}': 'rate'})]
    return rows


# What a target is measured with: rows that are chosen by its name bring these too.
NEEDS = {f'many-{name}-{way}': [f'many-{other.format(way)}'] for way in WAYS
         for name, other in (('16', 'stream-{}'), ('64', 'stream-{}'), ('beside', 'echo'), ('stalled', 'stream-{}'))}
ONCE = {'many-pss': 'memory', 'many-held': 'held', 'many-size': 'sizes'}
NAMES = [k for row in make_rows(True) for k in row.keys] + list(ONCE)


def wanted(only):
    return [n for n in NAMES if re.search(only or '', n)]


def listed():
    """For the help of tests/bench/run."""
    return '\n'.join(textwrap.wrap(' '.join(NAMES), 120, break_on_hyphens=False)).replace('\n', '\n    ')


class Many:
    def __init__(self, options):
        self.options, self.names = options, wanted(options.only)
        needed = {*self.names, *(n for name in self.names for n in NEEDS.get(name, []))}
        self.rows = [r for r in make_rows(options.quick) if needed & r.keys.keys()]
        self.samples, self.single, self.targets = {}, {}, []

    def run(self, place):
        """place: has the subjects as targets, and the proxies of `many` as the only processes of their binaries."""
        self.place = place
        started = time.monotonic()
        for i in range(self.options.rounds if self.rows else 0):
            for row in self.rows:
                for subject in row.subjects[i % len(row.subjects):] + row.subjects[:i % len(row.subjects)]:
                    target = place.targets[subject]
                    result = place.load(*row.command(target))
                    if 'stalled' in row.command(target):
                        place.load('visit', target, 1, 64)  # until all places are free again
                    for name, key in row.keys.items():
                        self.samples.setdefault(name, {}).setdefault(subject, []).append(result[key])
            print(f'bench: many: round {i + 1} of {self.options.rounds}, {time.monotonic() - started:.0f} s', file=sys.stderr)
        for name in self.names:
            if name in ONCE:
                getattr(self, ONCE[name])()
        self.judge()

    # ---- what is measured once ----

    def held(self):
        """Bytes that the guest's kernel takes from a proxy whose host has stopped."""
        for subject in 'many', 'one':
            place, sent = self.place, f"sed -n 's/^bytes_sent: //p' $(grep -l '^name: {subject}[.]' /sys/kernel/debug/virtio-ports/*)"
            client = place.vm.spawn(f'exec /bin/load burst {place.targets[subject]}')
            client.wait_output(rb'^ready')
            place.hosts[subject].send(19)  # SIGSTOP
            before = int(place.vm.check(sent))
            client.signal(10)  # SIGUSR1
            same = f'[ "$a" = "$b" ] && [ $b -gt {before} ]'  # it takes no more if two looks see the same
            looks = f'a=; b=$({sent}); until {same}; do a=$b; sleep 1; b=$({sent}); done; echo $b'  # 1 s between two looks
            after = int(place.vm.check(looks))
            client.kill()
            place.hosts[subject].send(18)  # SIGCONT
            self.single[f'held-{subject}'] = (after - before) / 1024

    def note_pss(self, key):
        """Once it has been the same for a second."""
        def steady():
            before = read()
            time.sleep(1)
            return read() == before
        def read():
            return self.place.guest_number('many', 'smaps_rollup', 'Pss'), self.place.hosts['many'].pss()
        wait_until(steady, 'memory that stays the same', 60)
        self.single[f'pss-guest-{key}'], self.single[f'pss-host-{key}'] = read()

    def memory(self):
        place = self.place
        place.stop_pair('many')
        place.start_pair('many', 'many', place.ends_of('many'), 0)
        self.note_pss('idle')
        target = place.targets['many']
        for key, words in ('idle64', f'hold {target} 64 4096'), ('stalled64', f'beside {target} stalled 64 hold {place.targets["local"]} 1 1'):
            job = place.vm.spawn(f'exec /bin/load {words}')
            job.wait_output(rb'^held', timeout=120)
            self.note_pss(key)
            job.kill()
            if key == 'idle64':  # (what has stalled is kept for a minute, for its service)
                self.note_pss('after')

    def sizes(self):
        config = (ROOT / 'Kconfig').read_text()
        features = {k: 'n' for k in re.findall(r'^config (FEATURE_\w+)', config, re.M)}
        others = {k: 'n' for k in ('VIOS_PROXY_HOST', 'VIOS_LIST', 'VIOS_PROBE', 'VIOS_CONNECT')}
        for name, off in ('all', {}), ('guest', others), ('guest-min', {**others, **features}):
            self.single[f'size-{name}'] = variant(f'bench-{name}', **off).stat().st_size / 1024

    # ---- the result ----

    def median(self, name, subject):
        values = self.samples.get(f'many-{name}', {}).get(subject)
        return statistics.median(values) if values else None

    def ratio(self, name, subject, other, other_name=None):
        """Median of the rounds' ratios."""
        one = self.samples.get(f'many-{name}', {}).get(subject)
        two = self.samples.get(f'many-{other_name or name}', {}).get(other)
        return statistics.median(a / b for a, b in zip(one, two)) if one and two else None

    def judge(self):
        def target(row, title, value, sign=None, limit=None, more=''):
            if value is not None and f'many-{row}' in self.names:
                met = sign and (value >= limit if sign == '>=' else value <= limit)
                self.targets.append({'row': f'many-{row}', 'title': title, 'value': value, 'sign': sign, 'limit': limit, 'met': met, 'more': more})

        def control(name, other):
            value = self.ratio(name, 'local', 'local', other)
            return f'local: {value:.2f}' if value else ''
        target('visit', 'connect and first byte / without M', self.ratio('visit', 'many', 'one'), '<=', 0.7)
        target('visit', "the same / guest's own service", self.ratio('visit', 'many', 'local'), None, None, 'aim at 1.3')
        target('visit', 'into the guest: the same / out of it', self.ratio('visit', 'into', 'many'))
        target('echo', 'into the guest: echo of 1 byte / out of it', self.ratio('echo', 'into', 'many'))
        target('rate8', 'connections a second, 8 clients / without M, 3 ports', self.ratio('rate8', 'many', 'three'), '>=', 1.0)
        for way, arrow in WAYS.items():
            target(f'stream-{way}', f'one stream / without M, {arrow}', self.ratio(f'stream-{way}', 'many', 'one'), '>=', 0.85)
            for n, least in (16, 0.95), (64, 0.9):
                target(f'{n}-{way}', f'{n} streams / one, {arrow}', self.ratio(f'{n}-{way}', 'many', 'many', f'stream-{way}'), '>=', least,
                       control(f'{n}-{way}', f'stream-{way}'))
                target(f'{n}-{way}', f'into the guest: {n} streams / one, {INTO[way]}',
                       self.ratio(f'{n}-{way}', 'into', 'into', f'stream-{way}'), '>=', least)
            other = 'down' if way == 'up' else 'up'
            target(f'stream-{way}', f'into the guest: one stream / out of it, {INTO[way]}', self.ratio(f'stream-{way}', 'into', 'many', f'stream-{other}'), '>=', 0.85)
            target(f'fair-{way}', f'slowest / fastest of 16 streams, {arrow}', self.median(f'fair-{way}', 'many'), '>=', 0.5)
            target(f'beside-{way}', f'echo beside a stream / quiet, {arrow}', self.ratio(f'beside-{way}', 'many', 'many', 'echo'), '<=', 4,
                   control(f'beside-{way}', 'echo'))
            target(f'beside-{way}', f'the same / two ports without M, {arrow}', self.ratio(f'beside-{way}', 'many', 'three'), '<=', 1.2)
            target(f'stalled-{way}', f'one stream beside 63 that never read / alone, {arrow}',
                   self.ratio(f'stalled-{way}', 'many', 'many', f'stream-{way}'), '>=', 0.8)
        for side in 'guest', 'host':
            for key, title, most in (('idle', 'idle', 48), ('idle64', '64 idle connections', 112), ('stalled64', '64 stalled connections', 64 * WINDOW / 1024 + 112),
                                     ('after', 'after the idle ones', None)):
                target('pss', f'PSS of the {side} proxy, {title}, KiB', self.single.get(f'pss-{side}-{key}'), most and '<=', most)
        # The payload of a window, the headers of its frames, and a kibibyte of others.
        target('held', "in the guest's kernel for a stopped host, KiB", self.single.get('held-many'), '<=', WINDOW / 1024 + 1,
               f'without M: {self.single.get("held-one", 0):.0f}')
        for key, title, most in ('all', 'default', 72), ('guest', 'guest alone, default', 40), ('guest-min', 'guest alone, no features', 29000 / 1024):
            target('size', f'size: {title}, KiB', self.single.get(f'size-{key}'), '<=', most)

    def result(self):
        return {'rounds': self.samples, 'single': self.single, 'targets': self.targets}

    def show(self):
        if self.samples:
            print(f'{"many connections on one port":30}' + ''.join(f'{s:>12}' for s in SUBJECTS))
        for name in self.samples:
            values = (self.median(name.removeprefix('many-'), s) for s in SUBJECTS)
            print(f'{name:30}' + ''.join(f'{"-" if v is None else f"{v:.2f}":>12}' for v in values))
        print()
        for t in self.targets:
            limit = f'{t["sign"]} {t["limit"]:<8g} {"met" if t["met"] else "NOT MET"}' if t['sign'] else ''
            print(f'{t["row"]:18}{t["title"]:66}{t["value"]:>9.2f} {limit}' + (f'  ({t["more"]})' if t['more'] else ''))
