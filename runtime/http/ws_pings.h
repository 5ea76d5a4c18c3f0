/*
 * When WebSockets are to be pinged: those of a runtime by the time at which each is due, and the
 * place where one task waits for the next of them. A task that receives pings for itself; this is
 * for those of which no task receives. Knows no Lua: each has a number, and the caller knows which.
 */
#ifndef ML_HTTP_WS_PINGS_H
#define ML_HTTP_WS_PINGS_H

#include "hub/state/hub.h"

struct ml_ws_pings {
    struct ml_hub *hub;
    struct ml_timers due; /* the slot of an entry is its number */
    uint32_t *spare;      /* numbers below `numbers` that are not in use */
    uint32_t spare_count, numbers, capacity;
    struct ml_link sleeper; /* the task that waits */
    uint32_t open;          /* WebSockets that were added and have not ended */
    uint64_t task_id;       /* the task that waits or is going to; 0: there was none yet */
    uint32_t task_slot;
};

void ml_ws_pings_init(struct ml_ws_pings *pings, struct ml_hub *hub);
void ml_ws_pings_release(struct ml_ws_pings *pings);

/* The number that the next WebSocket to be added will have, from 0 on. 0, or -ENOMEM. */
int ml_ws_pings_prepare(struct ml_ws_pings *pings, uint32_t *number);

/* Adds one, with that number, that is due at `at`. 0, or -ENOMEM. Never waits. */
int ml_ws_pings_add(struct ml_ws_pings *pings, ml_time at);

/* That task waits from now on; whether it has not ended. */
void ml_ws_pings_set_task(struct ml_ws_pings *pings, const struct ml_task *task);
bool ml_ws_pings_have_task(const struct ml_ws_pings *pings);

/* Waits until one is due: its number, which is taken out. 0; 1: none is open any more, no number is
 * in use; -ECANCELED, -ENOMEM. */
int ml_ws_pings_next(struct ml_ws_pings *pings, uint32_t *number);

/* Puts back a number that was taken out; ML_FOREVER: it is not in use any more. Without memory it
 * is not, either: then its WebSocket is pinged by tasks that receive only. */
void ml_ws_pings_again(struct ml_ws_pings *pings, uint32_t number, ml_time at);

/* A WebSocket that was added has ended. Never waits. */
void ml_ws_pings_forget(struct ml_ws_pings *pings);

#endif
