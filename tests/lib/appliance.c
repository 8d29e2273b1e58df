/* SPDX-License-Identifier: Apache-2.0 */
/* /init of an appliance: loads /modules/0.ko and so on, starts vios, sends bytes to the host and
 * gets them back, ends. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned char sent[100000], back[sizeof sent + 1];

/* Asks the proxy until a channel is there: the bytes that came back, up to their end. */
static size_t ask(void) {
    struct sockaddr_in service = {AF_INET, htons(5672), {htonl(INADDR_LOOPBACK)}, {0}};
    int s = socket(AF_INET, SOCK_STREAM, 0);
    size_t all = 0;
    ssize_t n;

    if (!connect(s, (struct sockaddr *)&service, sizeof service) &&
        write(s, sent, sizeof sent) > 0 && !shutdown(s, SHUT_WR))
        while ((n = read(s, back + all, sizeof back - all)) > 0)
            all += (size_t)n;
    close(s);
    return all;
}

int main(void) {
    char module[] = "/modules/0.ko";
    int fd, status, tries = 500;
    size_t n;
    pid_t pid;

    signal(SIGPIPE, SIG_IGN);
    mount("dev", "/dev", "devtmpfs", 0, 0);
    mount("sys", "/sys", "sysfs", 0, 0);
    for (; (fd = open(module, O_RDONLY)) >= 0; module[9]++)
        syscall(SYS_finit_module, fd, "", 0);
    for (n = 0; n < sizeof sent; n++)
        sent[n] = (unsigned char)(n * n >> 7);
    if (!(pid = fork()))
        execl("/vios", "vios-proxy-guest", (char *)0);
    while (!(n = ask()) && --tries)
        usleep(20000); /* between two looks for a channel */
    kill(pid, SIGTERM);
    waitpid(pid, &status, 0);
    printf("APPLIANCE: %zu bytes came back, %s, vios ended with %d\n", n,
           memcmp(sent, back, sizeof sent) ? "wrong" : "right", status);
    fflush(stdout);
    reboot(RB_POWER_OFF);
}
