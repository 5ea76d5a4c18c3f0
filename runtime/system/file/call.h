/*
 * A call of a disk that a worker makes for a task: a file's name, what is to be done, and what came
 * of it. Lies on the heap, as the task may be gone before the disk answers. Knows no single call.
 */
#ifndef ML_SYSTEM_FILE_CALL_H
#define ML_SYSTEM_FILE_CALL_H

#include "hub/on/offload.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/stat.h>

struct ml_file_call {
    struct ml_job job;
    int (*make)(
        struct ml_file_call *); /* on a worker: a result that is not negative, or an error */
    int result;
    atomic_bool is_given_up; /* the task is cancelled: make() may end with -ECANCELED once all is as
                                it was before */

    /* What make() needs. The texts belong to the call. */
    const char *path;
    const char *other;
    const char *input;
    size_t input_size;
    size_t max;
    unsigned flags;
    mode_t mode;
    int64_t numbers[2];
    struct timespec times[2];
    bool is_synced;

    /* What the call borrows, and what frees it if nobody takes it back. */
    void *object; /* NULL: nothing */
    void (*free_object)(void *);

    /* What came of it, freed with the call unless taken. */
    int fd;     /* -1: none */
    char *data; /* NULL: none */
    size_t size;
    struct statx status;
};

/*
 * A call without a result. `changes`: make() changes something, so that a task that is cancelled
 * once it has begun waits for its end. path, other, input: copied, and may
 * be NULL; without input there is room for it.
 * NULL: no memory.
 */
struct ml_file_call *ml_file_call_new(int (*make)(struct ml_file_call *), bool changes,
                                      const char *path, const char *other, const char *input,
                                      size_t input_size);

/* Closes and frees what the call has, and the call. NULL is harmless. */
void ml_file_call_free(struct ml_file_call *call);

/*
 * Has a worker make the call, while the running task waits. What make() has returned; or an error
 * of ml_offload(), and *call is NULL: it belongs to the worker, which frees it.
 */
int ml_file_call_run(struct ml_hub *hub, struct ml_file_call **call);

/* For make(): whether the task has given up. */
static inline bool ml_file_call_is_given_up(const struct ml_file_call *call)
{
    return atomic_load_explicit(&call->is_given_up, memory_order_relaxed);
}

#endif
