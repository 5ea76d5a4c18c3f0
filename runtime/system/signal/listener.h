/*
 * A listener: the signals of a set that have arrived for a hub and were not fetched yet. A standard
 * signal stands in the queue once, as in the kernel, also if it has come again: the last is never
 * lost. Real-time signals are all queued. May be used on the hub's thread alone.
 */
#ifndef ML_SYSTEM_SIGNAL_LISTENER_H
#define ML_SYSTEM_SIGNAL_LISTENER_H

#include "base/clock.h"
#include "base/list.h"
#include "system/signal/ring.h"

#include <stdbool.h>
#include <stdint.h>

struct ml_signal_inbox;

struct ml_signal_listener {
    struct ml_link link;           /* in inbox->listeners */
    struct ml_link waiters;        /* tasks that wait for a signal */
    struct ml_signal_inbox *inbox; /* NULL: closed */
    uint64_t signals;              /* the set */
    uint64_t held;                 /* standard signals that are in the queue */
    struct ml_signal *queue;       /* a ring: `count` of `room` from `first` on */
    uint32_t first, count, room;
    uint64_t lost;        /* real-time signals that it did not get, without the inbox's */
    uint64_t lost_before; /* inbox->lost when it was opened */
};

/* Listens from now on. 0 or a negated errno with nothing done. */
int ml_signal_listener_open(struct ml_signal_listener *listener, struct ml_signal_inbox *inbox,
                            uint64_t signals);

/* Ends it: tasks that wait get -ML_ECLOSED, what is in the queue is dropped. Idempotent, never
 * waits. */
void ml_signal_listener_close(struct ml_signal_listener *listener);

/* Whether one can be fetched. 0; -EAGAIN: none has arrived; -ML_ECLOSED. */
int ml_signal_listener_look(struct ml_signal_listener *listener);

/* Fetches a signal that has arrived. 0; -EAGAIN: none has; -ML_ECLOSED. Never waits. */
int ml_signal_listener_try(struct ml_signal_listener *listener, struct ml_signal *signal);

/* Waits for the next. 0, -ML_ECLOSED or an error of ml_wait(). */
int ml_signal_listener_wait(struct ml_signal_listener *listener, struct ml_signal *signal,
                            ml_time deadline);

/* How many real-time signals it did not get, or perhaps not, for want of memory or of room. */
uint64_t ml_signal_listener_lost(const struct ml_signal_listener *listener);

#endif
