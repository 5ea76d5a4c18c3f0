#include "system/file/watch_waste.h"

#include "base/check.h"
#include "hub/on/offload.h"

#include <stddef.h>
#include <stdlib.h>

struct waste {
    struct ml_job job;
    struct ml_picture picture;
};

static struct waste *waste_of(struct ml_job *job)
{
    return ml_container_of(job, struct waste, job);
}

static void run(struct ml_job *job)
{
    ml_picture_release(&waste_of(job)->picture);
}

static void release(struct ml_job *job)
{
    run(job); /* harmless the second time */
    free(waste_of(job));
}

void ml_watch_waste(struct ml_hub *hub, struct ml_picture *picture)
{
    struct waste *waste = picture->count > ML_WATCH_SMALL_PICTURE ? malloc(sizeof *waste) : NULL;
    if (waste == NULL) {
        ml_picture_release(picture);
        return;
    }
    *waste = (struct waste){
        .job = {.run = run, .release = release, .finished = release, .work = ML_WORK_DISK},
        .picture = *picture};
    *picture = (struct ml_picture){0};
    ml_offload_start(hub, &waste->job);
}
