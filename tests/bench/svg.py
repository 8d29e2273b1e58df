#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The table of `tests/bench/run --json` on stdin as an SVG on stdout: a bar for each subject in each row, and a line at the target.
A row's bars are relative to its longest; where less is better, a shorter bar is."""
import html
import json
import re
import sys

COLOURS = {'bare': '#b0b0b0', 'local': '#808080', 'vios': '#1f77b4', 'copy': '#9ecae1', 'socat': '#e6b88a'}
NAMES = {'bare': 'bare port', 'local': "the guest's own", 'vios': 'vios', 'copy': 'copy loop', 'socat': 'socat'}
LEFT, BAR, RIGHT, HIGH, GAP = 250, 380, 90, 11, 14  # pixels
# What a row's target is relative to: subjects whose medians are added up.
TARGETS = {'bulk guest to host, vios / local': ('up', ['local']), 'bulk host to guest, vios / local': ('down', ['local']),
           'echo 1 byte, vios / (bare + local)': ('echo1', ['bare', 'local']), 'connect and first byte, vios / local': ('visit', ['local'])}


def text(x, y, words, **more):
    attributes = ''.join(f' {k.replace("_", "-")}="{v}"' for k, v in more.items())
    return f'<text x="{x:g}" y="{y:g}"{attributes}>{html.escape(words)}</text>'


def lines_of(result):
    """{row: what vios should have}, in the row's unit."""
    found = {}
    for target in result['targets']:
        row, subjects = TARGETS.get(target['name'], (None, ()))
        medians = result['rows'].get(row, {}).get('medians', {})
        if all(medians.get(s) for s in subjects) and subjects:
            found[row] = target['limit'] * sum(medians[s] for s in subjects)
    return found


def number(value):
    return f'{value:.0f}' if value >= 10 else f'{value:.1f}'


def draw_row(row, limit, y):
    """The elements of a row, and where the next one begins."""
    bars = [(s, v) for s, v in row['medians'].items() if s in COLOURS and v is not None]
    longest = max([v for _, v in bars] + [limit or 0])
    out = [text(LEFT - 10, y + HIGH * len(bars) / 2 + 4, f'{row["title"]}, {row["unit"]}', text_anchor='end')]
    top = y
    for subject, value in bars:
        out.append(f'<rect x="{LEFT}" y="{y:g}" width="{BAR * value / longest:.1f}" height="{HIGH - 1}" fill="{COLOURS[subject]}"/>')
        out.append(text(LEFT + BAR * value / longest + 4, y + HIGH - 2, number(value), font_size=9))
        y += HIGH
    if limit:
        x = LEFT + BAR * limit / longest
        out.append(f'<path d="M{x:.1f} {top - 3:g}V{y + 2:g}" stroke="#d62728" stroke-width="1.5"/>')
    return out, y + GAP


def draw(result):
    rows, limits = result['rows'], lines_of(result)
    out, x, y = [], LEFT, 46
    for subject in [s for s in COLOURS if any(s in row['medians'] for row in rows.values())]:
        out.append(f'<rect x="{x}" y="26" width="9" height="9" fill="{COLOURS[subject]}"/>')
        out.append(text(x + 13, 34, NAMES[subject]))
        x += 28 + 6 * len(NAMES[subject])
    out.append(f'<path d="M{x} 25v11" stroke="#d62728" stroke-width="1.5"/>')
    out.append(text(x + 6, 34, 'target of vios'))
    for name, row in rows.items():
        if any(row['medians'].values()):
            more, y = draw_row(row, limits.get(name), y)
            out += more
    width = LEFT + BAR + RIGHT
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" font-family="sans-serif" font-size="11">'
    machine = re.sub(r'\s+', ' ', result['machine'])
    return '\n'.join([head, '<rect width="100%" height="100%" fill="white"/>', text(10, 16, machine), *out, '</svg>'])


if __name__ == '__main__':
    print(draw(json.load(sys.stdin)))
