/*
 * Small things that programs on the loopback interface need: sockets, descriptors, the clock.
 * Whatever fails here ends the program: a benchmark has nothing else to do about it.
 */
#ifndef BENCH_LOOPBACK_H
#define BENCH_LOOPBACK_H

#include <stddef.h>
#include <stdint.h>

/* Says what failed, with errno's text, and ends the program. */
_Noreturn void die(const char *what);

/* Nanoseconds of the monotonic clock. */
int64_t now(void);

/* A listening socket at 127.0.0.1, with flags of socket(2) such as SOCK_NONBLOCK; 0: any free port.
 * Prints "listening PORT". */
int loopback_listen(int port, int flags);

/* A non-blocking socket of the type, SOCK_STREAM or SOCK_DGRAM, whose connect() to 127.0.0.1 has
 * begun; -1: it has failed already. */
int loopback_connect(int port, int type);

/* The same, but blocking and connected. */
int loopback_connect_blocking(int port);

/* Small messages leave at once. */
void loopback_set_nodelay(int fd);

/* Raises the limit of descriptors as far as allowed, but not beyond `most`, and returns it. */
size_t raise_descriptor_limit(size_t most);

#endif
