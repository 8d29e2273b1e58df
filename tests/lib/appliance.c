/* SPDX-License-Identifier: Apache-2.0 */
/* /init of an appliance: loads /modules/0.ko and so on, starts vios, fetches from the host, ends. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Asks the proxy until a channel is there: the bytes that came. */
static ssize_t fetch(char *text, size_t cap) {
    struct sockaddr_in service = {AF_INET, htons(5672), {htonl(INADDR_LOOPBACK)}, {0}};
    int s = socket(AF_INET, SOCK_STREAM, 0);
    ssize_t n = connect(s, (struct sockaddr *)&service, sizeof service) ? -1 : read(s, text, cap);

    close(s);
    return n;
}

int main(void) {
    char text[64], module[] = "/modules/0.ko";
    int fd, status, tries = 500;
    ssize_t n;
    pid_t pid;

    mount("dev", "/dev", "devtmpfs", 0, 0);
    mount("sys", "/sys", "sysfs", 0, 0);
    for (; (fd = open(module, O_RDONLY)) >= 0; module[9]++)
        syscall(SYS_finit_module, fd, "", 0);
    if (!(pid = fork()))
        execl("/vios", "vios-proxy-guest", (char *)0);
    while ((n = fetch(text, sizeof text)) <= 0 && --tries)
        usleep(20000); /* between two looks for a channel */
    kill(pid, SIGTERM);
    waitpid(pid, &status, 0);
    printf("APPLIANCE: fetched %.*s, vios ended with %d\n", n < 0 ? 0 : (int)n, text, status);
    fflush(stdout);
    reboot(RB_POWER_OFF);
}
