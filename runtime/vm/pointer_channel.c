/* Channels of pointers between tasks of C: bounded, first come, first served. */
#include "moonlet.h"

#include "base/error.h"
#include "hub/scope.h"
#include "hub/wait.h"
#include "vm/runtimes.h"

#include <errno.h>
#include <stdlib.h>

static const struct ml_wait_kind get_kind = {.text = "a value from a channel"};
static const struct ml_wait_kind put_kind = {.text = "room in a channel"};

/*
 * Who waits is granted an item, or a place, which is kept for him from then on: who comes later does not get it,
 * though he may run before.
 */
struct moonlet_channel {
    struct moonlet *m;
    unsigned capacity;
    unsigned first, count;  /* of the items */
    unsigned granted_items; /* kept for tasks that were woken in get() */
    unsigned granted_room;  /* kept for tasks that were woken in put() */
    bool is_closed;
    struct ml_link getters, putters;
    void *items[];
};

struct moonlet_channel *moonlet_channel_new(struct moonlet *m, unsigned capacity)
{
    int error = capacity > 0 ? ml_runtime_check(m) : -EINVAL;
    struct moonlet_channel *c = NULL;
    if (error == 0)
        c = calloc(1, sizeof *c + capacity * sizeof *c->items);
    if (c == NULL) {
        errno = error != 0 ? -error : ENOMEM;
        return NULL;
    }
    c->m = m;
    c->capacity = capacity;
    ml_list_init(&c->getters);
    ml_list_init(&c->putters);
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

/* Waits to be granted something; then it is the caller's. */
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
    int error = ml_runtime_begin_wait(c->m);
    if (error != 0)
        return error;
    *deadline = ml_runtime_deadline(c->m, limit);
    error = *deadline == ML_NEVER_WAIT ? 0 : ml_cancel_point(&c->m->lua.hub);
    return error == 0 ? 0 : ml_runtime_end_wait(c->m, error);
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
    return ml_runtime_end_wait(c->m, error);
}

int moonlet_channel_get(struct moonlet_channel *c, void **value, double limit)
{
    ml_time deadline;
    int error = begin(c, limit, &deadline);
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
    return ml_runtime_end_wait(c->m, error);
}

void moonlet_channel_close(struct moonlet_channel *c)
{
    if (c == NULL || c->is_closed || ml_runtime_check(c->m) != 0)
        return;
    c->is_closed = true;
    ml_turn_all_away(&c->m->lua.hub, &c->getters);
    ml_turn_all_away(&c->m->lua.hub, &c->putters);
}

void moonlet_channel_free(struct moonlet_channel *c)
{
    moonlet_channel_close(c);
    free(c);
}
