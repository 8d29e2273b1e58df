# SPDX-License-Identifier: Apache-2.0
"""What a .test file prints, and tests/run reads: the Test Anything Protocol.

    1..3                                the plan, before the results or after them
    ok 1 - name
    not ok 2 - name: why
    ok 3 - name # SKIP why
    # anything else
    1..0 # SKIP why                     none of this file can run here"""
import re
import threading

PLAN = re.compile(r'1\.\.(\d+)(?: # SKIP (.*))?')
RESULT = re.compile(r'(ok|not ok) (\d+) - (.*?)(?: # SKIP (.*))?')
lock = threading.Lock()
count = 0  # results so far


def show(text):
    with lock:
        print(text, end='', flush=True)


def plan(n, skip=None):
    show(f'1..{n}{f" # SKIP {skip}" if skip else ""}\n')


def result(kind, name, why=''):
    """One case. kind: ok, not ok or skip."""
    global count
    name, why = (text.replace('#', '\\#') for text in (name, why))
    with lock:
        count += 1
        if kind == 'skip':
            print(f'ok {count} - {name} # SKIP {why}', flush=True)
        else:
            print(f'{kind} {count} - {name}{": " if why else ""}{why}', flush=True)


def plan_behind():
    """The plan of all that was shown."""
    plan(count)


def parse(text):
    """The results as (kind, name and why), and what is wrong with them as a whole, or None."""
    plans = [m for m in map(PLAN.fullmatch, text.splitlines()) if m]
    found = [m for m in map(RESULT.fullmatch, text.splitlines()) if m]
    results = [('skip', f'{m[3]}: {m[4]}') if m[4] is not None else (m[1], m[3]) for m in found]
    if len(plans) == 1 and plans[0][2] is not None and not found:
        return [('skip', plans[0][2])], None
    if len(plans) != 1:
        return results, f'{len(plans)} plans'
    if int(plans[0][1]) != len(found) or not found:
        return results, f'{plans[0][1]} cases planned, {len(found)} results'
    if [int(m[2]) for m in found] != list(range(1, len(found) + 1)):
        return results, 'the results are not numbered in order'
    return results, None
