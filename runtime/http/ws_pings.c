#include "http/ws_pings.h"

#include "base/error.h"
#include "hub/state/waiters.h"
#include "hub/wait/slice.h"
#include "hub/wait/wait.h"

#include <errno.h>
#include <stdlib.h>

static const struct ml_wait_kind ping_kind = {.text = "the next ping of a WebSocket",
                                              .external = true};

void ml_ws_pings_init(struct ml_ws_pings *pings, struct ml_hub *hub)
{
    *pings = (struct ml_ws_pings){.hub = hub};
    ml_list_init(&pings->sleeper);
}

void ml_ws_pings_release(struct ml_ws_pings *pings)
{
    ml_timers_release(&pings->due);
    free(pings->spare);
}

static ml_time earliest(const struct ml_ws_pings *pings)
{
    const struct ml_timer_entry *first = ml_timers_first(&pings->due);
    return first != NULL ? first->at : ML_FOREVER;
}

int ml_ws_pings_prepare(struct ml_ws_pings *pings, uint32_t *number)
{
    enum { FIRST = 16, MOST = 1 << 28 };
    if (pings->spare_count == 0 && pings->numbers == pings->capacity) {
        uint32_t capacity = pings->capacity > 0 ? pings->capacity * 2 : FIRST;
        uint32_t *spare = capacity < MOST ? realloc(pings->spare, capacity * sizeof *spare) : NULL;
        if (spare == NULL)
            return -ENOMEM;
        pings->spare = spare;
        pings->capacity = capacity;
    }
    *number = pings->spare_count > 0 ? pings->spare[pings->spare_count - 1] : pings->numbers;
    return 0;
}

int ml_ws_pings_add(struct ml_ws_pings *pings, ml_time at)
{
    uint32_t number;
    bool is_first = at < earliest(pings);
    int error = ml_ws_pings_prepare(pings, &number);
    if (error == 0)
        error = ml_timers_add(&pings->due, (struct ml_timer_entry){at, number, 0});
    if (error != 0)
        return error;
    if (pings->spare_count > 0)
        pings->spare_count--;
    else
        pings->numbers++;
    pings->open++;
    if (is_first)
        ml_wake_all(pings->hub, &pings->sleeper);
    return 0;
}

void ml_ws_pings_set_task(struct ml_ws_pings *pings, const struct ml_task *task)
{
    pings->task_id = task->id;
    pings->task_slot = task->waiter.slot;
}

bool ml_ws_pings_have_task(const struct ml_ws_pings *pings)
{
    const struct ml_slots *slots = &pings->hub->slots;
    const struct ml_task *task = NULL;
    if (pings->task_id != 0 && pings->task_slot < slots->count)
        task = ml_slots_task(slots, pings->task_slot);
    return task != NULL && task->id == pings->task_id;
}

int ml_ws_pings_next(struct ml_ws_pings *pings, uint32_t *number)
{
    int error = ml_slice_point(pings->hub);
    while (error == 0 && pings->open > 0 && earliest(pings) > ml_hub_now(pings->hub)) {
        error = ml_wait(pings->hub, &ping_kind, 0, &pings->sleeper, earliest(pings));
        error = error == -ETIMEDOUT ? 0 : error;
    }
    if (error != 0)
        return error;
    if (pings->open == 0) {
        pings->due.count = pings->spare_count = pings->numbers = 0;
        return 1;
    }
    *number = ml_timers_first(&pings->due)->slot;
    ml_timers_pop(&pings->due);
    return 0;
}

void ml_ws_pings_again(struct ml_ws_pings *pings, uint32_t number, ml_time at)
{
    int error = -ENOMEM;
    if (at != ML_FOREVER)
        error = ml_timers_add(&pings->due, (struct ml_timer_entry){at, number, 0});
    if (error != 0)
        pings->spare[pings->spare_count++] = number;
}

void ml_ws_pings_forget(struct ml_ws_pings *pings)
{
    if (--pings->open == 0)
        ml_wake_all(pings->hub, &pings->sleeper);
}
