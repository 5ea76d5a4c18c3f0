/*
 * The signals that have arrived for one hub, and the listeners among whose queues they are spread.
 * Signal handlers put them in without a lock; the hub's thread takes them out.
 */
#ifndef ML_SYSTEM_SIGNAL_INBOX_H
#define ML_SYSTEM_SIGNAL_INBOX_H

#include "base/list.h"
#include "system/signal/receiver.h"
#include "system/signal/ring.h"

struct ml_hub;

/* Standard signals: each stands once in the ring at most, so that this many places are enough. */
enum { ML_SIGNAL_STANDARD_PLACES = 32 };

struct ml_signal_inbox {
    struct ml_signal_receiver receiver;
    struct ml_hub *hub;
    struct ml_link listeners; /* struct ml_signal_listener */
    /* Gives a signal to those for which it is. NULL: there was none yet. */
    void (*give)(struct ml_signal_inbox *inbox, struct ml_signal signal);
    _Atomic uint64_t held; /* standard signals that stand in their ring */
    struct ml_signal_ring standard, queued;
    _Atomic uint64_t lost; /* real-time signals for which there was no place */
    unsigned listeners_of[ML_SIGNALS_END];
    uint64_t unblocked; /* signals that are blocked in the thread, but while they are listened to */
    struct ml_signal_place places[ML_SIGNAL_STANDARD_PLACES];
};

/* Opens the hub's; NULL: no memory. */
struct ml_signal_inbox *ml_signal_inbox_open(struct ml_hub *hub);

/* Frees it; NULL is allowed. Its listeners are closed. */
void ml_signal_inbox_close(struct ml_signal_inbox *inbox);

/* The signals of the set arrive from now on, also if the process was started with them blocked;
 * each call counts. 0 or a negated errno with nothing done. */
int ml_signal_inbox_add(struct ml_signal_inbox *inbox, uint64_t signals);

/* Ends what one call of the above began. */
void ml_signal_inbox_remove(struct ml_signal_inbox *inbox, uint64_t signals);

/* Gives what has arrived to the listeners. NULL is allowed. For hub.hooks.noticed. */
void ml_signal_inbox_empty(struct ml_signal_inbox *inbox);

#endif
