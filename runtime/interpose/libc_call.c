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
    [ML_PLAIN_INSIDE] =
        "it is made inside pthread_once, a static initialiser or a callback of stdio",
    [ML_PLAIN_OWNER] = "it is made in a finalizer or inside task.no_switch",
    [ML_PLAIN_STACK] = "it is made on a stack of the library's own",
};

struct ml_foreign *ml_foreign_open(struct ml_hub *hub)
{
    struct ml_foreign *f = calloc(1, sizeof *f);
    if (f == NULL)
        return NULL;
    f->hub = hub;
    f->process = getpid();
    f->is_available = ml_libc.is_exported;
    ml_list_init(&f->lock_waiters);
    ml_list_init(&f->shells);
    return f;
}

void ml_foreign_close(struct ml_foreign *f)
{
    if (f == NULL)
        return;
    while (f->exclusions != NULL) {
        struct ml_exclusion *exclusion = f->exclusions;
        f->exclusions = exclusion->next;
        free(exclusion);
    }
    ml_statics_release(f);
    ml_shells_release(f);
    ml_children_release(f);
    ml_locks_release(f);
    ml_stdio_release(f);
    free(f);
}

int ml_foreign_exclude(struct ml_foreign *f, const char *pattern)
{
    size_t size = strlen(pattern) + 1;
    struct ml_exclusion *exclusion = malloc(sizeof *exclusion + size);
    if (exclusion == NULL)
        return -ENOMEM;
    memcpy(exclusion->pattern, pattern, size);
    exclusion->next = f->exclusions;
    f->exclusions = exclusion;
    return 0;
}

const char *ml_call_name(enum ml_call call)
{
    static const char *const names[] = {
#define ML_CALL_NAME(type, name, parameters, arguments) #name,
        ML_CALLS(ML_CALL_NAME)
#undef ML_CALL_NAME
    };
    return names[call];
}

static const char *library_of(const void *address)
{
    Dl_info info;
    if (dladdr(address, &info) == 0 || info.dli_fname == NULL)
        return "";
    const char *slash = strrchr(info.dli_fname, '/');
    return slash != NULL ? slash + 1 : info.dli_fname;
}

bool ml_foreign_is_called_from(struct ml_entry entry, const char *pattern)
{
    return fnmatch(pattern, library_of(entry.caller), 0) == 0;
}

static bool is_excluded(const struct ml_foreign *f, struct ml_entry entry)
{
    if (f->exclusions == NULL)
        return false;
    const char *library = library_of(entry.caller);
    const struct ml_exclusion *e = f->exclusions;
    while (e != NULL && fnmatch(e->pattern, ml_call_name(entry.call), 0) != 0 &&
           fnmatch(e->pattern, library, 0) != 0)
        e = e->next;
    return e != NULL;
}

static void tell(struct ml_foreign *f, struct ml_entry entry, enum ml_plain_reason reason)
{
    char text[256];
    if (f->told == NULL || (f->told_reasons & 1U << reason) != 0)
        return;
    f->told_reasons |= (uint8_t)(1U << reason);
    snprintf(text, sizeof text, "%s() in %.80s makes every task wait: %s", ml_call_name(entry.call),
             library_of(entry.caller), reasons[reason]);
    f->told(f->hub, text);
}

/* A child of vfork() is in its parent's memory: the hub's tasks are not its own. */
static bool is_child(const struct ml_foreign *f)
{
    return getpid() != f->process;
}

static enum ml_plain_reason reason_against(struct ml_foreign *f, struct ml_entry entry)
{
    if (is_excluded(f, entry))
        return ML_PLAIN_EXCLUDED;
    if (!ml_strand_holds(f->hub->current->strand, __builtin_frame_address(0)))
        return ML_PLAIN_STACK;
    if (ml_is_inside(f, entry.frame))
        return ML_PLAIN_INSIDE;
    return f->may_wait != NULL && !f->may_wait(f->hub) ? ML_PLAIN_OWNER : ML_PLAIN_NONE;
}

int ml_foreign_begin(struct ml_foreign *f, struct ml_entry entry)
{
    if (is_child(f))
        return ML_PLAINLY;
    enum ml_plain_reason reason = reason_against(f, entry);
    if (reason != ML_PLAIN_NONE) {
        f->counts[entry.call].blocked++;
        tell(f, entry, reason);
        return ML_PLAINLY;
    }
    f->counts[entry.call].waited++;
    return 0;
}

bool ml_foreign_is_stubborn(const struct ml_foreign *f)
{
    return f->refused.task == f->hub->current->id && f->refused.count >= PATIENCE;
}

/* A library that tries again whatever errno says must not keep the thread: from some refusal on
 * others run before each. */
static void pause_if_stubborn(struct ml_foreign *f)
{
    uint64_t task = f->hub->current->id;
    f->refused.count = f->refused.task == task ? f->refused.count + 1 : 1;
    f->refused.task = task;
    if (!ml_foreign_is_stubborn(f))
        return;
    struct ml_scope *shield = ml_scope_open(f->hub, ML_SCOPE_SHIELD, ML_FOREVER);
    if (shield == NULL)
        return;
    ml_wait(f->hub, &time_kind, 0, NULL, ml_time_after(ml_hub_now(f->hub), STUBBORN_PAUSE));
    ml_scope_close(f->hub, shield);
}

void ml_foreign_end(struct ml_foreign *f, int error)
{
    if (error == -ECANCELED)
        pause_if_stubborn(f);
    if (f->has_waited != NULL)
        f->has_waited(f->hub, error);
}

bool ml_foreign_is_nonblocking(int fd)
{
    int saved = errno;
    int flags = fcntl(fd, F_GETFL);
    errno = saved;
    return flags < 0 || (flags & O_NONBLOCK) != 0;
}

int ml_foreign_end_slice(struct ml_foreign *f)
{
    struct ml_entry entry = f->entry;
    ml_slice_renew(f->hub);
    if (is_child(f) || reason_against(f, entry) != ML_PLAIN_NONE)
        return 0;
    int error = ml_slice_end(f->hub);
    ml_foreign_end(f, error);
    f->entry = entry;
    return error;
}

void ml_foreign_end_slice_later(struct ml_foreign *f)
{
    ml_slice_renew(f->hub);
    if (f->slice_is_over != NULL && !is_child(f))
        f->slice_is_over(f->hub);
}

int ml_foreign_share_on(struct ml_foreign *f, int fd)
{
    ml_slice_spend(f->hub, ML_FOREIGN_CALL);
    if (ml_likely(!ml_slice_is_over(f->hub)))
        return 0;
    if (!ml_foreign_is_nonblocking(fd))
        return ml_foreign_end_slice(f);
    ml_foreign_end_slice_later(f);
    return 0;
}

/* Whether the number stands for the same file as it did. (Files without a name, such as eventfds,
 * look alike.) */
static bool is_same_file(int fd, const struct stat *before)
{
    struct stat now;
    return fstat(fd, &now) == 0 && now.st_dev == before->st_dev && now.st_ino == before->st_ino;
}

int ml_foreign_wait_fd(struct ml_foreign *f, struct ml_entry entry, int fd, short events,
                       ml_time deadline)
{
    struct stat file;
    if (fstat(fd, &file) != 0)
        return -EBADF;
    int error = ml_mode_is_disk(file.st_mode) ? ML_PLAINLY : ml_foreign_begin(f, entry);
    if (error != 0)
        return error;
    struct ml_poll_set *set = ml_poll_set_open(f->hub, 1);
    if (set != NULL) {
        ml_poll_set_add(set, fd, events & POLLIN, events & POLLOUT);
        error = ml_poll_set_wait(set, &fd_kind, deadline);
        ml_poll_set_close(set);
    } else {
        error = -ENOMEM;
    }
    ml_foreign_end(f, error);
    return error == 0 && !is_same_file(fd, &file) ? -EBADF : error;
}

int ml_foreign_wait_time(struct ml_foreign *f, struct ml_entry entry, ml_time deadline)
{
    int error = ml_foreign_begin(f, entry);
    if (error != 0)
        return error;
    struct ml_poll_set *set = ml_poll_set_open(f->hub, 0);
    error = set != NULL ? ml_poll_set_wait(set, &time_kind, deadline) : -ENOMEM;
    ml_poll_set_close(set);
    ml_foreign_end(f, error);
    return error;
}

int ml_foreign_pause(struct ml_foreign *f, struct ml_entry entry, ml_time *pause)
{
    int error = ml_foreign_wait_time(f, entry, ml_time_after(ml_hub_now(f->hub), *pause));
    *pause = ml_time_earlier(2 * *pause, LONGEST_PAUSE);
    return error == -ETIMEDOUT ? 0 : error;
}

int ml_foreign_offload(struct ml_foreign *f, struct ml_entry entry, struct ml_job *job)
{
    if (ml_foreign_begin(f, entry) == ML_PLAINLY) {
        job->run(job);
        return 0;
    }
    int error = ml_offload(f->hub, &worker_kind, job, ML_FOREVER);
    ml_foreign_end(f, error);
    if (error == 0)
        errno = job->saved_errno;
    return error;
}

void ml_foreign_interrupted(void)
{
    struct ml_bank *bank = ml_bank_current;
    int saved = errno;
    struct ml_hub *hub = bank != NULL ? ml_container_of(bank, struct ml_hub, bank) : NULL;
    if (hub != NULL && !hub->attention)
        ml_poll_sets_interrupt(hub);
    errno = saved;
}

ml_time ml_foreign_patience(int fd)
{
    struct termios mode;
    int saved = errno;
    bool is_hasty =
        tcgetattr(fd, &mode) == 0 && (mode.c_lflag & ICANON) == 0 && mode.c_cc[VMIN] == 0;
    errno = saved;
    return is_hasty ? mode.c_cc[VTIME] * (ML_SECOND / 10) : ML_FOREVER;
}

ml_time ml_foreign_deadline(const struct ml_foreign *f, int fd, short events)
{
    struct timeval span = {0};
    socklen_t size = sizeof span;
    int option = events & POLLIN ? SO_RCVTIMEO : SO_SNDTIMEO;
    if (getsockopt(fd, SOL_SOCKET, option, &span, &size) != 0)
        return events & POLLIN ? ml_time_after(ml_hub_now(f->hub), ml_foreign_patience(fd))
                               : ML_FOREVER;
    if (span.tv_sec == 0 && span.tv_usec == 0)
        return ML_FOREVER;
    return ml_time_after(ml_hub_now(f->hub), ml_time_of(span.tv_sec, span.tv_usec * 1000L));
}

static bool would_block(ssize_t result)
{
    return result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* Most who find nothing in a descriptor wait for it next. */
static void note_dry(struct ml_foreign *f, int fd, short events)
{
    f->dry.task = f->hub->current->id;
    f->dry.fd = events == POLLIN ? fd : -1;
}

static __attribute__((noinline)) ssize_t wait_and_retry(struct ml_foreign *f, int fd, short events,
                                                        ml_attempt *attempt, void *call)
{
    struct ml_entry entry = f->entry;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return ml_fail(-EBADF);
    if ((flags & O_NONBLOCK) != 0) {
        note_dry(f, fd, events);
        return ml_fail(-EAGAIN);
    }
    ml_time deadline = ml_foreign_deadline(f, fd, events);
    ssize_t result = -1;
    int error;
    do {
        error = ml_foreign_wait_fd(f, entry, fd, events, deadline);
        if (error == 0)
            result = attempt(call, MSG_DONTWAIT);
    } while (error == -EINTR || (error == 0 && would_block(result)));
    if (error == ML_PLAINLY)
        return attempt(call, 0);
    if (error != 0)
        return ml_fail(error == -ETIMEDOUT ? -EAGAIN : error);
    return result;
}

ssize_t ml_foreign_retry(struct ml_foreign *f, int fd, short events, ml_attempt *attempt,
                         void *call)
{
    if (ml_unlikely(ml_foreign_share_on(f, fd) != 0))
        return ml_fail(-ECANCELED);
    int saved = errno;
    ssize_t result = attempt(call, MSG_DONTWAIT);
    if (would_block(result))
        result = wait_and_retry(f, fd, events, attempt, call);
    ml_slice_spend_bytes(f->hub, result);
    if (ml_likely(result >= 0))
        errno = saved;
    return result;
}
