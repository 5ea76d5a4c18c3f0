#include "system/file/call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct ml_wait_kind disk_kind = {.text = "a disk", .external = true};

static struct ml_file_call *call_of(struct ml_job *job)
{
    return ml_container_of(job, struct ml_file_call, job);
}

static void close_file(struct ml_file_call *call)
{
    if (call->fd >= 0)
        close(call->fd);
    call->fd = -1;
}

/* A file that nobody takes is closed here: on FUSE and NFS, close() waits for the server. */
static void run(struct ml_job *job)
{
    struct ml_file_call *call = call_of(job);
    call->result = call->make(call);
    if (call->result < 0)
        close_file(call);
}

static void release(struct ml_job *job)
{
    ml_file_call_free(call_of(job));
}

static void give_up(struct ml_job *job)
{
    atomic_store_explicit(&call_of(job)->is_given_up, true, memory_order_relaxed);
}

/* Appends a copy at *end. NULL stays NULL. */
static const char *copy(char **end, const char *text, size_t size)
{
    if (text == NULL)
        return NULL;
    char *start = memcpy(*end, text, size);
    *end += size;
    return start;
}

struct ml_file_call *ml_file_call_new(int (*make)(struct ml_file_call *), bool changes,
                                      const char *path, const char *other, const char *input,
                                      size_t input_size)
{
    size_t path_size = path != NULL ? strlen(path) + 1 : 0;
    size_t other_size = other != NULL ? strlen(other) + 1 : 0;
    struct ml_file_call *call = malloc(sizeof *call + path_size + other_size + input_size);
    if (call == NULL)
        return NULL;
    *call = (struct ml_file_call){.make = make, .fd = -1, .input_size = input_size};
    call->job = (struct ml_job){.run = run, .release = release, .work = ML_WORK_DISK};
    call->job.give_up = changes ? give_up : NULL;
    char *end = (char *)(call + 1);
    call->path = copy(&end, path, path_size);
    call->other = copy(&end, other, other_size);
    call->input = input != NULL ? copy(&end, input, input_size) : end;
    return call;
}

void ml_file_call_free(struct ml_file_call *call)
{
    if (call == NULL)
        return;
    close_file(call);
    if (call->object != NULL)
        call->free_object(call->object);
    free(call->data);
    free(call);
}

int ml_file_call_run(struct ml_hub *hub, struct ml_file_call **call)
{
    int error = ml_offload(hub, &disk_kind, &(*call)->job, ML_FOREVER);
    if (error == 0)
        return (*call)->result;
    *call = NULL;
    return error;
}
