// SPDX-License-Identifier: Apache-2.0

#include <libpq-fe.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
