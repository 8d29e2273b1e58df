/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sandbox.h"

#if CONFIG_FEATURE_SANDBOX

#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/log.h"

/* The kernel's name for what this is built for (AUDIT_ARCH_*): the number of the ELF machine, and
 * flags. 0: not known here. */
#if defined __x86_64__ && defined __LP64__
enum { MACHINE = EM_X86_64 };
#elif defined __i386__
enum { MACHINE = EM_386 };
#elif defined __aarch64__
enum { MACHINE = EM_AARCH64 };
#elif defined __arm__
enum { MACHINE = EM_ARM };
#elif defined __riscv
enum { MACHINE = EM_RISCV };
#elif defined __s390x__
enum { MACHINE = EM_S390 };
#elif defined __powerpc64__
enum { MACHINE = EM_PPC64 };
#elif defined __powerpc__
enum { MACHINE = EM_PPC };
#elif defined __mips__ && !(_MIPS_SIM == _ABIN32)
enum { MACHINE = EM_MIPS };
#else
enum { MACHINE = 0 };
#endif

#define BITS64 (sizeof(long) == 8 ? 0x80000000u : 0)
#define LITTLE (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0x40000000u : 0)
#define ARCHITECTURE (BITS64 | LITTLE | MACHINE)

static const struct {
    unsigned short number;
    unsigned char applets;
} calls[] = {
#include "syscalls.h"
};

/* An instruction of the filter: what stands in the kernel's struct seccomp_data is loaded and
 * compared. */
struct instruction {
    uint16_t code;
    uint8_t if_equal, if_not; /* instructions to pass over */
    uint32_t k;
};

enum { LOAD = 0x20, IS = 0x15, RETURN = 0x06 };
enum { NUMBER_AT = 0, ARCHITECTURE_AT = 4 };
static const uint32_t KILL = 0x80000000, ALLOW = 0x7fff0000;
static const uint32_t NONE = 0xffffffff; /* a call that a tracer such as strace has taken away */

enum { CALLS = sizeof calls / sizeof *calls, MOST = 4 + 2 + 2 * CALLS + 1 };

static struct instruction *permit(struct instruction *p, uint32_t number) {
    *p++ = (struct instruction){IS, 0, 1, number};
    *p++ = (struct instruction){RETURN, 0, 0, ALLOW};
    return p;
}

/* The filter's length. */
static unsigned short make(struct instruction *filter, unsigned applet) {
    struct instruction *p = filter;

    *p++ = (struct instruction){LOAD, 0, 0, ARCHITECTURE_AT};
    *p++ = (struct instruction){IS, 1, 0, ARCHITECTURE};
    *p++ = (struct instruction){RETURN, 0, 0, KILL};
    *p++ = (struct instruction){LOAD, 0, 0, NUMBER_AT};
    p = permit(p, NONE);
    for (unsigned i = 0; i < CALLS; i++)
        if (calls[i].applets & applet)
            p = permit(p, calls[i].number);
    *p++ = (struct instruction){RETURN, 0, 0, KILL};
    return (unsigned short)(p - filter);
}

void sandbox_enter(unsigned applet) {
    struct instruction filter[MOST];
    struct {
        unsigned short length;
        const struct instruction *filter;
    } program = {make(filter, applet), filter};

    if (!MACHINE || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, 2 /* SECCOMP_MODE_FILTER */, &program, 0, 0))
        log_msg(LOG_NOTICE, "no sandbox: the kernel has no seccomp filters");
}

#endif
