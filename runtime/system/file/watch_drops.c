#include "system/file/watch_drops.h"

#include "base/check.h"
#include "system/file/watch_kernel.h"

#include <stddef.h>
#include <stdlib.h>
#include <sys/inotify.h>

static struct ml_watch_drops *drops_of(struct ml_job *job)
{
    return ml_container_of(job, struct ml_watch_drops, job);
}

static void run(struct ml_job *job)
{
    struct ml_watch_drops *drops = drops_of(job);
    for (size_t i = 0; i < drops->count; i++)
        inotify_rm_watch(drops->kernel->fd, drops->wds[i]);
    drops->is_done = true;
}

static void release(struct ml_job *job)
{
    struct ml_watch_drops *drops = drops_of(job);
    if (!drops->is_done)
        run(job);
    ml_watch_kernel_drop(drops->kernel);
    free(drops);
}

struct ml_watch_drops *ml_watch_drops_new(struct ml_watch_kernel *kernel, size_t room)
{
    if (room <= ML_WATCH_FEW)
        return NULL;
    struct ml_watch_drops *drops = malloc(sizeof *drops + room * sizeof drops->wds[0]);
    if (drops == NULL)
        return NULL;
    *drops = (struct ml_watch_drops){.job = {.run = run,
                                             .release = release,
                                             .finished = release,
                                             .work = ML_WORK_DISK,
                                             .must_run = true},
                                     .kernel = kernel};
    ml_watch_kernel_keep(kernel);
    return drops;
}

void ml_watch_drops_start(struct ml_watch_drops *drops, struct ml_hub *hub)
{
    if (drops != NULL)
        ml_offload_start(hub, &drops->job);
}
