/*
 * When WebSockets are to be pinged: the WebSockets of a runtime by the time at which each is due,
 * and the place where one task waits for the next one. A task that receives pings its own
 * WebSocket; this is for WebSockets from which no task receives. Knows no Lua: each has a number,
 * and the caller knows its WebSocket.
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
    uint64_t task_id;       /* the task that waits, or is about to; 0: there was none yet */
    uint32_t task_slot;
};

void ml_ws_pings_init(struct ml_ws_pings *pings, struct ml_hub *hub);
void ml_ws_pings_release(struct ml_ws_pings *pings);

/* The number of the next WebSocket to be added, from 0 on. 0 or -ENOMEM. */
int ml_ws_pings_prepare(struct ml_ws_pings *pings, uint32_t *number);

/* Adds a WebSocket with that number, due at `at`. 0 or -ENOMEM. Never waits. */
int ml_ws_pings_add(struct ml_ws_pings *pings, ml_time at);

/* Makes `task` the one that waits. The other function: whether it has not ended. */
void ml_ws_pings_set_task(struct ml_ws_pings *pings, const struct ml_task *task);
bool ml_ws_pings_have_task(const struct ml_ws_pings *pings);

/*
 * Waits until a WebSocket is due, and takes its number out.
 *
 * - 0: *number is due;
 * - 1: no WebSocket is open any more, and no number is in use;
 * - -ECANCELED, -ENOMEM.
 */
int ml_ws_pings_next(struct ml_ws_pings *pings, uint32_t *number);

/* Puts back a number that was taken out, due at `at`. ML_FOREVER: frees the number. Without memory
 * it is freed, too: then only tasks that receive ping that WebSocket. */
void ml_ws_pings_again(struct ml_ws_pings *pings, uint32_t number, ml_time at);

/* Call it when a WebSocket that was added has ended. Never waits. */
void ml_ws_pings_forget(struct ml_ws_pings *pings);

#endif
