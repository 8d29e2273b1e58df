/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/* The test guest's process 1: runs commands for tests/lib/guest.py over a serial line (argv[1]).
 *
 *   to the guest     run ID LENGTH\n  and LENGTH bytes of shell command;   kill ID SIGNAL\n
 *   from the guest   ready 0 0\n;  out ID LENGTH\n  and LENGTH bytes that the command wrote;  end
 *                    ID STATUS\n
 *
 * A command ends when its shell has; what processes that it left behind write later is not told.
 * STATUS is the exit status, or 256 + the signal that killed it. */
/* clang-format on */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { JOBS = 64, COMMAND = 65536 };

struct job {
    int id;
    pid_t pid; /* 0: the slot is free */
    int out;
};

static struct job jobs[JOBS];
static int line;
static sigset_t none;

static void put(const void *data, size_t size) {
    const char *p = data;
    while (size) {
        ssize_t n = write(line, p, size);
        if (n > 0) {
            p += n;
            size -= (size_t)n;
        }
    }
}

static void tell(const char *what, int id, int value) {
    char text[64];
    put(text, (size_t)snprintf(text, sizeof text, "%s %d %d\n", what, id, value));
}

static int get(void) {
    unsigned char c;
    while (read(line, &c, 1) != 1)
        ;
    return c;
}

static void run(int id, char *command) {
    int out[2];
    struct job *job = jobs;
    while (job < jobs + JOBS && job->pid)
        job++;
    if (job == jobs + JOBS || pipe(out)) {
        tell("end", id, 255);
        return;
    }
    job->id = id;
    job->out = out[0];
    job->pid = fork();
    if (!job->pid) {
        setsid();
        dup2(out[1], 1);
        dup2(out[1], 2);
        close(out[0]);
        close(out[1]);
        close(line);
        close(0);
        open("/dev/null", O_RDONLY);
        signal(SIGCHLD, SIG_DFL);
        sigprocmask(SIG_SETMASK, &none, 0);
        execl("/bin/sh", "sh", "-c", command, (char *)0);
        _exit(127);
    }
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    fcntl(out[0], F_SETFD, FD_CLOEXEC);
    close(out[1]);
}

static void obey(void) {
    static char command[COMMAND + 1];
    char verb[16], text[64];
    int id, value;
    size_t n = 0;
    for (int c; (c = get()) != '\n';)
        if (n < sizeof text - 1)
            text[n++] = (char)c;
    text[n] = 0;
    if (sscanf(text, "%15s %d %d", verb, &id, &value) != 3)
        return;
    if (!strcmp(verb, "run") && value >= 0 && value <= COMMAND) {
        for (n = 0; n < (size_t)value; n++)
            command[n] = (char)get();
        command[n] = 0;
        run(id, command);
    } else if (!strcmp(verb, "kill")) {
        for (struct job *job = jobs; job < jobs + JOBS; job++)
            if (job->pid && job->id == id)
                kill(job->pid, value);
    }
}

/* Passes on a piece of what the command wrote; false when there is no more for now, or for ever. */
static int listen_to(struct job *job) {
    char data[4096];
    ssize_t n = job->out < 0 ? -1 : read(job->out, data, sizeof data);
    if (n > 0) {
        tell("out", job->id, (int)n);
        put(data, (size_t)n);
    } else if (n == 0) { /* it closed its output, and may live on */
        close(job->out);
        job->out = -1;
    }
    return n > 0;
}

static void reap(void) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (struct job *job = jobs; job < jobs + JOBS; job++)
            if (job->pid == pid) {
                while (listen_to(job))
                    ;
                if (job->out >= 0)
                    close(job->out);
                job->pid = 0;
                tell("end", job->id,
                     WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status));
            }
}

static void on_child(int sig) { (void)sig; }

int main(int argc, char **argv) {
    struct termios raw;
    sigset_t child;
    line = open(argc > 1 ? argv[1] : "/dev/ttyS1", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (line < 0)
        return 1;
    if (!tcgetattr(line, &raw)) {
        cfmakeraw(&raw);
        tcsetattr(line, TCSANOW, &raw);
    }
    sigemptyset(&none);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, 0);
    signal(SIGCHLD, on_child);
    tell("ready", 0, 0);
    for (;;) {
        fd_set set;
        int max = line;
        FD_ZERO(&set);
        FD_SET(line, &set);
        for (struct job *job = jobs; job < jobs + JOBS; job++)
            if (job->pid && job->out >= 0) {
                FD_SET(job->out, &set);
                max = job->out > max ? job->out : max;
            }
        if (pselect(max + 1, &set, 0, 0, 0, &none) > 0) {
            for (struct job *job = jobs; job < jobs + JOBS; job++)
                if (job->pid && job->out >= 0 && FD_ISSET(job->out, &set))
                    (void)listen_to(job);
            if (FD_ISSET(line, &set))
                obey();
        }
        reap();
    }
}
