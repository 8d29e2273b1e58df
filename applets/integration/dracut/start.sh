#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Starts vios-proxy-guest. Read by dracut's shell, so it must not exit.
sh /usr/lib/vios/initramfs start
