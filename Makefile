# SPDX-License-Identifier: Apache-2.0
# For GNU make, a C compiler for musl, and a POSIX shell with awk. "make help" lists the targets.

VERSION = 1.0

O = build
PREFIX = /usr/local
BINDIR = $(PREFIX)/bin
MANDIR = $(PREFIX)/share/man
KCONFIG_CONFIG ?= .config
AWK = awk
INSTALL = install
STRIP = $(CROSS_COMPILE)strip

export LC_ALL = C
export CROSS_COMPILE KCONFIG_CONFIG
MAKEFLAGS += --no-builtin-rules --no-print-directory
Q = $(if $(filter-out 0,$(V)),,@)
SHOW = @$(if $(if $(Q),,V)$(findstring s,$(firstword -$(MAKEFLAGS))),:,printf '  %-8s%s\n')

CONFIG_TARGETS = defconfig guest_defconfig host_defconfig allyesconfig allnoconfig randconfig olddefconfig savedefconfig oldconfig menuconfig nconfig
NO_BUILD_TARGETS = $(CONFIG_TARGETS) clean distclean help check demo bench chaos soak fuzz cost

.PHONY: all install uninstall $(NO_BUILD_TARGETS) FORCE
all: $(O)/vios

# Several targets of which some change the configuration, or do not need one: one after another.
ifneq ($(filter $(NO_BUILD_TARGETS),$(MAKECMDGOALS)),)
ifneq ($(words $(MAKECMDGOALS)),1)
ONE_BY_ONE = y
endif
endif

ifdef ONE_BY_ONE
.PHONY: one-by-one $(MAKECMDGOALS)
$(MAKECMDGOALS): one-by-one
	@:
one-by-one:
	@set -e; for target in $(MAKECMDGOALS); do $(MAKE) $$target; done
else

ifneq ($(words $(O)),1)
$(error O=$(O): blanks cannot be in it)
endif
ifneq ($(words $(KCONFIG_CONFIG)),1)
$(error KCONFIG_CONFIG=$(KCONFIG_CONFIG): blanks cannot be in it)
endif

# ---- configuration ----

KCONFIG = $(AWK) -f applets/kbuild/kconfig.awk
DOTCONFIG = $(wildcard $(KCONFIG_CONFIG))

# What make clean may clear: a directory that was made for this, or was empty.
MARK = $(O)/.vios-build
MAKE_O = mkdir -p $(O); [ -e $(MARK) ] || { set -- $(O)/*; [ -e "$$1" ]; } || echo 'made by the Makefile of vios' >$(MARK)

# Read anew every time, rewritten only when it differs.
$(O)/config.mk: FORCE
	@$(MAKE_O)
	@$(KCONFIG) -v mode=build -v header=$(O)/config.h.new -v makefile=$@.new Kconfig $(DOTCONFIG)
	@for f in $(O)/config.h $@; do cmp -s $$f.new $$f && rm $$f.new || mv $$f.new $$f; done

$(O)/config.h: $(O)/config.mk ;

defconfig guest_defconfig host_defconfig allyesconfig allnoconfig randconfig olddefconfig:
	@$(MAKE_O)
	@seed=$${KCONFIG_SEED:-$$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}; \
	[ $@ != randconfig ] || echo "KCONFIG_SEED=$$seed"; \
	$(KCONFIG) -v mode=$@ -v seed=$$seed Kconfig $(DOTCONFIG) >$(O)/.config.new
	@mv $(O)/.config.new $(KCONFIG_CONFIG)

savedefconfig:
	@$(MAKE_O)
	@$(KCONFIG) -v mode=$@ Kconfig $(DOTCONFIG) >$(O)/defconfig
	@echo "$(O)/defconfig: what differs from the defaults"

oldconfig menuconfig nconfig:
	@AWK='$(AWK)' applets/kbuild/edit $@ $(O) $(KCONFIG_CONFIG)

# ---- the binary ----

ifeq ($(filter $(NO_BUILD_TARGETS),$(MAKECMDGOALS)),)
ifeq ($(DOTCONFIG)$(filter .config,$(KCONFIG_CONFIG)),)
$(error KCONFIG_CONFIG=$(KCONFIG_CONFIG): no such file)
endif
include $(O)/config.mk
GIVEN_CC := $(if $(filter-out default undefined,$(origin CC)),$(CC))
override CC := $(shell CROSS_COMPILE='$(CROSS_COMPILE)' applets/kbuild/find-cc $(if $(GIVEN_CC),'$(GIVEN_CC)'))
endif

SOURCES = vios.c $(APPLETS:%=applets/%.c) $(sort $(wildcard applets/lib/*/*.c))
OBJECTS = $(SOURCES:%.c=$(O)/obj/%.o)

WARNINGS = -Wall -Wextra -Wshadow -Wundef -Wmissing-prototypes -Wstrict-prototypes -Wconversion -Wwrite-strings -Wvla \
	-Wpointer-arith -Wcast-align -Wformat-security -Wdate-time $(if $(filter-out 0,$(WERROR)),-Werror)
# What makes it small. Each saves this many bytes of the default 62.8 kB (of 32.7 kB, the guest alone); `make cost` measures them.
#   asynchronous-unwind-tables 13360 (11856), pie 1504 (632); sections with --gc-sections 160 (18368: what no applet calls)
#   jump-tables 176 (384), measured with the sources of November 27.
SMALL_CFLAGS = -Os -fno-pie -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables -fno-jump-tables
# Where the compiler knows them.
#   Oz 976 (528): gcc 12 and clang. general-regs-only 320 (272): nothing here computes with floating point, and without its
#   registers a variadic function on x86 is shorter. malign-data 240 (160), caller-saves 208 (128), tree-loop-im 144 (112): what
#   gcc does even then for speed. cf-protection: 1 kB with Ubuntu's gcc, which has it on; it needs a libc that musl is not.
#   expensive-optimizations 304 (208), and the others of that line 432 (272) together, measured with the default 81.2 kB (47.4 kB) of
#   version 0.4: what else gcc does for speed. None is felt in what runs for each byte (make bench, the hunt).
SMALL_FLAGS = -Oz -fcf-protection=none -mgeneral-regs-only -malign-data=abi -fno-caller-saves -fno-tree-loop-im \
	-fno-expensive-optimizations -fno-forward-propagate -fno-if-conversion -fno-move-loop-invariants -fno-tree-tail-merge \
	-fno-shrink-wrap -fno-ipa-sra -fno-tree-coalesce-vars
KNOWN = $(shell $(CC) -Werror $(1) -E -x c /dev/null >/dev/null 2>&1 && echo $(1))
SMALLER := $(if $(CC),$(or $(call KNOWN,$(SMALL_FLAGS)),$(foreach f,$(SMALL_FLAGS),$(call KNOWN,$(f)))))
#   separate-code 3224 (4648), relro 3224 (552): musl makes no use of relro in a static program. common-page-size 0 (488), by
#   chance of the two sizes. The layout 696 (680), and 56 KiB of memory while a proxy waits. LTO saves nothing.
SMALL_LDFLAGS = -Wl,--gc-sections -Wl,-z,noseparate-code -Wl,-z,norelro -Wl,-z,common-page-size=16 -Wl,-T,applets/kbuild/layout.ld

VIOS_CFLAGS = -std=c11 -D_GNU_SOURCE -DVIOS_VERSION='"$(VERSION)"' -Iapplets/lib -I$(O) -include $(O)/config.h -g $(SMALL_CFLAGS) $(SMALLER) \
	-ffile-prefix-map='$(CURDIR)'=. $(WARNINGS)
# -no-pie: a compiler may make a static program position-independent otherwise.
VIOS_LDFLAGS = -static -no-pie $(SMALL_LDFLAGS)

COMPILE = $(CC) $(VIOS_CFLAGS) $(CPPFLAGS) $(CFLAGS)
LINK = $(CC) $(CFLAGS) $(VIOS_LDFLAGS) $(LDFLAGS) -o $(O)/vios_unstripped $(OBJECTS)

CC_ADVICE = install musl-tools (Debian, Ubuntu), musl-gcc (Fedora) or musl (Arch), $(if $(GIVEN_CC),and leave CC out,or set CC)

# What the objects and the binary are made with and from: a change rebuilds them.
$(O)/commands: FORCE
	$(if $(APPLETS),,$(error $(KCONFIG_CONFIG): at least one applet must be on))
	$(if $(CC),,$(error $(if $(GIVEN_CC),CC=$(GIVEN_CC) does not build,no C compiler) for musl: $(CC_ADVICE)))
	$(file >$@.new,$(COMPILE))$(file >>$@.new,$(LINK))
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(O)/obj/%.o: %.c $(O)/commands $(O)/config.h
	@mkdir -p $(@D)
	$(SHOW) CC $<
	$(Q)$(COMPILE) -MMD -MP -c -o $@ $<

$(O)/vios_unstripped: $(OBJECTS) applets/kbuild/layout.ld
	@linker=$$($(CC) $(CFLAGS) $(LDFLAGS) -Wl,--version 2>/dev/null); case $$linker in 'GNU ld'* | '') ;; \
	*) printf '%s: the layout needs GNU ld: LDFLAGS=-fuse-ld=bfd\n' "$${linker%% (*}" >&2; exit 1 ;; esac
	$(SHOW) LINK $@
	$(Q)$(LINK)

$(O)/vios: $(O)/vios_unstripped
	$(SHOW) STRIP $@
	$(Q)cp $< $@.new
	$(if $(filter-out n 0,$(SKIP_STRIP)),,$(if $(STRIP),$(Q)$(STRIP) -s -R .comment -R '.note*' $@.new))
	$(Q)mv $@.new $@

# The sandbox's table: the calls that the sources name.
$(O)/syscalls.h: $(SOURCES) applets/kbuild/syscalls $(O)/commands
	$(Q)AWK='$(AWK)' applets/kbuild/syscalls $(SOURCES) >$@.new
	$(Q)cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(O)/obj/applets/lib/base/sandbox.o: $(O)/syscalls.h

-include $(OBJECTS:.o=.d)

# ---- installation ----

PAGES = $(wildcard applets/vios.1 $(APPLETS:%=applets/%.1))
PROTOCOL = applets/vios-protocol.7

install: all
	umask 022 && $(INSTALL) -d '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(MANDIR)/man1' '$(DESTDIR)$(MANDIR)/man7'
	$(INSTALL) -m 755 $(O)/vios '$(DESTDIR)$(BINDIR)/vios'
	for applet in $(APPLETS); do ln -sf vios '$(DESTDIR)$(BINDIR)'/$$applet || exit; done
	$(INSTALL) -m 644 $(PAGES) '$(DESTDIR)$(MANDIR)/man1'
	$(INSTALL) -m 644 $(PROTOCOL) '$(DESTDIR)$(MANDIR)/man7'

# Those too that were on when it was installed.
EVERY_APPLET = $(patsubst applets/%.c,%,$(wildcard applets/vios-*.c))
uninstall:
	rm -f $(foreach a,vios $(EVERY_APPLET),'$(DESTDIR)$(BINDIR)/$(a)' '$(DESTDIR)$(MANDIR)/man1/$(a).1') \
		'$(DESTDIR)$(MANDIR)/man7/$(notdir $(PROTOCOL))'

include applets/integration/integration.mk

# Only what make and the tests put there.
MADE = .vios-build obj commands config.h config.mk syscalls.h .config.new vios vios.new vios_unstripped defconfig kconfig cost clang ci.log cache \
	bench.svg tests test-* planted-* cross-* dist.* vios-$(VERSION).tar.gz *.deb
clean:
	@[ ! -e $(O) ] || [ $(O) = build ] || [ -e $(MARK) ] || \
	{ echo "clean: $(O) held other things before make came: clear it by hand" >&2; exit 1; }
	$(if $(wildcard $(O)),cd $(O) && rm -rf $(MADE))
	$(if $(wildcard $(O)),@rmdir $(O) 2>/dev/null || :)

distclean: clean
	rm -f $(KCONFIG_CONFIG)

# ---- tests, measurements ----

# tests/deps comes before the build: it may be what brings the compiler.
check:
	BUILD=$(O) tests/deps check
	$(MAKE) all
	BUILD=$(O) tests/run

demo:
	BUILD=$(O) tests/deps demo
	$(MAKE) all
	BUILD=$(O) tests/guest/demo

bench:
	BUILD=$(O) tests/deps demo
	$(MAKE) all $(O)/tests/hunt
	BUILD=$(O) tests/bench/run --svg $(O)/bench.svg
	$(O)/tests/hunt
	BUILD=$(O) tests/bench/isolation
	BUILD=$(O) tests/bench/isolation --inward

soak:
	$(MAKE) all
	BUILD=$(O) tests/soak

# Of the objects of the binary.
$(O)/tests/hunt: tests/bench/hunt.c $(filter $(O)/obj/applets/lib/%,$(OBJECTS))
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -O2 $(VIOS_LDFLAGS) $(LDFLAGS) -o $@ $^

chaos:
	BUILD=$(O) tests/deps check
	$(MAKE) all
	CHAOS_SECONDS=$(or $(T),60) $(if $(SEED),SEED=$(SEED)) BUILD=$(O) tests/chaos.test

fuzz:
	FUZZ_SECONDS=$(or $(T),60) BUILD=$(O) tests/fuzz.test

cost:
	CFLAGS_SMALL='$(SMALL_CFLAGS)' FLAGS_SMALL='$(SMALL_FLAGS)' LDFLAGS_SMALL='$(SMALL_LDFLAGS)' applets/kbuild/cost $(O)/cost

help:
	@cat applets/kbuild/help

endif
