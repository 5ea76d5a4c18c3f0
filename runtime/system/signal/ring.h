/*
 * A bounded queue of signals between signal handlers, on any threads and inside each other, and the
 * one thread that takes them out. Without a lock and without an allocation in a handler. Knows no
 * task.
 */
#ifndef ML_SYSTEM_SIGNAL_RING_H
#define ML_SYSTEM_SIGNAL_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct ml_signal {
    int number;
    bool has_value; /* the sender gave one: sigqueue(), or a timer */
    int value;
};

struct ml_signal_place {
    _Atomic uint32_t turn;
    uint8_t number;
    bool has_value;
    int value;
};

struct ml_signal_ring {
    struct ml_signal_place *places; /* zeroed at the begin */
    uint32_t count;                 /* of places: a power of two */
    _Atomic uint64_t last;          /* the position that is filled next */
    uint64_t first;                 /* the position that is taken out next */
};

/* False: it is full. In signal handlers. */
bool ml_signal_ring_put(struct ml_signal_ring *ring, struct ml_signal signal);

/* False: it is empty, or a handler on another thread is about to fill the first place. */
bool ml_signal_ring_take(struct ml_signal_ring *ring, struct ml_signal *signal);

#endif
