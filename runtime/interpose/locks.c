#include "interpose/locks.h"

#include "hub/scope.h"
#include "hub/wait.h"

#include <errno.h>
#include <stdlib.h>

static const struct ml_wait_kind lock_kind = {.text =
                                                  "a lock of a C library that another task holds"};

static bool is_alive(const struct ml_foreign *f, const struct ml_held_lock *held)
{
    const struct ml_slots *slots = &f->hub->slots;
    const struct ml_task *task =
        held->slot < slots->count ? ml_slots_task(slots, held->slot) : NULL;
    return task != NULL && task->id == held->task;
}

static void strike_at(struct ml_foreign *f, unsigned place)
{
    f->held[place] = f->held[--f->held_count];
}

/* Whether another task holds the lock against `way`. A task that ended with it has left it to the next. */
static bool is_taken(struct ml_foreign *f, const void *lock, enum ml_lock_way way)
{
    bool is = false;
    uint64_t self = f->hub->current->id;
    for (unsigned i = f->held_count; i-- > 0 && !is;) {
        const struct ml_held_lock *held = &f->held[i];
        if (held->lock != lock || held->task == self)
            continue;
        if (is_alive(f, held))
            is = way == ML_LOCK_WHOLE || held->way == ML_LOCK_WHOLE;
        else
            strike_at(f, i);
    }
    return is;
}

int ml_lock_wait(struct ml_foreign *f, const void *lock, enum ml_lock_way way, ml_time deadline)
{
    struct ml_hub *hub = f->hub;
    if (!is_taken(f, lock, way))
        return 0;
    if (deadline == ML_NEVER_WAIT)
        return -ETIMEDOUT;
    if (ml_foreign_begin(f, f->entry) != 0)
        return -EDEADLK;
    struct ml_scope *shield = ml_scope_open(hub, ML_SCOPE_SHIELD, ML_FOREVER);
    int error = shield != NULL ? 0 : -EDEADLK;
    while (error == 0 && is_taken(f, lock, way))
        error = ml_wait(hub, &lock_kind, 0, &f->lock_waiters, deadline);
    if (shield != NULL)
        ml_scope_close(hub, shield);
    ml_foreign_end(f, error);
    return error;
}

void ml_lock_note(struct ml_foreign *f, const void *lock, enum ml_lock_way way)
{
    if (f->held_count == f->held_room) {
        unsigned room = f->held_room > 0 ? 2 * f->held_room : 16;
        struct ml_held_lock *held = realloc(f->held, room * sizeof *held);
        if (held == NULL)
            return;
        f->held = held;
        f->held_room = room;
    }
    const struct ml_task *task = f->hub->current;
    f->held[f->held_count++] = (struct ml_held_lock){lock, task->id, task->waiter.slot, way};
}

/* Where the lock was written down last, by the running task or, with `by_anybody`, by whomever; held_count: nowhere. */
static unsigned place_of(const struct ml_foreign *f, const void *lock, bool by_anybody)
{
    uint64_t self = f->hub->current->id;
    unsigned i = f->held_count;
    while (i > 0 && (f->held[i - 1].lock != lock || !(by_anybody || f->held[i - 1].task == self)))
        i--;
    return i > 0 ? i - 1 : f->held_count;
}

void ml_lock_strike(struct ml_foreign *f, const void *lock)
{
    unsigned place = place_of(f, lock, false);
    if (place == f->held_count)
        place = place_of(f, lock, true);
    if (place == f->held_count)
        return;
    strike_at(f, place);
    if (ml_unlikely(!ml_list_is_empty(&f->lock_waiters)))
        ml_wake_all(f->hub, &f->lock_waiters);
}
