/* SPDX-License-Identifier: Apache-2.0 */
/* state: included before all else into each part that a fuzzer runs anew for each input. Its
 * variables go into two sections that kernel_reset() puts back, so that an input's result depends
 * on nothing that was before. With KEEP_BULK large tables are left as they are: nothing of them
 * matters, and it takes time. */
#include "base/memory.h"

#ifndef KEEP_BULK
#undef MEMORY_BULK
#define MEMORY_BULK
#endif
#pragma clang section bss = "fuzz_bss" data = "fuzz_data"
