/*
 * The worker's end of the control channel, on the hub of the runtime that has it: requests of
 * tasks, replies, and notices of the master, which go to the handler of their type. Knows neither
 * what is asked for nor Lua.
 */
#ifndef ML_WORKER_CLIENT_H
#define ML_WORKER_CLIENT_H

#include "base/buffer.h"
#include "base/clock.h"
#include "worker/control.h"
#include "worker/protocol.h"

#include <sys/types.h>
#include <time.h>

struct ml_alarm;
struct ml_hub;
struct ml_watch;
struct ml_worker_client;

/* Takes a notice. Runs on the hub, outside of tasks: may wake tasks, never waits. Descriptors that
 * it does not take are closed. */
typedef void ml_worker_handler(struct ml_worker_client *client, struct ml_control_message *message,
                               void *data);

struct ml_worker_notice {
    ml_worker_handler *handler; /* NULL: such notices are dropped */
    void *data;
};

struct ml_worker_client {
    struct ml_hub *hub;
    struct ml_control control;
    struct ml_watch *watch;
    struct ml_alarm *alarm; /* for the beats */
    ml_time beat_at;        /* when the next one is due */
    struct ml_control_place place;
    struct ml_link calls; /* requests without their reply */
    uint64_t last_request;
    struct ml_worker_notice notices[ML_CONTROL_TYPE_COUNT];
    pid_t process;    /* that the channel belongs to: a fork of it has none */
    timer_t dead_man; /* ends the process if its hub does not turn */
    bool has_dead_man;
    bool is_ready;    /* the master was told */
    bool is_draining; /* the same */
    /* Fills in what a beat tells; NULL: zeros. */
    void (*measure)(struct ml_worker_client *client, struct ml_control_beat *beat);
    /* The master is gone. On the hub. NULL: nothing. */
    void (*orphaned)(struct ml_worker_client *client);
    void *owner;                        /* of the two functions above */
    struct ml_control_message incoming; /* while it is handled */
};

/* What a request brought. */
struct ml_worker_reply {
    int error;             /* 0 or a negated errno, of the master's */
    struct ml_buffer text; /* the payload */
    unsigned fd_count;
    int fds[ML_CONTROL_FDS]; /* -1: taken */
};

/* The end of a channel that this process was started with, out of its environment, which forgets
 * it; -1: there is none. To be called before other threads may use the environment. */
int ml_worker_inherited(void);

/* Whether there is one, which stays in the environment. */
bool ml_worker_is_inherited(void);

/* Opens the end on a hub, and learns the place. The descriptor is closed after an error: -ENOMEM,
 * -EPROTO: no master of this version. Never waits. */
int ml_worker_client_open(struct ml_worker_client **client, struct ml_hub *hub, int fd);

/* Frees it, NULL is allowed. Tasks that wait for a reply get -EPIPE. */
void ml_worker_client_close(struct ml_worker_client *client);

/* From now on `handler` gets the notices of a type. */
void ml_worker_client_on(struct ml_worker_client *client, enum ml_control_type type,
                         ml_worker_handler *handler, void *data);

/* Sends a word. 0; -EPIPE: there is no master any more; -ECHILD; or another error of
 * ml_control_send(). Never waits. */
int ml_worker_tell(struct ml_worker_client *client, enum ml_control_type type, const void *payload,
                   size_t size);

/* The same with a descriptor, which stays the caller's. */
int ml_worker_tell_with(struct ml_worker_client *client, enum ml_control_type type,
                        const void *payload, size_t size, int fd);

/*
 * Sends a request and waits for the reply, which the caller releases after 0; its own `error` says
 * how the master answered. The descriptors stay the caller's.
 *
 * 0; -EPIPE: there is no master any more; -ECHILD: this is a fork of the worker; -ETIMEDOUT,
 * -ECANCELED, -ENOMEM as ml_wait(): whatever the master then answers is undone where it must be.
 */
int ml_worker_request(struct ml_worker_client *client, enum ml_control_type type,
                      const void *payload, size_t size, struct ml_worker_reply **reply,
                      ml_time deadline);

/* Hands a descriptor of the reply over; -1: there is none. */
int ml_worker_reply_take_fd(struct ml_worker_reply *reply, unsigned index);

/* Frees it, NULL is allowed. */
void ml_worker_reply_free(struct ml_worker_reply *reply);

/* Tells the master what is counted now, if the worker serves. Never waits. */
void ml_worker_client_beat(struct ml_worker_client *client);

/* Tells the master, once, that the worker serves. Never waits. */
void ml_worker_client_ready(struct ml_worker_client *client);

#endif
