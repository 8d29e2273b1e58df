/* SPDX-License-Identifier: Apache-2.0 */
/* service: the TCP side of a responder's connections: the service that each is connected to. */
#ifndef VIOS_SERVICE_H
#define VIOS_SERVICE_H

#include "relay/conn.h"

/* Begins to connect. */
void service_connect(struct conn *c);

/* The pending connect is decided; the connection's deadline is over. */
void service_decided(struct conn *c);
void service_expired(struct conn *c);

#endif
