/*
 * The wire between a runtime and its inspector, which has a runtime of its own on another thread.
 * The inspector asks: a request waits here until the runtime serves it. The runtime tells: events
 * go into a bounded channel, and never wait. Knows neither the meaning of a request nor of an
 * event. Both sides own the wire; the last one to release it frees it.
 */
#ifndef ML_BINDINGS_INSPECT_WIRE_H
#define ML_BINDINGS_INSPECT_WIRE_H

#include "bindings/thread/parcel.h"
#include "hub/on/mailbox.h"

#include <stdatomic.h>

/* The most requests that wait, and the most events on their way. */
enum { ML_WIRE_REQUESTS = 256, ML_WIRE_EVENTS = 1024 };

/* The most sockets of which a fork is told. */
enum { ML_WIRE_SOCKETS = 16 };

/* A request, with the channel that gets the answer. */
struct ml_request {
    struct ml_link link;             /* in the wire */
    struct ml_parcel *call;          /* the name of a function of the agent, its arguments */
    struct ml_thread_channel *reply; /* gets an outcome; closed without: there is none */
    ml_time deadline;                /* nobody waits for the answer any more */
    bool may_wait;                   /* its function may: a task of its own serves it */
};

struct ml_wire {
    atomic_uint owners;
    pthread_mutex_t mutex;
    pthread_cond_t rung;     /* a request has come, or the inspector has gone. For a thread that
                                serves and does nothing else */
    struct ml_link requests; /* under the mutex */
    unsigned count;          /* of requests. Under the mutex */
    struct ml_mailbox *box; /* of the runtime's hub; NULL: the runtime has ended. Under the mutex */
    bool has_inspector;     /* under the mutex */
    struct ml_letter letter; /* to the runtime: requests have come. For the owner of the wire */
    struct ml_lua *lua;      /* the runtime; for its own thread */
    struct ml_thread_channel *events;    /* closed: the runtime ends */
    atomic_ulong lost;                   /* events for which there was no room */
    atomic_int sockets[ML_WIRE_SOCKETS]; /* descriptors, plus one, on which the inspector listens;
                                            0: none */
};

/* The wire of the runtime of that hub, for its own thread; the caller is its owner. NULL: no
 * memory. */
struct ml_wire *ml_wire_new(struct ml_hub *hub);
struct ml_wire *ml_wire_retain(struct ml_wire *wire);
void ml_wire_release(struct ml_wire *wire);

/* The runtime ends: requests are answered no more, events come no more. On its own thread. */
void ml_wire_cut(struct ml_wire *wire);

/* The inspector has ended, from its thread. */
void ml_wire_leave(struct ml_wire *wire);

/* Whether it has not ended. In a forked child it has. */
bool ml_wire_has_inspector(struct ml_wire *wire);

/* ---- sockets ---- */

/* The inspector listens on that descriptor, or is about to close it. From its thread. Of more than
 * ML_WIRE_SOCKETS a fork is not told. */
void ml_wire_hold(struct ml_wire *wire, int fd);
void ml_wire_let_go(struct ml_wire *wire, int fd);

/* In a forked child, which has no inspector: closes those sockets, so that none connects to them
 * in vain after the parent has ended, and the parent's successor gets the address. */
void ml_wire_forked(struct ml_wire *wire);

/* ---- requests ---- */

/* Takes over `call`, and becomes an owner of `reply`. NULL: no memory, nothing done. */
struct ml_request *ml_request_new(struct ml_parcel *call, struct ml_thread_channel *reply,
                                  ml_time deadline, bool may_wait);

/* Gives the answer, unless `outcome` is NULL, and frees the request. */
void ml_request_finish(struct ml_request *request, struct ml_parcel *outcome);

/* Hands the request over to the runtime. 0; -EAGAIN: too many wait; -ML_ECLOSED: the runtime has
 * ended. After an error it is still the caller's. */
int ml_wire_add(struct ml_wire *wire, struct ml_request *request);

/* More requests can be served in tasks: has the letter delivered, if there are any. On the
 * runtime's own thread. */
void ml_wire_ring(struct ml_wire *wire);

/* The first request that is not too late, now the caller's; NULL: there is none. at_once: only
 * those whose function does not wait. */
struct ml_request *ml_wire_take(struct ml_wire *wire, bool at_once);

/* Blocks the thread until such a request waits, or the deadline. False: there is no inspector any
 * more. */
bool ml_wire_await(struct ml_wire *wire, ml_time deadline);

/* Calls fn(the runtime, argument) from another thread while the runtime is certainly open. 0, or
 * -ML_ECLOSED. */
int ml_wire_visit(struct ml_wire *wire, int (*fn)(struct ml_lua *lua, void *argument),
                  void *argument);

/* ---- events ---- */

/* Puts an event into the channel; one for which there is no room is dropped and counted. True: it
 * is on its way. */
bool ml_wire_tell(struct ml_wire *wire, struct ml_parcel *event);

#endif
