#include "bindings/inspect/wire.h"

#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

/* ---- life ---- */

static void open_locks(struct ml_wire *wire)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&wire->rung, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&wire->mutex, NULL);
}

struct ml_wire *ml_wire_new(struct ml_hub *hub)
{
    struct ml_mailbox *box = ml_mailbox_of(hub);
    struct ml_wire *wire = box != NULL ? calloc(1, sizeof *wire) : NULL;
    if (wire == NULL)
        return NULL;
    wire->events = ml_thread_channel_new(ML_WIRE_EVENTS);
    if (wire->events == NULL) {
        free(wire);
        return NULL;
    }
    open_locks(wire);
    ml_list_init(&wire->requests);
    wire->box = box;
    wire->has_inspector = true;
    wire->owners = 1;
    return wire;
}

struct ml_wire *ml_wire_retain(struct ml_wire *wire)
{
    atomic_fetch_add(&wire->owners, 1);
    return wire;
}

/* The mutex is locked. */
static struct ml_request *take_first(struct ml_wire *wire)
{
    struct ml_request *request = ml_container_of(wire->requests.next, struct ml_request, link);
    ml_list_remove(&request->link);
    wire->count--;
    return request;
}

void ml_wire_release(struct ml_wire *wire)
{
    if (atomic_fetch_sub(&wire->owners, 1) > 1)
        return;
    while (!ml_list_is_empty(&wire->requests))
        ml_request_finish(take_first(wire), NULL);
    ml_thread_channel_release(wire->events);
    pthread_cond_destroy(&wire->rung);
    pthread_mutex_destroy(&wire->mutex);
    free(wire);
}

void ml_wire_cut(struct ml_wire *wire)
{
    pthread_mutex_lock(&wire->mutex);
    struct ml_mailbox *box = wire->box;
    wire->box = NULL;
    while (!ml_list_is_empty(&wire->requests))
        ml_request_finish(take_first(wire), NULL);
    pthread_mutex_unlock(&wire->mutex);
    if (box != NULL)
        ml_mailbox_take_back(box, &wire->letter);
    ml_thread_channel_close(wire->events, NULL);
}

void ml_wire_leave(struct ml_wire *wire)
{
    pthread_mutex_lock(&wire->mutex);
    wire->has_inspector = false;
    pthread_cond_broadcast(&wire->rung);
    pthread_mutex_unlock(&wire->mutex);
}

bool ml_wire_has_inspector(struct ml_wire *wire)
{
    if (ml_thread_channel_is_out_of_reach())
        return false;
    pthread_mutex_lock(&wire->mutex);
    bool has_inspector = wire->has_inspector;
    pthread_mutex_unlock(&wire->mutex);
    return has_inspector;
}

/* ---- requests ---- */

struct ml_request *ml_request_new(struct ml_parcel *call, struct ml_thread_channel *reply,
                                  ml_time deadline, bool may_wait)
{
    struct ml_request *request = calloc(1, sizeof *request);
    if (request == NULL)
        return NULL;
    request->call = call;
    request->reply = ml_thread_channel_retain(reply);
    request->deadline = deadline;
    request->may_wait = may_wait;
    return request;
}

static void forget(struct ml_request *request)
{
    ml_thread_channel_release(request->reply);
    if (request->call != NULL)
        ml_parcel_release(request->call);
    free(request);
}

void ml_request_finish(struct ml_request *request, struct ml_parcel *outcome)
{
    if (outcome != NULL && ml_thread_channel_try_put(request->reply, &outcome->message) != 0)
        ml_parcel_release(outcome);
    ml_thread_channel_close(request->reply, NULL);
    forget(request);
}

/* Drops requests for which nobody waits any more. The mutex is locked. */
/* The reply stays open: closed, it would tell the caller, whose time ends now as well, that the
 * runtime has ended. */
static void drop_late(struct ml_wire *wire)
{
    ml_time now = ml_clock_now();
    struct ml_link *link = wire->requests.next;
    while (link != &wire->requests) {
        struct ml_request *request = ml_container_of(link, struct ml_request, link);
        link = link->next;
        if (request->deadline > now)
            continue;
        ml_list_remove(&request->link);
        wire->count--;
        forget(request);
    }
}

int ml_wire_add(struct ml_wire *wire, struct ml_request *request)
{
    int error = 0;
    pthread_mutex_lock(&wire->mutex);
    drop_late(wire);
    if (wire->box == NULL)
        error = -ML_ECLOSED;
    else if (wire->count >= ML_WIRE_REQUESTS)
        error = -EAGAIN;
    if (error == 0) {
        wire->count++;
        ml_list_insert(&wire->requests, &request->link);
        ml_mailbox_post(wire->box, &wire->letter);
        pthread_cond_broadcast(&wire->rung);
    }
    pthread_mutex_unlock(&wire->mutex);
    return error;
}

void ml_wire_ring(struct ml_wire *wire)
{
    if (wire == NULL)
        return;
    pthread_mutex_lock(&wire->mutex);
    if (wire->box != NULL && !ml_list_is_empty(&wire->requests))
        ml_mailbox_post(wire->box, &wire->letter);
    pthread_mutex_unlock(&wire->mutex);
}

/* The mutex is locked. */
static struct ml_request *find(struct ml_wire *wire, bool at_once)
{
    struct ml_link *link = wire->requests.next;
    for (; link != &wire->requests; link = link->next) {
        struct ml_request *request = ml_container_of(link, struct ml_request, link);
        if (!at_once || !request->may_wait)
            return request;
    }
    return NULL;
}

struct ml_request *ml_wire_take(struct ml_wire *wire, bool at_once)
{
    pthread_mutex_lock(&wire->mutex);
    drop_late(wire);
    struct ml_request *request = find(wire, at_once);
    if (request != NULL) {
        ml_list_remove(&request->link);
        wire->count--;
    }
    pthread_mutex_unlock(&wire->mutex);
    return request;
}

bool ml_wire_await(struct ml_wire *wire, ml_time deadline)
{
    struct timespec until = {deadline / ML_SECOND, deadline % ML_SECOND};
    int error = 0;
    pthread_mutex_lock(&wire->mutex);
    while (error == 0 && wire->has_inspector && find(wire, true) == NULL)
        error = pthread_cond_timedwait(&wire->rung, &wire->mutex, &until);
    bool has_inspector = wire->has_inspector;
    pthread_mutex_unlock(&wire->mutex);
    return has_inspector;
}

int ml_wire_visit(struct ml_wire *wire, int (*fn)(struct ml_lua *lua, void *argument),
                  void *argument)
{
    pthread_mutex_lock(&wire->mutex);
    int result = wire->box != NULL ? fn(wire->lua, argument) : -ML_ECLOSED;
    pthread_mutex_unlock(&wire->mutex);
    return result;
}

/* ---- events ---- */

bool ml_wire_tell(struct ml_wire *wire, struct ml_parcel *event)
{
    bool is_told = ml_thread_channel_try_put(wire->events, &event->message) == 0;
    if (!is_told) {
        atomic_fetch_add(&wire->lost, 1);
        ml_parcel_release(event);
    }
    return is_told;
}
