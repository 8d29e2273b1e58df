#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# dracut's module: vios-proxy-guest in the initramfs. Taken only if it is asked for: add_dracutmodules+=" vios ".

check() {
    [[ -x @BINDIR@/vios ]] || return 1
    return 255
}

depends() {
    return 0
}

installkernel() {
    hostonly='' instmods virtio_pci virtio_mmio virtio_console
}

# shellcheck disable=SC2154 # dracut sets initdir and moddir
install() {
    local applet config

    inst_multiple sh sleep
    inst_simple @BINDIR@/vios /usr/bin/vios
    for applet in $(@BINDIR@/vios --list); do
        ln -sfn vios "$initdir/usr/bin/$applet"
    done
    ln -sfn vios "$initdir/usr/bin/@vios-proxy-guest"
    inst_simple @LIBDIR@/initramfs /usr/lib/vios/initramfs
    for config in /etc/vios/initramfs.conf /etc/vios/initramfs.d/*.conf /etc/vios/initramfs.d/*.options; do
        [[ ! -e $config ]] || inst_simple "$config" "$config"
    done
    inst_hook pre-trigger 10 "$moddir/start.sh"
    inst_hook cleanup 90 "$moddir/stop.sh"
}
