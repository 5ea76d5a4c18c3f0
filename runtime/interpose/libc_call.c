#include "interpose/libc_call.h"

#include "hub/on/poll_set.h"
#include "hub/state/scope.h"
#include "hub/state/strand.h"
#include "hub/wait/wait.h"
#include "interpose/child_file.h"
#include "interpose/fd_kind.h"
#include "interpose/held_locks.h"
#include "interpose/no_wait.h"
#include "interpose/shells.h"
#include "interpose/stdio_file.h"
#include "interpose/task_buffers.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>

static const struct ml_wait_kind fd_kind = {.text = "a descriptor, in a C library",
                                            .external = true};
static const struct ml_wait_kind time_kind = {.text = "the clock, in a C library",
                                              .external = true};
static const struct ml_wait_kind worker_kind = {.text = "a worker thread, in a C library",
                                                .external = true};

#define LONGEST_PAUSE (20 * ML_MILLISECOND)

/* Refusals of a cancelled task's calls in a row, and how long each after them takes. */
enum { PATIENCE = 1000 };
#define STUBBORN_PAUSE (10 * ML_MILLISECOND)

static const char *const reasons[] = {
    [ML_PLAIN_EXCLUDED] = "it is excluded",
    [ML_PLAIN_NO_WAIT] =
        "it is made inside pthread_once, a static initialiser or a callback of stdio",
    [ML_PLAIN_OWNER] = "it is made in a finalizer or inside task.no_switch",
    [ML_PLAIN_STACK] = "it is made on a stack of the library's own",
};

struct ml_libc_calls *ml_libc_calls_open(struct ml_hub *hub)
{
    struct ml_libc_calls *calls = calloc(1, sizeof *calls);
    if (calls == NULL)
        return NULL;
    calls->hub = hub;
    calls->process = getpid();
    calls->is_available = ml_libc.is_exported;
    ml_list_init(&calls->lock_waiters);
    ml_list_init(&calls->shells);
    return calls;
}

void ml_libc_calls_close(struct ml_libc_calls *calls)
{
    if (calls == NULL)
        return;
    while (calls->exclusions != NULL) {
        struct ml_exclusion *exclusion = calls->exclusions;
        calls->exclusions = exclusion->next;
        free(exclusion);
    }
    ml_task_buffers_release(calls);
    ml_shells_release(calls);
    ml_children_release(calls);
    ml_locks_release(calls);
    ml_stdio_release(calls);
    free(calls);
}

int ml_libc_calls_exclude(struct ml_libc_calls *calls, const char *pattern)
{
    size_t size = strlen(pattern) + 1;
    struct ml_exclusion *exclusion = malloc(sizeof *exclusion + size);
    if (exclusion == NULL)
        return -ENOMEM;
    memcpy(exclusion->pattern, pattern, size);
    exclusion->next = calls->exclusions;
    calls->exclusions = exclusion;
    return 0;
}

static const char *library_of(const void *address)
{
    Dl_info info;
    if (dladdr(address, &info) == 0 || info.dli_fname == NULL)
        return "";
    const char *slash = strrchr(info.dli_fname, '/');
    return slash != NULL ? slash + 1 : info.dli_fname;
}

bool ml_libc_call_is_called_from(struct ml_libc_call entry, const char *pattern)
{
    return fnmatch(pattern, library_of(entry.caller), 0) == 0;
}

static bool is_excluded(const struct ml_libc_calls *calls, struct ml_libc_call entry)
{
    if (calls->exclusions == NULL)
        return false;
    const char *library = library_of(entry.caller);
    const struct ml_exclusion *e = calls->exclusions;
    while (e != NULL && fnmatch(e->pattern, ml_libc_function_name(entry.call), 0) != 0 &&
           fnmatch(e->pattern, library, 0) != 0)
        e = e->next;
    return e != NULL;
}

static void tell(struct ml_libc_calls *calls, struct ml_libc_call entry,
                 enum ml_plain_reason reason)
{
    char text[256];
    if (calls->told == NULL || (calls->told_reasons & 1U << reason) != 0)
        return;
    calls->told_reasons |= (uint8_t)(1U << reason);
    snprintf(text, sizeof text, "%s() in %.80s makes every task wait: %s",
             ml_libc_function_name(entry.call), library_of(entry.caller), reasons[reason]);
    calls->told(calls->hub, text);
}

/* A child of vfork() is in its parent's memory: the hub's tasks are not its own. */
static bool is_child(const struct ml_libc_calls *calls)
{
    return getpid() != calls->process;
}

static enum ml_plain_reason reason_against(struct ml_libc_calls *calls, struct ml_libc_call entry)
{
    if (is_excluded(calls, entry))
        return ML_PLAIN_EXCLUDED;
    if (!ml_strand_holds(calls->hub->current->strand, __builtin_frame_address(0)))
        return ML_PLAIN_STACK;
    if (ml_no_wait_is_inside(calls, entry.frame))
        return ML_PLAIN_NO_WAIT;
    return calls->may_wait != NULL && !calls->may_wait(calls->hub) ? ML_PLAIN_OWNER : ML_PLAIN_NONE;
}

int ml_libc_call_begin(struct ml_libc_calls *calls, struct ml_libc_call entry)
{
    if (is_child(calls))
        return ML_PLAINLY;
    enum ml_plain_reason reason = reason_against(calls, entry);
    if (reason != ML_PLAIN_NONE) {
        calls->counts[entry.call].blocked++;
        tell(calls, entry, reason);
        return ML_PLAINLY;
    }
    calls->counts[entry.call].waited++;
    return 0;
}

bool ml_libc_call_is_stubborn(const struct ml_libc_calls *calls)
{
    return calls->refused.task == calls->hub->current->id && calls->refused.count >= PATIENCE;
}

/* A library that tries again whatever errno says must not keep the thread: from some refusal on
 * others run before each. */
static void pause_if_stubborn(struct ml_libc_calls *calls)
{
    uint64_t task = calls->hub->current->id;
    calls->refused.count = calls->refused.task == task ? calls->refused.count + 1 : 1;
    calls->refused.task = task;
    if (!ml_libc_call_is_stubborn(calls))
        return;
    struct ml_scope *shield = ml_scope_open(calls->hub, ML_SCOPE_SHIELD, ML_FOREVER);
    if (shield == NULL)
        return;
    ml_wait(calls->hub, &time_kind, 0, NULL, ml_time_after(ml_hub_now(calls->hub), STUBBORN_PAUSE));
    ml_scope_close(calls->hub, shield);
}

void ml_libc_call_end(struct ml_libc_calls *calls, int error)
{
    if (error == -ECANCELED)
        pause_if_stubborn(calls);
    if (calls->has_waited != NULL)
        calls->has_waited(calls->hub, error);
}

bool ml_libc_call_is_nonblocking(int fd)
{
    int saved = errno;
    int flags = fcntl(fd, F_GETFL);
    errno = saved;
    return flags < 0 || (flags & O_NONBLOCK) != 0;
}

int ml_libc_call_end_slice(struct ml_libc_calls *calls)
{
    struct ml_libc_call entry = calls->entry;
    ml_slice_renew(calls->hub);
    if (is_child(calls) || reason_against(calls, entry) != ML_PLAIN_NONE)
        return 0;
    int error = ml_slice_end(calls->hub);
    ml_libc_call_end(calls, error);
    calls->entry = entry;
    return error;
}

void ml_libc_call_end_slice_later(struct ml_libc_calls *calls)
{
    ml_slice_renew(calls->hub);
    if (calls->slice_is_over != NULL && !is_child(calls))
        calls->slice_is_over(calls->hub);
}

int ml_libc_call_share_on(struct ml_libc_calls *calls, int fd)
{
    ml_slice_spend(calls->hub, ML_LIBC_CALL_COST);
    if (ml_likely(!ml_slice_is_over(calls->hub)))
        return 0;
    if (!ml_libc_call_is_nonblocking(fd))
        return ml_libc_call_end_slice(calls);
    ml_libc_call_end_slice_later(calls);
    return 0;
}

/* Whether the number stands for the same file as it did. (Files without a name, such as eventfds,
 * look alike.) */
static bool is_same_file(int fd, const struct stat *before)
{
    struct stat now;
    return fstat(fd, &now) == 0 && now.st_dev == before->st_dev && now.st_ino == before->st_ino;
}

int ml_libc_call_wait_fd(struct ml_libc_calls *calls, struct ml_libc_call entry, int fd,
                         short events, ml_time deadline)
{
    struct stat file;
    if (fstat(fd, &file) != 0)
        return -EBADF;
    int error = ml_mode_is_disk(file.st_mode) ? ML_PLAINLY : ml_libc_call_begin(calls, entry);
    if (error != 0)
        return error;
    struct ml_poll_set *set = ml_poll_set_open(calls->hub, 1);
    if (set != NULL) {
        ml_poll_set_add(set, fd, events & POLLIN, events & POLLOUT);
        error = ml_poll_set_wait(set, &fd_kind, deadline);
        ml_poll_set_close(set);
    } else {
        error = -ENOMEM;
    }
    ml_libc_call_end(calls, error);
    return error == 0 && !is_same_file(fd, &file) ? -EBADF : error;
}

int ml_libc_call_wait_time(struct ml_libc_calls *calls, struct ml_libc_call entry, ml_time deadline)
{
    int error = ml_libc_call_begin(calls, entry);
    if (error != 0)
        return error;
    struct ml_poll_set *set = ml_poll_set_open(calls->hub, 0);
    error = set != NULL ? ml_poll_set_wait(set, &time_kind, deadline) : -ENOMEM;
    ml_poll_set_close(set);
    ml_libc_call_end(calls, error);
    return error;
}

int ml_libc_call_pause(struct ml_libc_calls *calls, struct ml_libc_call entry, ml_time *pause)
{
    int error = ml_libc_call_wait_time(calls, entry, ml_time_after(ml_hub_now(calls->hub), *pause));
    *pause = ml_time_earlier(2 * *pause, LONGEST_PAUSE);
    return error == -ETIMEDOUT ? 0 : error;
}

int ml_libc_call_offload(struct ml_libc_calls *calls, struct ml_libc_call entry, struct ml_job *job)
{
    if (ml_libc_call_begin(calls, entry) == ML_PLAINLY) {
        job->run(job);
        return 0;
    }
    int error = ml_offload(calls->hub, &worker_kind, job, ML_FOREVER);
    ml_libc_call_end(calls, error);
    if (error == 0)
        errno = job->saved_errno;
    return error;
}

void ml_libc_calls_interrupted(void)
{
    struct ml_bank *bank = ml_bank_current;
    int saved = errno;
    struct ml_hub *hub = bank != NULL ? ml_container_of(bank, struct ml_hub, bank) : NULL;
    if (hub != NULL && !hub->attention)
        ml_poll_sets_interrupt(hub);
    errno = saved;
}

ml_time ml_libc_call_patience(int fd)
{
    struct termios mode;
    int saved = errno;
    bool is_hasty =
        tcgetattr(fd, &mode) == 0 && (mode.c_lflag & ICANON) == 0 && mode.c_cc[VMIN] == 0;
    errno = saved;
    return is_hasty ? mode.c_cc[VTIME] * (ML_SECOND / 10) : ML_FOREVER;
}

ml_time ml_libc_call_deadline(const struct ml_libc_calls *calls, int fd, short events)
{
    struct timeval span = {0};
    socklen_t size = sizeof span;
    int option = events & POLLIN ? SO_RCVTIMEO : SO_SNDTIMEO;
    if (getsockopt(fd, SOL_SOCKET, option, &span, &size) != 0)
        return events & POLLIN ? ml_time_after(ml_hub_now(calls->hub), ml_libc_call_patience(fd))
                               : ML_FOREVER;
    if (span.tv_sec == 0 && span.tv_usec == 0)
        return ML_FOREVER;
    return ml_time_after(ml_hub_now(calls->hub), ml_time_of(span.tv_sec, span.tv_usec * 1000L));
}

static bool would_block(ssize_t result)
{
    return result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* Most who find nothing in a descriptor wait for it next. */
static void note_dry(struct ml_libc_calls *calls, int fd, short events)
{
    calls->dry.task = calls->hub->current->id;
    calls->dry.fd = events == POLLIN ? fd : -1;
}

static __attribute__((noinline)) ssize_t wait_and_retry(struct ml_libc_calls *calls, int fd,
                                                        short events, ml_attempt *attempt,
                                                        void *call)
{
    struct ml_libc_call entry = calls->entry;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return ml_fail(-EBADF);
    if ((flags & O_NONBLOCK) != 0) {
        note_dry(calls, fd, events);
        return ml_fail(-EAGAIN);
    }
    ml_time deadline = ml_libc_call_deadline(calls, fd, events);
    ssize_t result = -1;
    int error;
    do {
        error = ml_libc_call_wait_fd(calls, entry, fd, events, deadline);
        if (error == 0)
            result = attempt(call, MSG_DONTWAIT);
    } while (error == -EINTR || (error == 0 && would_block(result)));
    if (error == ML_PLAINLY)
        return attempt(call, 0);
    if (error != 0)
        return ml_fail(error == -ETIMEDOUT ? -EAGAIN : error);
    return result;
}

ssize_t ml_libc_call_retry(struct ml_libc_calls *calls, int fd, short events, ml_attempt *attempt,
                           void *call)
{
    if (ml_unlikely(ml_libc_call_share_on(calls, fd) != 0))
        return ml_fail(-ECANCELED);
    int saved = errno;
    ssize_t result = attempt(call, MSG_DONTWAIT);
    if (would_block(result))
        result = wait_and_retry(calls, fd, events, attempt, call);
    ml_slice_spend_bytes(calls->hub, result);
    if (ml_likely(result >= 0))
        errno = saved;
    return result;
}
