/*
 * Keeps connections spread over processes that accept from one socket: each says in shared memory
 * how many it has open, and one that is ahead of the others leaves the next connection to them for
 * some milliseconds. Knows neither listeners nor where the memory comes from.
 */
#ifndef ML_IO_BALANCE_H
#define ML_IO_BALANCE_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ml_balance_memory;

/* How many processes the memory has a place for. */
enum { ML_BALANCE_PLACES = 2048 };

/* For so long a connection is left to others at a time. */
#define ML_BALANCE_PAUSE (1 * ML_MILLISECOND)

/* This process; all zero: without memory, and never ahead. */
struct ml_balance {
    struct ml_balance_memory *memory; /* NULL: none */
    uint32_t place;                   /* below ML_BALANCE_PLACES */
    uint32_t serial;   /* of the process, not 0: a place may be given to another one */
    pid_t process;     /* a fork of it does not count */
    uint32_t open;     /* connections */
    unsigned patience; /* pauses */
    uint64_t seen;     /* how many those behind had accepted at the last look */
};

/* Bytes of the memory, which is zero at first. */
size_t ml_balance_size(void);

/* Uses the memory of a descriptor, which stays the caller's. 0 or a negated errno. */
int ml_balance_open(struct ml_balance *balance, int fd, uint32_t place, uint32_t serial);

/* Leaves, and forgets the memory. Idempotent. */
void ml_balance_release(struct ml_balance *balance);

/* This process accepts: the others leave connections to it if it has fewer than they. Cheap if it
 * has joined already. */
void ml_balance_join(struct ml_balance *balance);

/* It accepts no more, and what it still has open counts no more. Idempotent. */
void ml_balance_leave(struct ml_balance *balance);

/* A connection was accepted, or closed. */
void ml_balance_opened(struct ml_balance *balance);
void ml_balance_closed(struct ml_balance *balance);

/*
 * Whether it should pause before it accepts: it has more connections than the mean of those that
 * take part, by a sixteenth, at least by one. paused: how many pauses there were for this
 * connection. If those with fewer do not accept meanwhile, because they compute or are stopped, it
 * takes the connection after some pauses, the next one after half as many, and soon without any,
 * until one of them accepts again.
 */
bool ml_balance_must_pause(struct ml_balance *balance, unsigned paused);

#endif
