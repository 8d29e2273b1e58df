/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/role.h"

const struct role *role;
