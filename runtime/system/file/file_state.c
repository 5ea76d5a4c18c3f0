#include "system/file/file_state.h"

#include <stdlib.h>
#include <unistd.h>

static void leave(void *object)
{
    struct ml_descriptor *descriptor = object;
    if (atomic_fetch_sub(&descriptor->users, 1) > 1)
        return;
    close(descriptor->fd);
    free(descriptor);
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
    leave(file->descriptor);
    file->descriptor = NULL;
    file->input = file->output = NULL;
    ml_file_forget_lock(file);
}
