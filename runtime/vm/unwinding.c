#include "vm/unwinding.h"

#include "bindings/core/task_body.h"
#include "hub/loop/run.h"
#include "hub/state/scope.h"
#include "hub/switch/switch.h"
#include "vm/interrupt.h"
#include "vm/moonlet_state.h"
#include "vm/overrun_report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Drops the tasks that did not end in time and reports each, since its variables are never closed.
 * In a forked child the tasks that are left are the parent's. A task that was reported already is
 * on its way to its end. */
static void drop_all(struct moonlet *m)
{
    struct ml_task *task;
    for (uint32_t slot = 0; (task = ml_hub_next_task(&m->lua.hub, &slot)) != NULL;) {
        if (!m->lua.hub.life.is_forked && ml_lua_task_of(task)->run != ML_RUN_OVERRUN)
            ml_tell_overrun(m, task);
        ml_lua_task_drop(ml_lua_task_of(task));
    }
}

void ml_warn_of_parked(struct moonlet *m)
{
    struct ml_task *task;
    for (uint32_t slot = 0; (task = ml_hub_next_task(&m->lua.hub, &slot)) != NULL;) {
        if (task->state != ML_TASK_WAITING || (task->is_daemon && task->waits_for->is_lasting))
            continue;
        char text[ML_TASK_TEXT];
        size_t length = ml_task_text(text, m, task);
        snprintf(text + length, sizeof text - length,
                 "still waited for %s at the end of the program", task->waits_for->text);
        lua_warning(m->lua.aside, text, 0);
    }
}

void ml_unwind_all(struct moonlet *m)
{
    struct ml_hub *hub = &m->lua.hub;
    struct ml_task *task;
    m->lua.is_unwinding = true;
    m->clock_lead = ml_hub_now(hub) - ml_clock_now();
    for (uint32_t slot = 0; (task = ml_hub_next_task(hub, &slot)) != NULL;)
        ml_task_cancel(task);
    ml_time deadline = ml_time_after(ml_hub_now(hub), ML_UNWIND_TIME);
    ml_unwinding_begin(m, ml_clock_now() + ML_UNWIND_TIME);
    int result;
    do
        result = ml_hub_run(hub, ML_UNTIL_ALL_ENDED, deadline);
    while (result == -EINTR);
    ml_unwinding_end(m);
    m->lua.is_closing = result != 0; /* a task that is dropped spawns nothing more */
    if (result != 0)
        drop_all(m);
    m->lua.is_closing = false;
}
