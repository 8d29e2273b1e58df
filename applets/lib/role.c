/* SPDX-License-Identifier: Apache-2.0 */
#include "role.h"

const struct role *role;
