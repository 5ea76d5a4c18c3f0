/*
 * Channels between threads: messages from tasks of any hub to tasks of any hub. Bounded; messages
 * keep their order. A hub has a port to each channel that its tasks use, and another thread rings
 * the port when a task of its may go on. Knows nothing of the messages.
 *
 * A task that comes may take a message for which another one was woken, which then waits again: a
 * thread that computes does not keep a message from the others.
 */
#ifndef ML_HUB_ON_THREAD_CHANNEL_H
#define ML_HUB_ON_THREAD_CHANNEL_H

#include "hub/on/mailbox.h"
#include "hub/wait/wait.h"

struct ml_thread_channel;

/* The part of a message that its owner embeds. */
struct ml_message {
    struct ml_message *next;                     /* in the channel */
    void (*release)(struct ml_message *message); /* frees it; from any thread */
    struct ml_thread_channel **channels;         /* of which it is an owner */
    uint32_t channel_count;
};

/* Capacity 0: a message goes in when a task waits for one. NULL: no memory. The caller owns it. */
struct ml_thread_channel *ml_thread_channel_new(uint32_t capacity);

/* One more owner, and one fewer: the last one frees the channel with the messages in it. Messages
 * in it that own the channel itself do not keep it. */
struct ml_thread_channel *ml_thread_channel_retain(struct ml_thread_channel *channel);
void ml_thread_channel_release(struct ml_thread_channel *channel);

/* From any thread, without a wait. 0; -EAGAIN: it is empty, or full; -ML_ECLOSED. A message that
 * was put belongs to the channel, one that was got to the caller. */
int ml_thread_channel_try_put(struct ml_thread_channel *channel, struct ml_message *message);
int ml_thread_channel_try_get(struct ml_thread_channel *channel, struct ml_message **message);

/* A message that was got goes back to where it came from, ahead of the others; also into a channel
 * that is full or closed. */
void ml_thread_channel_put_back(struct ml_thread_channel *channel, struct ml_message *message);

/* Nothing goes in any more; messages in it can still be got. `reason`: kept for
 * ml_thread_channel_reason(), NULL: none. Of a channel that was closed before it is released. */
void ml_thread_channel_close(struct ml_thread_channel *channel, struct ml_message *reason);

/* Of a channel that was closed; it lives as long as the channel. NULL: none was given. */
const struct ml_message *ml_thread_channel_reason(struct ml_thread_channel *channel);

struct ml_thread_channel_state {
    uint32_t capacity, count;
    bool is_closed;
};
struct ml_thread_channel_state ml_thread_channel_state(struct ml_thread_channel *channel);

/* The tasks of a hub that wait for a message, or for room. */
struct ml_port_side {
    struct ml_link link;    /* among the sides that the channel may ring. Under its mutex */
    struct ml_link waiters; /* the tasks; only the hub's thread touches this */
    uint32_t waiting;       /* how many. Under the mutex */
    uint32_t wanted;        /* those of them that no ring was meant for yet. Under the mutex */
    uint32_t rings;         /* that were not delivered yet. Under the mutex */
    struct ml_port *port;
};

/* What a hub's tasks have of a channel. Its owner embeds it, and opens and closes it on the hub's
 * thread. */
struct ml_port {
    struct ml_thread_channel *channel;
    struct ml_mailbox *box;
    struct ml_letter letter;
    struct ml_link link; /* among the channel's ports. Under its mutex */
    struct ml_port_side getters, putters;
    bool looks_again; /* all its tasks are to look again. Under the mutex */
    bool is_entering; /* the running task begins to watch: it cannot be granted yet */
    uint32_t doubles; /* its part of the channel's. Under the mutex */
    struct {          /* the last call of ml_port_watch() (enters) or ml_port_unwatch() */
        const struct ml_task *task;
        bool enters;
    } last;
    const struct ml_wait_kind *awaited; /* what tasks that get wait for; NULL: a value */
};

/* Opens a port and becomes an owner of the channel. 0 or -ENOMEM. */
int ml_port_open(struct ml_hub *hub, struct ml_port *port, struct ml_thread_channel *channel);

/* Closes it; no task waits at it any more. */
void ml_port_close(struct ml_port *port);

/* 0; -ML_ECLOSED; or an error of ml_wait(). After any error no message was got or put. */
int ml_port_get(struct ml_hub *hub, struct ml_port *port, struct ml_message **message,
                ml_time deadline);
int ml_port_put(struct ml_hub *hub, struct ml_port *port, struct ml_message *message,
                ml_time deadline);

/* The same for a thread that runs no hub: it blocks. 0; -ML_ECLOSED; -ETIMEDOUT. */
int ml_thread_channel_get_blocking(struct ml_thread_channel *channel, struct ml_message **message,
                                   ml_time deadline);
int ml_thread_channel_put_blocking(struct ml_thread_channel *channel, struct ml_message *message,
                                   ml_time deadline);

/* Has `waiter`, which is the running task's, granted when there may be a message, or room; until
 * ml_port_unwatch(). A task may watch several times, also both sides: it begins all, and ends all,
 * without a switch in between. */
void ml_port_watch(struct ml_port *port, struct ml_port_side *side, struct ml_waiter *waiter);
void ml_port_unwatch(struct ml_port *port, struct ml_port_side *side);

/* Whether anybody else has the channel. Tasks that watch are granted when that changes. */
bool ml_port_is_shared(struct ml_port *port);

#endif
