/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "guests.h"
#include "log.h"
#include "responder.h"
#include "watch.h"

/* What was a socket when its name was seen may be something else by now: then it is none of ours. */
static const char *path_of(const char *name) {
    int mode = watch_mode(name);

    return mode < 0 || S_ISSOCK(mode) ? watch_path(name) : NULL;
}

static void tell_again(const char *name) {
    if (name)
        watch_name(name);
    else
        watch_all();
}

int host_run(const struct setup *setup, unsigned limit) {
    static const struct proxy_names names = {
        .limit = CONFIG_HOST_CHANNELS,
        .option = "HOST_CHANNELS",
        .path = path_of,
        .again = tell_again,
        .join = guests_join,
        .leave = guests_leave,
        .opened = responder_greet,
    };

    responder_init(setup->service, limit);
    watch_check(setup->directory);
    if (access("/proc/self/fd", F_OK))
        log_fatal("/proc is not mounted: sockets are opened through it");
    relay_init(&responder);
    proxy_init(&names);
    watch_start(setup->directory, true, proxy_name);
    log_msg(LOG_INFO, "serving %s from %s", setup->service->text, setup->directory);
    proxy_run(NULL);
    return EXIT_SUCCESS;
}
