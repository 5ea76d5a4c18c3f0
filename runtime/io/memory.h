/*
 * A transport of streams through memory: two connected streams for tests, over as bad a network as
 * the test wishes. Knows no descriptor; its clock is the hub's, which may be virtual.
 */
#ifndef ML_IO_MEMORY_H
#define ML_IO_MEMORY_H

#include "io/stream.h"

/* The properties of one direction. */
struct ml_memory_options {
    size_t chunk;         /* most bytes of a receive and of a transmit */
    size_t capacity;      /* bytes under way before a writer waits; at least 1 */
    uint64_t reset_after; /* bytes taken when both streams, for good, get -ECONNRESET */
    uint64_t stall_after; /* bytes taken after which no more are, and the end does not arrive
                             either */
    ml_time latency;      /* from the time a byte is taken to the time it can be received */
};

/* A good network; 64 KiB under way, as much as sockets once had. */
#define ML_MEMORY_DEFAULTS                                                                         \
    ((struct ml_memory_options){.chunk = SIZE_MAX,                                                 \
                                .capacity = (size_t)64 * 1024,                                     \
                                .reset_after = UINT64_MAX,                                         \
                                .stall_after = UINT64_MAX})

extern const struct ml_transport ml_memory_transport;

/*
 * Opens two closed streams of one runtime on each other. Bytes that were taken before a reset, and
 * before a stall, arrive. A stream closed with input unread resets the other, as a socket does. 0
 * or -ENOMEM.
 */
int ml_memory_pair_open(struct ml_stream *a, struct ml_stream *b,
                        const struct ml_memory_options *a_to_b,
                        const struct ml_memory_options *b_to_a);

#endif
