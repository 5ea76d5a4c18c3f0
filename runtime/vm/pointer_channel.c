/* Channels of pointers between tasks of C: bounded, first come, first served. */
#include "moonlet.h"

#include "base/error.h"
#include "hub/state/scope.h"
#include "hub/state/waiters.h"
#include "hub/wait/wait.h"
#include "vm/pointer_channel.h"
#include "vm/runtimes.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

static const struct ml_wait_kind get_kind = {.text = "a value from a channel"};
static const struct ml_wait_kind put_kind = {.text = "room in a channel"};

/*
 * A waiting task is granted an item, or room for one, which is reserved for it from then on: a task
 * that comes later does not get it, even if it runs first.
 */
struct moonlet_channel {
    struct ml_link link; /* in m->channels */
    struct moonlet *m;   /* NULL: the runtime was closed */
    unsigned capacity;
    unsigned first, count;  /* of the items */
    unsigned granted_items; /* reserved for tasks that were woken in get() */
    unsigned granted_room;  /* reserved for tasks that were woken in put() */
    unsigned users;         /* calls of tasks under way: they keep its memory */
    bool is_closed;
    bool is_freed; /* by the host: the last user frees it */
    struct ml_link getters, putters;
    void *items[];
};

struct moonlet_channel *moonlet_channel_new(struct moonlet *m, unsigned capacity)
{
    int error = capacity > 0 ? ml_runtime_check(m) : -EINVAL;
    struct moonlet_channel *c = NULL;
    /* Twice the capacity must be an int, and the size of the items a size_t, also where pointers
     * have 32 bits. */
    if (error == 0 && capacity <= INT_MAX / sizeof *c->items)
        c = calloc(1, sizeof *c + capacity * sizeof *c->items);
    if (c == NULL) {
        errno = error != 0 ? -error : ENOMEM;
        return NULL;
    }
    c->m = m;
    c->capacity = capacity;
    ml_list_init(&c->getters);
    ml_list_init(&c->putters);
    ml_list_insert(&m->channels, &c->link);
    return c;
}

static bool grant_first(struct moonlet_channel *c, struct ml_link *queue)
{
    return ml_wake_first(&c->m->lua.hub, queue);
}

static void add(struct moonlet_channel *c, void *value)
{
    c->items[(c->first + c->count++) % c->capacity] = value;
    c->granted_items += grant_first(c, &c->getters);
}

static void *take(struct moonlet_channel *c)
{
    void *value = c->items[c->first];
    c->first = (c->first + 1) % c->capacity;
    c->count--;
    c->granted_room += grant_first(c, &c->putters);
    return value;
}

/* Waits for a grant; then the item or room is the caller's. */
static int await(struct moonlet_channel *c, const struct ml_wait_kind *kind, struct ml_link *queue,
                 ml_time deadline)
{
    struct ml_hub *hub = &c->m->lua.hub;
    int error = ml_wait_granted(hub, kind, 0, queue, 0, deadline);
    return error == 0 && hub->current->waiter.value == ML_WAITER_CLOSED ? -ML_ECLOSED : error;
}

/* Begins a call that may wait. */
static int begin(struct moonlet_channel *c, double limit, ml_time *deadline)
{
    if (c == NULL)
        return -EINVAL;
    int error = c->m != NULL ? ml_runtime_begin_wait(c->m) : -ML_ECLOSED;
    if (error != 0)
        return error;
    *deadline = ml_runtime_deadline(c->m, limit);
    error = ml_cancel_point_until(&c->m->lua.hub, *deadline);
    c->users += error == 0;
    return error == 0 ? 0 : ml_runtime_end_wait(c->m, error);
}

static void dispose(struct moonlet_channel *c)
{
    if (c->m != NULL)
        ml_list_remove(&c->link);
    free(c);
}

/* Ends it. */
static int end(struct moonlet_channel *c, int error)
{
    struct moonlet *m = c->m;
    if (--c->users == 0 && c->is_freed)
        dispose(c);
    return ml_runtime_end_wait(m, error);
}

int moonlet_channel_put(struct moonlet_channel *c, void *value, double limit)
{
    ml_time deadline;
    int error = begin(c, limit, &deadline);
    if (error != 0)
        return error;
    if (c->is_closed)
        error = -ML_ECLOSED;
    else if (c->count + c->granted_room >= c->capacity) {
        error = await(c, &put_kind, &c->putters, deadline);
        c->granted_room -= error == 0;
    }
    if (error == 0)
        add(c, value);
    return end(c, error);
}

int moonlet_channel_get(struct moonlet_channel *c, void **value, double limit)
{
    ml_time deadline;
    int error = value != NULL ? begin(c, limit, &deadline) : -EINVAL;
    if (error != 0)
        return error;
    if (c->count <= c->granted_items && c->is_closed)
        error = -ML_ECLOSED;
    else if (c->count <= c->granted_items) {
        error = await(c, &get_kind, &c->getters, deadline);
        c->granted_items -= error == 0;
    }
    if (error == 0)
        *value = take(c);
    return end(c, error);
}

static int check(const struct moonlet_channel *c)
{
    return c->m != NULL ? ml_runtime_check(c->m) : -ML_ECLOSED;
}

static void close_channel(struct moonlet_channel *c)
{
    c->is_closed = true;
    ml_turn_all_away(&c->m->lua.hub, &c->getters);
    ml_turn_all_away(&c->m->lua.hub, &c->putters);
    ml_runtime_touched(c->m);
}

int moonlet_channel_close(struct moonlet_channel *c)
{
    int error = c != NULL ? check(c) : 0;
    if (c != NULL && error == 0)
        close_channel(c);
    return error;
}

int moonlet_channel_free(struct moonlet_channel *c)
{
    int error = c != NULL ? check(c) : 0;
    if (c == NULL || (error != 0 && error != -ML_ECLOSED))
        return error;
    if (error == 0)
        close_channel(c);
    c->is_freed = true;
    if (c->users == 0 || c->m == NULL)
        dispose(c);
    return 0;
}

void ml_channels_detach(struct moonlet *m)
{
    struct ml_link *next;
    for (struct ml_link *link = m->channels.next; link != &m->channels; link = next) {
        struct moonlet_channel *c = ml_container_of(link, struct moonlet_channel, link);
        next = link->next;
        c->m = NULL;
        if (c->is_freed) /* the tasks in it were dropped */
            free(c);
    }
    ml_list_init(&m->channels);
}
