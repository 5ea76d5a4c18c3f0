/*
 * Calls of C libraries made by tasks: whose call it is, whether its task may wait instead of the
 * thread, and the waits. Knows no single call; those are in the other files of the room.
 */
#ifndef ML_INTERPOSE_LIBC_CALL_H
#define ML_INTERPOSE_LIBC_CALL_H

#include "base/check.h"
#include "hub/on/offload.h"
#include "hub/state/hub.h"
#include "hub/wait/slice.h"
#include "interpose/libc.h"

#include <signal.h>
#include <stddef.h>

/* A call as it came in. */
struct ml_libc_call {
    enum ml_libc_function call;
    const void *caller; /* an address in the code that made it */
    const void *frame;  /* an address of the stack there */
};

struct ml_libc_call_counts {
    uint64_t waited;  /* times that a task waited in it */
    uint64_t blocked; /* times that it blocked the thread, for one of the reasons below */
};

/* Why a call blocks the thread as libc's own would. */
enum ml_plain_reason {
    ML_PLAIN_NONE,
    ML_PLAIN_EXCLUDED, /* ml_libc_calls_exclude() */
    ML_PLAIN_NO_WAIT,  /* pthread_once, a static initialiser, a stdio callback: others could need it
                        */
    ML_PLAIN_OWNER,    /* the owner said so: a finalizer, task.no_switch, ... */
    ML_PLAIN_STACK     /* made on a stack that is not the task's: of a library's own fibers, of a
                          signal's handler */
};

struct ml_exclusion {
    struct ml_exclusion *next;
    char pattern[]; /* as for fnmatch(3) */
};

struct ml_held_lock;
struct ml_orphan;
struct ml_prompt;
struct ml_task_buffers;
struct ml_unclosed;

/* Code that other tasks could need while it waits, and that is under way. */
struct ml_no_wait {
    const struct ml_strand *strand;
    uint64_t task; /* its number */
    const void *key;
    const void *frame;
};

enum { ML_HELD_BUCKETS = 256, ML_NO_WAIT_MOST = 16 };

/* Descriptors whose kind is remembered (interpose/fd_kind.h). */
enum { ML_FD_KINDS = 1024 };

struct ml_libc_calls {
    struct ml_hub *hub;
    pid_t process;     /* whose memory this is */
    bool is_available; /* libc's names are exported: calls can come in */
    struct ml_libc_call
        entry; /* of the call that is being made; others overwrite it while a task waits */
    struct ml_no_wait no_wait[ML_NO_WAIT_MOST]; /* interpose/no_wait.h, the latest last */
    unsigned no_wait_count;
    struct ml_libc_call_counts counts[ML_LIBC_FUNCTION_COUNT];
    struct ml_exclusion *exclusions;
    struct ml_held_lock *held[ML_HELD_BUCKETS],
        *held_spare; /* interpose/held_locks.h: by the lock's address */
    unsigned held_count;
    struct ml_link lock_waiters;
    struct ml_task_buffers **task_buffers; /* interpose/task_buffers.c */
    uint32_t task_buffers_count;
    struct {
        uint64_t task;
        int fd;
    } dry; /* the task found nothing in that descriptor in its last call */
    struct {
        uint64_t task; /* 0: a C function has returned since */
        unsigned count;
    } refused;                    /* calls in a row that were told of a cancellation */
    struct ml_orphan *orphans;    /* interpose/child_file.h: whose end the loop is told of */
    struct ml_unclosed *unclosed; /* interpose/stdio_file.h */
    struct ml_link shells;        /* interpose/shells.h */
    struct ml_prompt *prompt;     /* interpose/prompt.h; NULL: no line is edited */
    uint8_t fd_kinds[ML_FD_KINDS];

    /* Set by the owner. is_finalizing: whether the running task is in a finalizer, which closes
     * what nobody uses any more. may_wait: whether the running task may be parked; if so,
     * has_waited is called afterwards, with what ml_wait() gave; after -ECANCELED the owner raises
     * once the C function has returned. told: a call blocked the thread, for the first time for
     * that reason. slice_is_over: others are to run once the C function has returned. is_ending:
     * the program ends, and the running task is cancelled for that; leave_c: raises that through
     * the C function, whose frames are left by longjmp: it does not return. Only where nothing is
     * held and the library could not be told otherwise. */
    bool (*is_finalizing)(struct ml_hub *hub);
    bool (*may_wait)(struct ml_hub *hub);
    void (*has_waited)(struct ml_hub *hub, int error);
    void (*told)(struct ml_hub *hub, const char *text);
    void (*slice_is_over)(struct ml_hub *hub);
    bool (*is_ending)(struct ml_hub *hub);
    void (*leave_c)(struct ml_hub *hub);
    uint8_t told_reasons; /* bit of each enum ml_plain_reason */
};

/* NULL: no memory. The calls of the hub's tasks are ours once hub->libc_calls is set to it. */
struct ml_libc_calls *ml_libc_calls_open(struct ml_hub *hub);

/* No task is alive any more. NULL is allowed. */
void ml_libc_calls_close(struct ml_libc_calls *calls);

/* Calls whose name matches, and calls from libraries the last part of whose file name does, block
 * the thread. pattern: as for fnmatch(3), such as "libodbc*". 0 or -ENOMEM. */
int ml_libc_calls_exclude(struct ml_libc_calls *calls, const char *pattern);

/* Whether a library made the call the last part of whose file name matches. */
bool ml_libc_call_is_called_from(struct ml_libc_call entry, const char *pattern);

/* That of the task which runs on this thread; NULL: none does, or its calls are left alone. */
static inline struct ml_libc_calls *ml_libc_calls_current(void)
{
    struct ml_bank *bank = ml_bank_current;
    if (ml_likely(bank == NULL))
        return NULL;
    const struct ml_hub *hub = ml_container_of(bank, struct ml_hub, bank);
    return hub->current != NULL ? hub->libc_calls : NULL;
}

/* What the waits below give besides 0 and negated errnos: the call has to be made as libc makes it.
 */
enum { ML_PLAINLY = 1 };

/* Whether the running task may wait in the call that came in as `entry`: 0, then ml_libc_call_end()
 * follows; or ML_PLAINLY. */
int ml_libc_call_begin(struct ml_libc_calls *calls, struct ml_libc_call entry);
void ml_libc_call_end(struct ml_libc_calls *calls, int error);

/* Whether the running task has been told of its cancellation so often, without a return from the C
 * function, that the library takes no notice. */
bool ml_libc_call_is_stubborn(const struct ml_libc_calls *calls);

/* Whether calls on a descriptor fail instead of waiting; also if there is none. Leaves errno alone.
 */
bool ml_libc_call_is_nonblocking(int fd);

/* The slice is over: others run, before the call calls->entry goes on. 0 or -ECANCELED. */
int ml_libc_call_end_slice(struct ml_libc_calls *calls);

/* The slice is over: others run once the C function that made the call has returned. */
void ml_libc_call_end_slice_later(struct ml_libc_calls *calls);

/* What a call counts for the task's slice (hub/wait/slice.h): less than a stream's, as the end of a
 * slice costs more here (two system calls, 1.6 us in all). */
enum { ML_LIBC_CALL_COST = 1 };

/* In a call that may wait, but need not each time it is made: lets others run when it is time to. 0
 * or -ECANCELED. */
static inline int ml_libc_call_share(struct ml_libc_calls *calls)
{
    ml_slice_spend(calls->hub, ML_LIBC_CALL_COST);
    return ml_slice_is_over(calls->hub) ? ml_libc_call_end_slice(calls) : 0;
}

/* In a call that never waits: a library does not expect others to run before its function has
 * returned. */
static inline void ml_libc_call_share_later(struct ml_libc_calls *calls)
{
    ml_slice_spend(calls->hub, ML_LIBC_CALL_COST);
    if (ml_slice_is_over(calls->hub))
        ml_libc_call_end_slice_later(calls);
}

/* In a call on `fd`, whose own flag says which of the two. 0 or -ECANCELED. */
int ml_libc_call_share_on(struct ml_libc_calls *calls, int fd);

/* Waits until `fd` may be ready for `events` (POLLIN, POLLOUT). 0: look; -EINTR: a signal's handler
 * has run; -EBADF: it was closed meanwhile, or its number stands for another file now; -ETIMEDOUT,
 * -ECANCELED, -ENOMEM; ML_PLAINLY, also for a file on a disk, which is ready always. */
int ml_libc_call_wait_fd(struct ml_libc_calls *calls, struct ml_libc_call entry, int fd,
                         short events, ml_time deadline);

/* Waits until `deadline`: -ETIMEDOUT then; else as above. */
int ml_libc_call_wait_time(struct ml_libc_calls *calls, struct ml_libc_call entry,
                           ml_time deadline);

/* For what nobody tells of: it is looked at first often, later every so often. Waits for *pause,
 * which begins as ML_FIRST_PAUSE and grows. 0: look; else as above. */
#define ML_FIRST_PAUSE ML_MILLISECOND
int ml_libc_call_pause(struct ml_libc_calls *calls, struct ml_libc_call entry, ml_time *pause);

/* For how long a read of a terminal waits that is to give what there is (termios(3), MIN == 0);
 * ML_FOREVER: any other descriptor. */
ml_time ml_libc_call_patience(int fd);

/* When a call has to give up, by its socket's SO_RCVTIMEO (POLLIN) or SO_SNDTIMEO (POLLOUT), or by
 * its terminal. */
ml_time ml_libc_call_deadline(const struct ml_libc_calls *calls, int fd, short events);

/* Waits for a worker to run `job`, or runs it on this thread if the task may not wait. As
 * ml_offload(); after 0 errno is what the job left, as if the task had made its calls. */
int ml_libc_call_offload(struct ml_libc_calls *calls, struct ml_libc_call entry,
                         struct ml_job *job);

/*
 * One attempt at a call on a descriptor. flags: MSG_DONTWAIT: must not block, -1 with EAGAIN
 * instead; 0: may. call: the caller's, kept across the attempts.
 */
typedef ssize_t ml_attempt(void *call, int flags);

/*
 * The one loop of the calls that block until a descriptor is ready, unless its own flags forbid:
 * attempts, and waits in between, as long as SO_RCVTIMEO or SO_SNDTIMEO allow. Returns what the
 * last attempt did, or -1 with errno set; without an error errno stays as it was.
 */
ssize_t ml_libc_call_retry(struct ml_libc_calls *calls, int fd, short events, ml_attempt *attempt,
                           void *call);

/* The descriptor is about to be closed: what is remembered of it is forgotten, who waits for it is
 * woken. */
void ml_libc_calls_note_close(struct ml_libc_calls *calls, int fd);

/* A poll of the hub on this thread was ended by a signal: calls that a signal ends are, unless the
 * hub's owner has taken it for itself (ml_hub_notify()): what that does, such as cancel all tasks,
 * goes before. */
void ml_libc_calls_interrupted(void);

/* What a call gives that failed with `result` after `done` bytes or messages: those, and no error.
 */
static inline ssize_t ml_part(ssize_t result, size_t done, int saved_errno)
{
    if (result >= 0 || done == 0)
        return result;
    errno = saved_errno;
    return (ssize_t)done;
}

/* Sets errno to a negated one. -1. */
static inline int ml_fail(int error)
{
    errno = -error;
    return -1;
}

#endif
