#include "interpose/closing.h"

#include "hub/on/poll_set.h"
#include "interpose/fd_kind.h"
#include "interpose/retry.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* The child of a vfork() runs in its parent's memory and must not touch the parent's data. */
static bool is_own_process(const struct ml_libc_calls *calls)
{
    return getpid() == calls->process;
}

void ml_closing_note(struct ml_libc_calls *calls, int fd)
{
    ml_fd_kind_forget(calls, fd);
    ml_retry_forget_dry(calls, fd);
    if (!ml_list_is_empty(&calls->hub->poll_sets.all) && is_own_process(calls))
        ml_poll_sets_forget(calls->hub, fd);
}

int ml_co_close(struct ml_libc_calls *calls, int fd)
{
    ml_closing_note(calls, fd);
    return ml_libc.close(fd);
}

/* Whether a call that puts `from` in the place of `to` gets as far as closing `to`. */
static bool replaces(int from, int to)
{
    int saved = errno;
    bool is = from != to && fcntl(from, F_GETFD) >= 0;
    errno = saved;
    return is;
}

int ml_co_dup2(struct ml_libc_calls *calls, int from, int to)
{
    if (replaces(from, to))
        ml_closing_note(calls, to);
    return ml_libc.dup2(from, to);
}

int ml_co_dup3(struct ml_libc_calls *calls, int from, int to, int flags)
{
    if ((flags & ~O_CLOEXEC) == 0 && replaces(from, to))
        ml_closing_note(calls, to);
    return ml_libc.dup3(from, to, flags);
}
