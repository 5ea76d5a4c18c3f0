/*
 * What channels between threads (hub/on/thread_channel.h) and their ports (hub/on/thread_port.h)
 * are made of, and how tasks are rung for.
 */
#ifndef ML_HUB_ON_THREAD_CHANNEL_STATE_H
#define ML_HUB_ON_THREAD_CHANNEL_STATE_H

#include "hub/on/mailbox.h"
#include "hub/wait/wait.h"

#include <pthread.h>

struct ml_thread_channel;

/* The part of a message that its owner embeds. */
struct ml_message {
    struct ml_message *next;                     /* in the channel */
    void (*release)(struct ml_message *message); /* frees it; from any thread */
    struct ml_thread_channel **channels;         /* of which it is an owner */
    uint32_t channel_count;
    struct ml_link carrier; /* among the channel's carriers, if it owns channels */
};

/* The part of a channel. One lock of the process guards it, and links of carriers; `count` changes
 * under the channel's mutex as well, so either is enough to read it. */
struct ml_channel_owners {
    uint32_t count;
    uint32_t self;           /* those of them that are messages in this channel, or its reason */
    uint32_t ports;          /* those of them that are ports */
    struct ml_link carriers; /* its messages, and its reason, that own channels */
    bool is_dying;           /* it is being freed */
    struct ml_thread_channel *next_dying;

    /* Of a search, see the .c file. */
    struct ml_thread_channel *next_found, *next_alive;
    uint32_t inside;
    bool is_found, is_alive;
};

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

/* The sides of all ports where tasks wait for the same. */
struct ml_crowd {
    struct ml_link sides; /* those that may be rung */
    uint32_t waiting, wanted;
};

struct ml_thread_channel {
    pthread_mutex_t mutex;
    uint32_t capacity;
    uint32_t count;
    bool is_closed;
    struct ml_message *first, **end;
    struct ml_message *reason;
    struct ml_link ports;
    struct ml_crowd getters, putters;
    uint32_t doubles; /* waiters beyond the first of each task: a select may have several */
    struct ml_channel_owners owned;
};

/* The port of a thread that runs no hub, and blocks. */
struct ml_lone_port {
    struct ml_port port; /* without a mailbox */
    pthread_cond_t rung;
};

/* Whether this process was forked by a task: another thread of the parent may have had the mutex,
 * and never gives it back here. Channels are out of reach then, and their messages are not freed.
 */
bool ml_thread_channel_is_out_of_reach(void);

/* For all that follows the mutex is locked. */

/* Rings for the tasks that can go on; to be called after each change. */
void ml_thread_channel_settle(struct ml_thread_channel *channel);

/* How many messages can come in now: without capacity, as many as tasks wait for one. */
uint32_t ml_thread_channel_room(const struct ml_thread_channel *channel);

/* All tasks look again. */
void ml_thread_channel_ring_all(struct ml_thread_channel *channel);

/* Of the port's letter: other threads have rung. Locks the mutex. */
void ml_port_deliver(struct ml_letter *letter);

void ml_port_side_open(struct ml_port *port, struct ml_port_side *side);

/* One more task of the side is about to wait; it waits no more, for whatever reason. */
void ml_port_side_begin(struct ml_port *port, struct ml_port_side *side);
void ml_port_side_end(struct ml_port *port, struct ml_port_side *side);

#endif
