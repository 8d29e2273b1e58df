#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Stops vios-proxy-guest, unless it is configured to stay. Read by dracut's shell, so it must not exit.
sh /usr/lib/vios/initramfs stop
