# SPDX-License-Identifier: Apache-2.0
"""Faults for tests/chaos-planted: one thing for another in some sources, each as (file below applets/lib, text, text)."""
from lib.vt import equal

LOST_BYTE = [('relay/deliver.c', 'void deliver_now(struct conn *c, const unsigned char *p, size_t n) {\n    ssize_t done = 0;\n',
              'int planted;\nvoid deliver_now(struct conn *c, const unsigned char *p, size_t n) {\n    ssize_t done = 0;\n'
              '    if (planted && n > 1) {\n        planted = 0;\n        c->coming--;\n        p++;\n        n--;\n    }\n'),
             ('relay/relay.c', '    share_end(ch, false, NULL);\n    if (ch->end.broken)\n',
              '    extern int planted;\n    planted = 1;\n    share_end(ch, false, NULL);\n    if (ch->end.broken)\n')]
LOST_WINDOW = [('relay/turns.c', '    c->session.granted += more;\n',
                '    static unsigned planted;\n    c->session.granted += more;\n    if (++planted % 8 == 0)\n        return 0;\n')]
EARLY_RESET = [('relay/share.c', '    c->due = 0;\n    conn_apply(c, actions);\n}\n\n/* SYNACK, DATA',
                '    if (c->channel->gathered == c)\n        c->channel->in->head = c->channel->in->tail;\n    window_empty(&c->window);\n'
                '    c->due = 0;\n    conn_apply(c, actions);\n}\n\n/* SYNACK, DATA')]


def plant(tree, changes):
    for file, old, new in changes:
        path = tree / 'applets/lib' / file
        text = path.read_text()
        equal(text.count(old), 1, f'{file}: places of {old!r}')
        path.write_text(text.replace(old, new))
