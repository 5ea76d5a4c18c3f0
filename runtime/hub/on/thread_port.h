/*
 * Ports: the tasks of a hub at a channel between threads.
 *
 * A task that comes may take a message for which another one was woken, which then waits again: a
 * thread that computes does not keep a message from the others.
 */
#ifndef ML_HUB_ON_THREAD_PORT_H
#define ML_HUB_ON_THREAD_PORT_H

#include "hub/on/thread_channel_state.h"
#include "hub/wait/wait.h"

/* Opens a port and becomes an owner of the channel. 0 or -ENOMEM. */
int ml_port_open(struct ml_hub *hub, struct ml_port *port, struct ml_thread_channel *channel);

/* Closes it; no task waits at it any more. */
void ml_port_close(struct ml_port *port);

/* 0; -ML_ECLOSED; or an error of ml_wait(). After any error no message was got or put. */
int ml_port_get(struct ml_hub *hub, struct ml_port *port, struct ml_message **message,
                ml_time deadline);
int ml_port_put(struct ml_hub *hub, struct ml_port *port, struct ml_message *message,
                ml_time deadline);

/* Has `waiter`, which is the running task's, granted when there may be a message, or room; until
 * ml_port_unwatch(). A task may watch several times, also both sides: it begins all, and ends all,
 * without a switch in between. */
void ml_port_watch(struct ml_port *port, struct ml_port_side *side, struct ml_waiter *waiter);
void ml_port_unwatch(struct ml_port *port, struct ml_port_side *side);

/* Whether anybody else has the channel. Tasks that watch are granted when that changes. */
bool ml_port_is_shared(struct ml_port *port);

#endif
