/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "crowd.h"
#include "error.h"
#include "file.h"
#include "fmt.h"
#include "holder.h"
#include "link.h"
#include "log.h"
#include "loop.h"
#include "memory.h"
#include "net.h"
#include "pool.h"
#include "sys.h"
#include "watch.h"

/* A port's read() takes one buffer of the ring at most; but its readv() does that for each segment, as long as the one before was
 * filled. vios-protocol(7), port fact 2. */
enum { PORT_READ = 4096, SEGMENTS = CONFIG_BUFFER_SIZE / PORT_READ + 1 };
/* Bytes that may come without a connection: at once (the filler of two connections), and in a millisecond. The original's guest
 * sends 3 MB/s of filler at most. */
enum { JUNK_BURST = 2 * FRAME_FILLER_BYTES, JUNK_RATE = 4096 };

static MEMORY_BULK _Alignas(MEMORY_PAGE) struct channel table[CHANNEL_MAX];
static long long first_retry;
static unsigned count; /* slots 0..count-1 have been in use */

struct channel *channel_at(unsigned i) { return &table[i]; }

unsigned channel_count(void) { return count; }

struct channel *channel_find(const char *name) {
    for (unsigned i = 0; i < count; i++)
        if (!strcmp(table[i].name, name))
            return &table[i];
    return NULL;
}

struct channel *channel_add(const char *name, unsigned limit) {
    struct channel *ch = channel_find("");

    if (!ch && count < limit)
        ch = &table[count++];
    if (!ch)
        return NULL;
    *ch = (struct channel){.fd = -1};
    fmt_copy(ch->name, sizeof ch->name, name);
    return ch;
}

void channel_forget(struct channel *ch) {
    ch->name[0] = '\0';
    ch->retry = 0;
    while (count && !*table[count - 1].name)
        count--;
}

/* ---- what is under way ---- */

/* One input more than channels may be busy: an idle channel can always be read, if only to refuse its SYN. */
static MEMORY_BULK struct input inputs[CHANNEL_BUSY + 1];
static MEMORY_BULK struct output outputs[CHANNEL_BUSY];
static struct pool input_pool = POOL(inputs), output_pool = POOL(outputs);
static struct channel *busy[CHANNEL_BUSY + 1];
static unsigned busy_count, busy_limit = CHANNEL_BUSY;
static struct channel *marked;

void channel_occupy(struct channel *ch) {
    if (ch->place)
        return;
    busy[busy_count++] = ch;
    ch->place = busy_count;
}

static void vacate(struct channel *ch) {
    struct channel *last = busy[--busy_count];

    busy[ch->place - 1] = last;
    last->place = ch->place;
    ch->place = 0;
}

struct input *channel_input(struct channel *ch) {
    if (!ch->in) {
        ch->in = pool_take(&input_pool);
        memset(ch->in, 0, offsetof(struct input, text));
        channel_occupy(ch);
    }
    return ch->in;
}

struct output *channel_output(struct channel *ch) {
    if (!ch->out)
        ch->out = pool_take(&output_pool);
    return ch->out;
}

void channel_tidy(struct channel *ch) {
    if (ch->out && !ch->owed_bytes) {
        pool_give(&output_pool, ch->out);
        ch->out = NULL;
    }
    if (ch->in && ch->in->head == ch->in->tail && ch->in->raw == ch->in->filled)
        ch->in->head = ch->in->tail = ch->in->raw = ch->in->filled = 0;
    if (ch->in && !ch->in->filled && !ch->in->left) {
        pool_give(&input_pool, ch->in);
        ch->in = NULL;
    }
    if (ch->place && !ch->in && !ch->conns)
        vacate(ch);
}

void channel_skip_frame(struct channel *ch) {
    if (!ch->in)
        return;
    ch->in->left = 0;
    ch->in->deadline = 0;
}

void channel_skip_input(struct channel *ch) {
    channel_skip_frame(ch);
    if (ch->in)
        ch->in->raw = ch->in->filled;
}

void channel_rewind(struct channel *ch) {
    channel_skip_frame(ch);
    ch->decoder = (struct frame_decoder){0};
}

void channel_answered(struct channel *ch) {
    ch->aligned = true;
    ch->silent = false;
}

void channel_unanswered(struct channel *ch) {
    ch->silent = ch->attached;
    ch->aligned = false;
}

void channel_hush(struct channel *ch) {
    if (ch->fd >= 0)
        loop_quiet(ch->fd, !ch->conns && !ch->in && !ch->owed_bytes);
}

struct channel *channel_busy_at(unsigned i) { return busy[i]; }

unsigned channel_busy(void) { return busy_count; }

void channel_limit_busy(unsigned limit) { busy_limit = limit; }

bool channel_is_excess(const struct channel *ch) { return busy_count > busy_limit && !ch->conns; }

unsigned channel_busy_beside(const struct channel *ch, size_t n) {
    unsigned found = 0;

    for (unsigned i = 0; i < busy_count; i++)
        found += busy[i] != ch && !strncmp(busy[i]->name, ch->name, n);
    return found;
}

void channel_trim(void) {
    pool_trim(&input_pool);
    pool_trim(&output_pool);
}

void channel_mark(struct channel *ch) {
    if (ch->marked)
        return;
    ch->marked = true;
    ch->next_marked = marked;
    marked = ch;
}

bool channel_is_any_marked(void) { return marked; }

void channel_review(void (*decide)(struct channel *ch)) {
    while (marked) {
        struct channel *ch = marked;

        marked = ch->next_marked;
        ch->marked = false;
        decide(ch);
    }
}

static void retry_at(struct channel *ch, long long when) {
    ch->retry = when;
    if (!first_retry || when < first_retry)
        first_retry = when;
}

unsigned channel_backoff(unsigned before) {
    unsigned next = before ? before * 2 : CONFIG_RETRY_MIN;

    return next > CONFIG_RETRY_MAX ? CONFIG_RETRY_MAX : next;
}

void channel_later(struct channel *ch, long long now) {
    ch->backoff = channel_backoff(ch->backoff);
    retry_at(ch, now + ch->backoff);
}

void channel_idle_bytes(struct channel *ch, size_t n, long long now) {
    unsigned owed = debt_add(&ch->junk, now, JUNK_RATE, (unsigned)n);

    if (owed <= JUNK_BURST)
        return;
    log_limited(channel_limit(ch, now), now, LOG_WARN, "%s: floods, without a connection: it is read slowly", ch->name);
    ch->paused = true;
    retry_at(ch, now + 1 + (owed - JUNK_BURST) / JUNK_RATE);
}

long long channel_retry_at(void) { return first_retry; }

void channel_retry(long long now, void (*again)(struct channel *ch)) {
    enum { TURN = 64 }; /* that are opened in a turn of the loop */
    unsigned tries = 0;

    if (!first_retry || now < first_retry)
        return;
    first_retry = 0;
    for (unsigned i = 0; i < count; i++) {
        struct channel *ch = &table[i];

        if (ch->retry && ch->retry <= now && (ch->fd >= 0 || tries++ < TURN)) {
            ch->retry = 0;
            again(ch);
        }
        if (ch->retry && (!first_retry || ch->retry < first_retry))
            first_retry = ch->retry;
    }
}

static bool distrusts; /* only the host's proxy does */

void channel_distrust(void) { distrusts = true; }

size_t channel_guest(const char *name) { return (size_t)(fmt_find(name, '/') - name) + 1; }

unsigned channel_crowd(const char *name, bool open) {
    size_t n = channel_guest(name);
    unsigned others = 0;

    for (unsigned i = 0; i < count; i++)
        others += !strncmp(table[i].name, name, n) && (!open || table[i].fd >= 0);
    return others;
}

bool channel_is_another(const struct channel *ch) {
    return ch->monitor && file_inode(watch_path(ch->name), false) != ch->inode;
}

/* Whether a channel's socket has gone, or another file has taken its place. */
static bool is_missing(const struct channel *ch, int directory) {
    unsigned long long inode;

    if (file_look(directory, fmt_base(ch->name), &inode) < 0)
        return errno == ENOENT;
    return ch->fd >= 0 && inode != ch->inode;
}

static bool is_in(const struct channel *ch, const char *directory) {
    size_t n = strlen(directory);

    if (!n)
        return *ch->name && !*fmt_find(ch->name, '/');
    return fmt_begins(ch->name, directory) && ch->name[n] == '/';
}

void channel_missing(const char *below, int directory, bool (*tell)(const char *name, bool there)) {
    for (unsigned i = count; i-- > 0;) {
        const struct channel *ch = &table[i];
        char name[CHANNEL_NAME];

        if (!is_in(ch, below) || !is_missing(ch, directory))
            continue;
        fmt_copy(name, sizeof name, ch->name);
        tell(name, false);
    }
}

struct log_limit *channel_limit(struct channel *ch, long long now) {
    struct log_limit *others = NULL;

    if (CONFIG_VIOS_PROXY_HOST && distrusts && !ch->ends.next)
        others = crowd_limit(ch->name, channel_guest(ch->name), now);
    return others ? others : &ch->ends;
}

void channel_ended(struct channel *ch, struct log_limit *limit, const char *client, const char *how, const char *why) {
    bool probe = !strcmp(why, LINK_PROBE); /* as it says itself: nothing has failed */

    if (CONFIG_FEATURE_STATUS && *why && !probe)
        fmt_copy(ch->failure, sizeof ch->failure, why);
    if (!limit)
        limit = channel_limit(ch, loop_now());
    log_limited(limit, loop_now(), probe ? LOG_INFO : LOG_WARN, "%s: %s: %s%s%s", ch->name, client, how, *why ? ": " : "", why);
}

/* A console port, which will never be a channel: vios-protocol(7), port fact 1. */
static bool is_console(const struct channel *ch) { return ch->port && ch->reason == ENXIO; }

const char *channel_why(const struct channel *ch, const char *path) {
    if (is_console(ch))
        return "it is a console";
    return ch->port && ch->reason == EBUSY ? holder_at(path) : error_text(ch->reason);
}

static int failed(struct channel *ch, const char *path, const char *what, long long now) {
    /* QEMU has made the socket, and listens in a moment; or the name of a port that has gone will go in a moment */
    bool passing = !ch->failures++ && (errno == ECONNREFUSED || errno == EAGAIN || errno == ENOENT);
    struct log_limit once = {0}, *limit;

    ch->reason = errno;
    if (!is_console(ch))
        channel_later(ch, now);
    if (ch->complained || passing)
        return -1;
    limit = channel_limit(ch, now);
    if (limit == &ch->ends) /* is for those of its connections */
        limit = &once;
    ch->complained = log_limited(limit, now, LOG_ERROR, "%s %s: %s; %s", what, ch->name,
                                 channel_why(ch, path), is_console(ch) ? "left alone" : "trying again");
    return -1;
}

static int set_nonblocking(struct channel *ch, int fd, const char *path, long long now) {
    const char *call = net_set_nonblocking(fd);
    char what[48];

    if (!call)
        return 0;
    fmt_print(what, sizeof what, "%s on host channel:", call);
    return failed(ch, path, what, now);
}

/* When this channel's turn is, of those of its guest that wait: the first ones when the guest has heard all that is under way. */
static long long turn(const struct channel *ch, long long now) {
    enum { FIRST = 200, NEXT = 25 /* ms */, BATCH = 5 };
    size_t n = (size_t)(fmt_base(ch->name) - ch->name); /* of the guest's name and a slash */
    unsigned before = 0;

    for (unsigned i = 0; i < count; i++)
        before += table[i].visited && table[i].retry && !strncmp(table[i].name, ch->name, n);
    return now + FIRST + before / BATCH * NEXT;
}

/* QEMU itself, or a program that cannot be told. */
static bool is_of_qemu(int fd) {
    char comm[16];

    return CONFIG_VIOS_PROXY_HOST && net_peer(fd, comm) && (!*comm || fmt_begins(comm, "qemu"));
}

static int open_socket(const char *name, int mode) {
    struct net_address a;
    bool pending;

    errno = S_ISSOCK(mode) ? ENAMETOOLONG : ENODEV;
    return S_ISSOCK(mode) && !net_path(&a, name) ? net_connect(&a, &pending) : -1;
}

/* What was a socket when its name was seen may be a link to anything by now. So what is there is held, then looked at, and it is to that
 * which we connect. */
static int open_held(struct channel *ch) {
    int reason, fd, held = watch_open(ch->name, O_PATH);
    char name[32];

    if (held < 0)
        return -1;
    fmt_print(name, sizeof name, "/proc/self/fd/%d", held);
    fd = open_socket(name, file_look(held, "", &ch->inode));
    reason = errno;
    close(held);
    errno = reason;
    return fd;
}

/* Opens either kind of endpoint. */
static int open_endpoint(struct channel *ch, const char *path) {
    int mode;

    if (CONFIG_VIOS_PROXY_HOST && distrusts)
        return open_held(ch);
    mode = file_mode(path, true);
    if (mode < 0)
        return -1;
    ch->port = S_ISCHR(mode);
    return ch->port ? file_open_port(path) : open_socket(path, mode);
}

/* Whether it takes one of the last descriptors, which are for guests that have none. */
static bool is_greedy(const struct channel *ch, int fd) {
    return CONFIG_VIOS_PROXY_HOST && distrusts && loop_fits(fd) && loop_is_last(fd) && channel_crowd(ch->name, true);
}

/* Closes its descriptor. False: that could take as long as the other side likes, so nothing is done with it any more. */
static bool release(struct channel *ch, int fd) {
    if (!CONFIG_VIOS_PROXY_HOST || !distrusts) {
        close(fd);
        return true;
    }
    if (net_close(fd))
        return true;
    ch->foul = true;
    log_msg(LOG_ERROR, "%s: the other side passes descriptors: left alone for good", ch->name);
    return false;
}

int channel_open(struct channel *ch, const char *path, long long now) {
    enum { FEW = 8 }; /* of each: the last host has gone, we come, go, and come again; 32 pieces of news are kept, see below */
    int fd = open_endpoint(ch, path);

    /* vios-protocol(7), socket facts 6 and 7.
     * QEMU, when a client goes that had not read all, may stop reading the guest's port for good (7.2 now and then, 10.0 always): the
     * next client hears nothing, but its going mends that. So there is one before us.
     * And QEMU keeps 32 pieces of news, of attaching and of going, until a guest has read them, and drops others. A guest with few
     * channels can be told of all at once, even after a host that has just died. Of one with many we make ourselves heard a little
     * later, with no more than one piece of news for each channel. */
    if (fd >= 0 && !ch->visited && is_of_qemu(fd)) {
        if (!release(ch, fd))
            return -1;
        if (watch_more_than(ch->name, FEW)) {
            retry_at(ch, turn(ch, now));
            ch->visited = true;
            return -1;
        }
        fd = open_endpoint(ch, path);
    }
    if (CONFIG_VIOS_PROXY_HOST)
        ch->visited = false;
    if (fd < 0)
        return failed(ch, path, "channel", now);
    if (set_nonblocking(ch, fd, path, now)) {
        release(ch, fd);
        return -1;
    }
    if (is_greedy(ch, fd)) {
        release(ch, fd);
        errno = EMFILE;
        return failed(ch, path, "channel", now);
    }
    if (!loop_fits(fd)) {
        release(ch, fd);
        errno = EMFILE;
        return failed(ch, path, "select() holds no more descriptors (FD_SETSIZE 1024): channel", now);
    }
    ch->fd = fd;
    ch->decoder = (struct frame_decoder){0};
    ch->attached = true;
    ch->failures = 0;
    ch->aligned = ch->broken = ch->complained = ch->silent = ch->heard = ch->monitor = false;
    ch->retry = 0;
    ch->backoff = 0;
    ch->reason = 0;
    return 0;
}

void channel_close(struct channel *ch) {
    if (ch->fd < 0)
        return;
    loop_watch(ch->fd, 0, NULL, NULL);
    if (CONFIG_VIOS_PROXY_HOST)
        loop_quiet(ch->fd, false);
    release(ch, ch->fd);
    ch->fd = -1;
    ch->paused = false;
    ch->retry = 0;
    channel_detached(ch);
}

void channel_detached(struct channel *ch) {
    ch->attached = false;
    ch->owed_bytes = 0;
    ch->decoder = (struct frame_decoder){0};
}

void channel_attached(struct channel *ch) {
    ch->attached = ch->aligned = true;
    ch->silent = false;
}

static enum channel_result lost(struct channel *ch) {
    ch->broken = true;
    return CHANNEL_LOST;
}

/* How much of this room a readv() of the port may use: its last segment must not be too short for a greeting. */
static size_t port_room(size_t room) { return room % PORT_READ < FRAME_HEADER ? room - room % PORT_READ : room; }

static ssize_t read_buffers(int fd, unsigned char *p, size_t n) {
    struct iovec v[SEGMENTS];
    int segments = 0;

    for (size_t at = 0; at < n; at += PORT_READ)
        v[segments++] = (struct iovec){p + at, n - at < PORT_READ ? n - at : PORT_READ};
    return readv(fd, v, segments);
}

/* vios-protocol(7), port fact 7.
 * A host that is replaced while bytes of the old one are still unread looks attached all the time, and its INIT would be taken for
 * payload of the frame that was cut off. But no buffer of a port joins what came before a host's attaching with what came after:
 * so this is a new host's greeting, in whatever frame it stands. (A service that sends these very bytes in this way ends its own
 * connection.) Where in n bytes, of which each PORT_READ are a buffer, one begins with it; n: nowhere. */
static size_t find_greeting(const unsigned char *p, size_t n) {
    static const unsigned char init[FRAME_HEADER] = "VS1HINITINIT";

    for (size_t at = 0; at + FRAME_HEADER <= n; at += PORT_READ)
        if (!memcmp(p + at, init, FRAME_HEADER))
            return at;
    return n;
}

enum channel_result channel_read(struct channel *ch, bool framed, unsigned char *p, size_t room, size_t *n) {
    bool again = false; /* often one buffer of a port is all there is */

    *n = 0;
    while (*n + CHANNEL_ROOM(ch) <= room) {
        size_t asked = room - *n, took;
        ssize_t got;

        if (ch->port)
            asked = again ? port_room(asked) : asked < PORT_READ ? asked : PORT_READ;
        got = again && ch->port ? read_buffers(ch->fd, p + *n, asked) : net_read(ch->fd, p + *n, asked);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return *n ? CHANNEL_DONE : CHANNEL_BLOCKED;
        if (got <= 0)
            return ch->port && !got ? CHANNEL_DETACHED : lost(ch);
        took = ch->port && framed ? find_greeting(p + *n, (size_t)got) : (size_t)got;
        *n += took;
        if (took < (size_t)got)
            return CHANNEL_RENEWED;
        if (took < asked)
            break;
        again = true;
    }
    return CHANNEL_DONE;
}

enum channel_result channel_flush(struct channel *ch) {
    while (ch->owed_bytes) {
        ssize_t done = write(ch->fd, ch->owed, ch->owed_bytes);

        if (done < 0 && errno == EINTR)
            continue;
        if (!done || (done < 0 && errno == EAGAIN))
            return CHANNEL_BLOCKED;
        if (CONFIG_VIOS_PROXY_HOST && done < 0 && errno == EPIPE)
            done = (ssize_t)ch->owed_bytes; /* QEMU has gone; what it has handed over is still to be read, and then its end */
        if (done < 0)
            return lost(ch);
        ch->owed += done;
        ch->owed_bytes -= (size_t)done;
    }
    return CHANNEL_DONE;
}

enum channel_result channel_write(struct channel *ch, const unsigned char *p, size_t n) {
    ch->owed = p;
    ch->owed_bytes = n;
    return channel_flush(ch);
}

enum channel_result channel_note(struct channel *ch, struct frame *f, const char *text) {
    size_t n = fmt_length(text, CHANNEL_NOTE - FRAME_HEADER);

    f->length = (unsigned)n;
    frame_encode(ch->note, f);
    memcpy(ch->note + FRAME_HEADER, text, n);
    return channel_write(ch, ch->note, FRAME_HEADER + n);
}
