#include "system/file/file_state.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void close_descriptor(struct ml_descriptor *descriptor)
{
    if (descriptor->temporary != NULL)
        unlink(descriptor->temporary);
    if (descriptor->fd >= 0)
        close(descriptor->fd);
    free(descriptor->temporary);
    descriptor->temporary = NULL;
    descriptor->fd = -1;
}

static void leave(void *object)
{
    struct ml_descriptor *descriptor = object;
    if (atomic_fetch_sub(&descriptor->users, 1) > 1)
        return;
    close_descriptor(descriptor);
    free(descriptor);
}

/* ---- closing by a worker ---- */

static struct ml_descriptor *descriptor_of(struct ml_job *job)
{
    return ml_container_of(job, struct ml_descriptor, job);
}

/* Another worker that uses it closes it when it is done. */
static void run_close(struct ml_job *job)
{
    struct ml_descriptor *descriptor = descriptor_of(job);
    if (atomic_load(&descriptor->users) == 1)
        close_descriptor(descriptor);
}

static void end_close(struct ml_job *job)
{
    leave(descriptor_of(job));
}

/* FUSE and NFS ask their server in close(). No task waits for that. */
static void close_later(struct ml_hub *hub, struct ml_descriptor *descriptor)
{
    descriptor->job = (struct ml_job){
        .run = run_close, .release = end_close, .finished = end_close, .work = ML_WORK_CLOSE};
    ml_offload_start(hub, &descriptor->job);
}

struct ml_file_call *ml_file_new_call(struct ml_file *file, int (*make)(struct ml_file_call *),
                                      bool changes, size_t input_size)
{
    struct ml_file_call *call = ml_file_call_new(make, changes, NULL, NULL, NULL, input_size);
    if (call != NULL) {
        atomic_fetch_add(&file->descriptor->users, 1);
        call->object = file->descriptor;
        call->free_object = leave;
    }
    return call;
}

int ml_file_number(const struct ml_file_call *call)
{
    const struct ml_descriptor *descriptor = call->object;
    return descriptor->fd;
}

void ml_file_forget_lock(struct ml_file *file)
{
    if (ml_link_is_in_list(&file->locked_link))
        ml_list_remove(&file->locked_link);
}

void ml_file_release(struct ml_file *file)
{
    if (ml_fd_is_open(&file->stream.fd))
        ml_fd_detach(&file->stream.fd);
    ml_file_call_free(file->input);
    ml_file_call_free(file->output);
    bool is_far = file->is_disk && !file->is_local;
    if (file->is_temporary && is_far)
        file->descriptor->temporary = strdup(file->stream.name);
    if (file->is_temporary && file->descriptor->temporary == NULL)
        unlink(file->stream.name);
    if (is_far)
        close_later(file->stream.io->hub, file->descriptor);
    else
        leave(file->descriptor);
    file->descriptor = NULL;
    file->input = file->output = NULL;
    ml_file_forget_lock(file);
}
