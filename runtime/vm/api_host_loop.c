/* The public functions that run tasks from a loop of the host's. */
#include "moonlet.h"

#include "base/error.h"
#include "hub/loop/host_loop.h"
#include "hub/loop/run.h"
#include "hub/loop/simulation.h"
#include "vm/main_task.h"
#include "vm/moonlet_state.h"
#include "vm/runtimes.h"

#include <errno.h>

int moonlet_start(struct moonlet *m)
{
    int error = ml_runtime_check_idle(m);
    if (error == 0 && m->lua.tasks.main != NULL)
        error = -ML_ERUNNING;
    if (error != 0 || m->pieces == NULL)
        return error;
    error = ml_program_start(m);
    ml_hub_refresh(&m->lua.hub);
    return error;
}

static ml_time span_of(double limit)
{
    return limit >= 0 ? ml_time_from_seconds(limit) : ML_FOREVER;
}

static int step(struct moonlet *m, ml_time max_wait, ml_time max_run)
{
    struct ml_hub *hub = &m->lua.hub;
    m->is_running = true;
    ml_host_clock_look(hub);
    int result = ml_hub_step(hub, max_wait, max_run);
    m->is_running = false;
    return result == -EINTR ? 1 : result;
}

int moonlet_step(struct moonlet *m, double max_wait, double max_run)
{
    int error = ml_runtime_check_idle(m);
    return error != 0 ? error : step(m, span_of(max_wait), span_of(max_run));
}

/* Calls `done`, which may not close the runtime, for example. */
static bool is_done(struct moonlet *m, bool (*done)(void *context), void *context)
{
    m->is_running = true;
    bool result = done(context);
    m->is_running = false;
    return result;
}

int moonlet_run_until(struct moonlet *m, bool (*done)(void *context), void *context, double limit)
{
    int result = done != NULL ? ml_runtime_check_idle(m) : -EINVAL;
    ml_time deadline = ml_time_after(ml_clock_now(), span_of(limit));
    while (result >= 0 && !is_done(m, done, context)) {
        ml_time left = deadline == ML_FOREVER ? ML_FOREVER : deadline - ml_clock_now();
        if (left <= 0)
            return -ETIMEDOUT;
        result = step(m, left, left);
        if (result == 0)
            return is_done(m, done, context);
    }
    return result < 0 ? result : 1;
}

int moonlet_fd(struct moonlet *m)
{
    int error = ml_runtime_check(m);
    if (error == 0 && m->lua.hub.life.is_forked)
        error = -ECHILD;
    if (error != 0)
        return error;
    int fd = ml_hub_descriptor(&m->lua.hub);
    return fd >= 0 ? fd : -errno;
}

static void on_readable(void *data)
{
    struct moonlet *m = data;
    if (ml_runtime_check_idle(m) == 0)
        step(m, 0, m->attached_run);
}

int moonlet_attach(struct moonlet *m, void *loop, double max_run)
{
    int error = ml_runtime_check(m);
    if (error != 0)
        return error;
    ml_host_loop_detach(m->host_loop);
    m->host_loop = NULL;
    if (loop == NULL)
        return 0;
    int fd = moonlet_fd(m);
    m->attached_run = span_of(max_run);
    m->host_loop = fd >= 0 ? ml_host_loop_attach(loop, fd, on_readable, m) : NULL;
    return fd < 0 ? fd : m->host_loop != NULL ? 0 : -ENOMEM;
}
