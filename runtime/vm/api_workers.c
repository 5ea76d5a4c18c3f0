/* The public functions of workers. */
#include "moonlet.h"

#include "base/clock.h"
#include "worker/client.h"
#include "worker/handover.h"
#include "worker/master.h"

#include <errno.h>
#include <stdio.h>

static void tell(void *context, const char *text)
{
    fprintf(stderr, "%s: %s\n", (const char *)context, text);
}

int moonlet_workers_run(const struct moonlet_workers *workers, int *status)
{
    if (workers == NULL || status == NULL || workers->arguments == NULL)
        return -EINVAL;
    if (ml_handover_is_check(workers->arguments, status))
        return 0;
    if (ml_worker_is_inherited())
        return 1;
    const char *name = workers->name != NULL ? workers->name : "moonlet";
    struct ml_master_options options = {
        .arguments = workers->arguments,
        .count = workers->count,
        .reuseport = workers->reuseport,
        .max_requests = workers->max_requests,
        .max_memory = workers->max_rss,
        .grace = ml_time_from_seconds(workers->grace),
        .boot = ml_time_from_seconds(workers->boot),
        .tickets = ml_time_from_seconds(workers->tickets),
        .stuck = workers->stuck < 0 ? ML_FOREVER : ml_time_from_seconds(workers->stuck),
        .log = tell,
        .context = (void *)name,
    };
    return ml_master_run(&options, status);
}
