# SPDX-License-Identifier: Apache-2.0
# Included by the Makefile: vios in initramfs and under supervisors, and what distributions need. applets/integration/install
# says what there is.

LIBDIR = $(PREFIX)/lib/vios
SYSTEM = auto
SUPERVISOR = auto

# Kconfig's list without the words that say whose ports these are, as udev has it.
FOREIGN = sed -n -e '/FOREIGN_PORTS/{s/=[^ "]*//g; s/^[^"]*" *//; s/ *"$$//; s/  */|/g; p;}' $(O)/config.h
OF_BUILD = FOREIGN_PORTS="$$($(FOREIGN))" APPLETS='$(APPLETS)' FEATURES='$(FEATURES)'
INTEGRATE = $(OF_BUILD) DESTDIR='$(DESTDIR)' BINDIR='$(BINDIR)' LIBDIR='$(LIBDIR)' applets/integration/install

.PHONY: install-initramfs install-service uninstall-initramfs uninstall-service dist deb

install-initramfs: install
	@$(INTEGRATE) $(SYSTEM:auto=initramfs)

install-service: install
	@$(INTEGRATE) $(SUPERVISOR:auto=service)

uninstall-initramfs:
	@$(INTEGRATE) -r $(SYSTEM:auto=initramfs)

uninstall-service:
	@$(INTEGRATE) -r $(SUPERVISOR:auto=service)

# What is committed, always the same bytes: the times are the commit's, or SOURCE_DATE_EPOCH.
dist:
	@mkdir -p $(O)
	@set -e; dist=$$(mktemp -d $(O)/dist.XXXXXX); trap 'rm -rf $$dist' EXIT; mkdir $$dist/tree; \
	[ -e .git ] || { echo 'dist: not a checkout: it takes what is committed' >&2; exit 1; }; \
	epoch=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct)}; \
	git archive -o $$dist/commit.tar HEAD; \
	tar -C $$dist/tree -xf $$dist/commit.tar; \
	find $$dist/tree ! -type d -printf '%P\n' | sort >$$dist/names; \
	tar -C $$dist/tree -cf $$dist/all.tar -T $$dist/names --format=ustar --sort=name --mtime=@$$epoch --owner=root:0 --group=root:0 \
		--mode=u=rwX,go=rX --transform='s|^|vios-$(VERSION)/|S'; \
	gzip -9n <$$dist/all.tar >$(O)/vios-$(VERSION).tar.gz
	@echo $(O)/vios-$(VERSION).tar.gz

deb: all
	@$(OF_BUILD) O='$(O)' MAKE='$(MAKE)' applets/integration/deb $(VERSION)
