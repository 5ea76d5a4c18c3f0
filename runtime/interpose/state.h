/*
 * All that a runtime keeps for the calls of C libraries in its tasks: one struct, in which each
 * file of the room has a part of its own. Knows no single call, and has no function but the one
 * that finds the struct.
 */
#ifndef ML_INTERPOSE_STATE_H
#define ML_INTERPOSE_STATE_H

#include "base/check.h"
#include "hub/state/hub.h"
#include "interpose/libc.h"
#include "system/file/quick.h"
#include "system/process/orphans.h"

struct ml_exclusion;
struct ml_held_lock;
struct ml_prompt;
struct ml_task_buffers;
struct ml_unclosed;

/* A call as it came in. */
struct ml_libc_call {
    enum ml_libc_function call;
    const void *caller; /* an address in the code that made it */
    const void *frame;  /* an address of the stack there */
};

struct ml_libc_call_counts {
    uint64_t waited;  /* times that a task waited in the call */
    uint64_t blocked; /* times that the call blocked the thread (enum ml_plain_reason) */
};

/* interpose/libc_call.c. */
struct ml_libc_call_tally {
    struct ml_libc_call_counts counts[ML_LIBC_FUNCTION_COUNT];
    uint8_t told_reasons; /* a bit for each enum ml_plain_reason that was reported */
    struct {
        uint64_t task; /* 0: a C function has returned since */
        unsigned count;
    } refused; /* calls in a row that failed because their task is cancelled */
};

/* interpose/no_wait.c: code under way that other tasks could need while it waits. */
struct ml_no_wait {
    const struct ml_strand *strand;
    uint64_t task; /* its number */
    const void *key;
    const void *frame;
};

enum { ML_NO_WAIT_MOST = 16 };

struct ml_no_wait_list {
    struct ml_no_wait items[ML_NO_WAIT_MOST]; /* the latest last */
    unsigned count;
};

/* interpose/held_locks.c: locks that tasks hold, by the address of the lock. */
enum { ML_HELD_BUCKETS = 256 };

struct ml_held_locks {
    struct ml_held_lock *buckets[ML_HELD_BUCKETS];
    struct ml_held_lock *spare;
    unsigned count;
    struct ml_link waiters;
};

/* interpose/task_buffers.c, by the slot of the task. */
struct ml_task_buffer_table {
    struct ml_task_buffers **slots;
    uint32_t count;
};

/* interpose/retry.c: the task's last call found nothing to read in that descriptor. */
struct ml_dry_descriptor {
    uint64_t task;
    int fd;
};

/* interpose/fd_kind.c: the descriptors whose kind is remembered. */
enum { ML_FD_KINDS = 1024 };

/* Functions of the runtime's owner. NULL: do nothing, or allow. */
struct ml_libc_calls_owner {
    /* Whether the running task is in a finalizer, which closes unused objects. */
    bool (*is_finalizing)(struct ml_hub *hub);
    /* Whether the running task may be parked. If so, has_waited() is called afterwards. */
    bool (*may_wait)(struct ml_hub *hub);
    /* error: the result of ml_wait(). After -ECANCELED the owner raises once the C function has
     * returned. */
    void (*has_waited)(struct ml_hub *hub, int error);
    /* A call has blocked the thread, for the first time for that reason. */
    void (*told)(struct ml_hub *hub, const char *text);
    /* Lets others run once the C function has returned. */
    void (*slice_is_over)(struct ml_hub *hub);
    /* Whether the program ends, and has cancelled the running task for that. */
    bool (*is_ending)(struct ml_hub *hub);
    /* Raises that cancellation through the C function, whose frames are left by longjmp: does not
     * return. Called only where nothing is held, and where an error code would not stop the
     * library. */
    void (*leave_c)(struct ml_hub *hub);
};

struct ml_libc_calls {
    struct ml_hub *hub;
    pid_t process;     /* whose memory this is */
    bool is_available; /* libc's names are exported: calls can come in */
    /* The call under way. Other tasks overwrite it while a task waits. */
    struct ml_libc_call entry;
    struct ml_libc_calls_owner owner;
    struct ml_dry_descriptor dry;
    struct ml_no_wait_list no_wait;
    struct ml_held_locks held_locks;
    struct ml_task_buffer_table task_buffers;
    struct ml_exclusion *exclusions; /* interpose/caller.c */
    struct ml_orphans orphans;       /* children of C libraries that no task waits for */
    struct ml_unclosed *unclosed;    /* interpose/stdio_file.c */
    struct ml_link shells;           /* interpose/shells.c */
    struct ml_prompt *prompt;        /* interpose/prompt.c; NULL: no line is edited */
    struct ml_libc_call_tally tally;
    uint8_t fd_kinds[ML_FD_KINDS];
    struct ml_disks disks; /* interpose/fd_kind.c */
    int blind_fd; /* the one asked for last, if it is near and its disk is blind; else -1 */
};

/* The state of the runtime whose task runs on this thread. NULL: no task runs, or its calls are
 * left to libc. */
static inline struct ml_libc_calls *ml_libc_calls_current(void)
{
    struct ml_bank *bank = ml_bank_current;
    if (ml_likely(bank == NULL))
        return NULL;
    const struct ml_hub *hub = ml_container_of(bank, struct ml_hub, bank);
    return hub->current != NULL ? hub->libc_calls : NULL;
}

#endif
