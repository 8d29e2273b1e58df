/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/services.h"

#include <string.h>

#include "base/fmt.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/where.h"
#include "relay/guests.h"
#include "wire/offer.h"
#include "wire/session.h"

MEMORY_BULK struct service services_listens[SERVICES_LISTENS + 1];
MEMORY_BULK struct service
    services[SERVICES_MAX + 1]; /* those of -s; then the default one, if there is one */
static bool has_default;

#if CONFIG_FEATURE_SERVICES

unsigned services_listen_count, services_count;

/* ---- options ---- */

/* A name, and what -P calls the default service is none. */
static bool is_name(const char *name) {
    return offer_is_name(name, (unsigned)fmt_length(name, OFFER_NAME + 1)) && strcmp(name, "-");
}

/* The first bytes of an argument, which stays as it is. */
static char *part(const char *text, const char *end) {
    static MEMORY_BULK char parts[(SERVICES_MAX + SERVICES_LISTENS) * 128];
    static size_t used;
    char *p = parts + used;
    size_t n = (size_t)(end - text) + 1;

    if (n > sizeof parts - used)
        log_fatal("too long: %s", text);
    fmt_copy(p, n, text);
    used += n;
    return p;
}

/* GUESTS/NAME: what the last slash divides. */
static void read_name(struct service *s, const char *text, char *whole) {
    char *slash = CONFIG_VIOS_PROXY_HOST ? strrchr(whole, '/') : NULL;

    s->name = slash ? slash + 1 : whole;
    if (!slash)
        return;
    *slash = '\0';
    s->guests = whole;
    if (!fmt_glob_valid(whole))
        log_fatal("-s %s: the pattern %s matches nothing", text, whole);
}

/* One more of -l, whose name is after the cut, or of -s, whose name is before it. The cut is at the
 * `=`; an empty text: there is none. */
static void add(char letter, struct service *list, unsigned *count, unsigned most, const char *text,
                const char *cut) {
    bool listens = letter == 'l';
    struct service *s = &list[*count];
    char *before;

    if (*count == most)
        log_fatal("-%c %s: more than %u of these", letter, text, most);
    if (!*cut)
        log_fatal("-%c %s: not %s", letter, text, listens ? "LISTEN=NAME" : "NAME=TARGET");
    before = part(text, cut);
    if (listens)
        s->name = cut + 1;
    else
        read_name(s, text, before);
    if (!is_name(s->name))
        log_fatal("-%c %s: " OFFER_NAMES, letter, text);
    if (where_any(&s->at, listens ? before : cut + 1))
        log_fatal("-%c %s: not " WHERE_FORMS ", or a path", letter, text);
    ++*count;
}

void services_add_listen(const char *text) {
    const char *cut = strrchr(text, '=');

    add('l', services_listens, &services_listen_count, SERVICES_LISTENS, text, cut ? cut : "");
}

void services_add(const char *text) {
    add('s', services, &services_count, SERVICES_MAX, text, fmt_find(text, '='));
}

#endif

/* ---- what is asked for ---- */

void services_set_default(const struct net_address *at) {
    has_default = at;
    if (at)
        services[services_count].at = *at;
}

void services_tell(const char *from) {
    const struct service *l = services_listens, *s = services;

    for (; CONFIG_FEATURE_SERVICES && s < services + services_count; s++)
        log_msg(LOG_INFO, "service %s of %s: %s", s->name, s->guests ? s->guests : "*", s->at.text);
    for (; CONFIG_FEATURE_SERVICES && l < services_listens + services_listen_count; l++)
        log_msg(LOG_INFO, "listening on %s for service %s, channels from %s", l->at.text, l->name,
                from);
}

/* Whether its path has a guest's name in it. */
static bool is_template(const struct service *s) {
    return CONFIG_FEATURE_SERVICES && CONFIG_FEATURE_UNIX && CONFIG_VIOS_PROXY_HOST &&
           s->at.sa.any.sa_family == AF_UNIX && guests_part(s->at.text);
}

bool services_know_guests(void) {
    for (unsigned i = 0; CONFIG_VIOS_PROXY_HOST && i < services_all(); i++)
        if (services[i].guests || is_template(&services[i]))
            return true;
    return false;
}

const struct net_address *services_expand(const struct service *s, const struct channel *ch) {
    static struct net_address at;

    if (!channel_guest(ch) || !is_template(s))
        return &s->at;
    return net_path(&at, guests_path(ch->guest, s->at.text)) ? NULL : &at;
}

unsigned services_all(void) { return services_count + has_default; }

bool services_are_local(void) {
    for (unsigned i = 0; i < services_all(); i++)
        if (!net_is_local(&services[i].at))
            return false;
    return true;
}

/* What stands before the slash of the channel's name. */
static bool is_of(const struct service *s, const struct channel *ch) {
    char guest[CHANNEL_NAME];

    if (!CONFIG_VIOS_PROXY_HOST || !s->guests)
        return true;
    fmt_copy(guest, channel_guest(ch)->length, ch->name);
    return fmt_glob(s->guests, guest);
}

/* The name that it asks for, and its length; NULL: the default service. */
static const char *name_in(const char *text, unsigned n, unsigned *length) {
    return session_offers_services(text, n) ? offer_word(text, n, 'S', length) : NULL;
}

static const struct service *find(const struct channel *ch, const char *name, unsigned n) {
    for (const struct service *s = services; s < services + services_count; s++)
        if (strlen(s->name) == n && !memcmp(s->name, name, n) && is_of(s, ch))
            return s;
    return NULL;
}

const struct service *services_find(const struct channel *ch, const char *text, unsigned n,
                                    const char **why) {
    static char no_service[CHANNEL_REFUSAL];
    unsigned length;
    const char *name = name_in(text, n, &length);
    const struct service *s;

    if (!name && has_default)
        return &services[services_count];
    s = name ? find(ch, name, length) : NULL;
    if (s)
        return s;
    *why = no_service;
    if (!name)
        fmt_copy(no_service, sizeof no_service, SESSION_NO_DEFAULT);
    else
        fmt_print(no_service, sizeof no_service, SESSION_NO_SERVICE "%.*s",
                  (int)(length < OFFER_NAME ? length : OFFER_NAME), name);
    return NULL;
}
