/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/advice.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/fmt.h"

#define VIRTIO "/sys/bus/virtio"
#define PCI "/sys/bus/pci/devices"

struct tally {
    unsigned consoles, pci, nodes; /* virtio-serial devices, those on the PCI bus, their ports */
};

static bool is_id(const char *directory, const char *device, const char *file, const char *id) {
    char path[128], text[16];

    fmt_print(path, sizeof path, "%s/%s/%s", directory, device, file);
    return file_read(path, text, sizeof text) > 0 && !strcmp(text, id);
}

static bool tally_virtio(const char *device, void *arg) {
    ((struct tally *)arg)->consoles += is_id(VIRTIO "/devices", device, "device", "0x0003");
    return true;
}

static bool tally_pci(const char *device, void *arg) {
    struct tally *t = arg;

    t->pci += is_id(PCI, device, "vendor", "0x1af4") &&
              (is_id(PCI, device, "device", "0x1003") || is_id(PCI, device, "device", "0x1043"));
    return true;
}

static bool tally_node(const char *node, void *arg) {
    (void)node;
    ((struct tally *)arg)->nodes++;
    return true;
}

void why_none(const char *directory, void (*say)(const char *reason)) {
    struct tally t = {0};
    bool driver = !access(VIRTIO "/drivers/virtio_console", F_OK);

    if (directory) {
        say("the directory holds no port, no link to one, and no unix socket");
        return;
    }
    if (access("/sys/class", F_OK)) {
        say("sysfs, which says why, is not mounted: mount -t sysfs sysfs /sys");
        return;
    }
    if (!driver)
        say("the driver virtio_console is not loaded: modprobe virtio_console");
    file_list(FILE_PORTS, true, tally_node, &t);
    file_list(VIRTIO "/devices", true, tally_virtio, &t);
    if (!t.consoles)
        file_list(PCI, true, tally_pci, &t);
    if (t.pci)
        say("a virtio-serial device is there, but its driver virtio_pci is not loaded: modprobe virtio_pci");
    else if (!t.consoles)
        say("there is no virtio-serial device: QEMU needs -device virtio-serial");
    if (driver && t.consoles)
        say(t.nodes
                ? "the virtio-serial device has only consoles or ports without a name: QEMU needs -device virtserialport,chardev=ID,name=NAME"
                : "the virtio-serial device has no port: QEMU needs -device virtserialport,chardev=ID,name=NAME");
}
