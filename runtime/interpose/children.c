/* Child processes: wait and its family. */
#include "interpose/call_wait.h"
#include "interpose/fd_flags.h"
#include "interpose/libc_call.h"
#include "interpose/result.h"

#include <errno.h>
#include <sys/pidfd.h>

/* Waits until a look is worth it. pidfd: of the child; -1: there is none, as the hub's loop cannot
 * watch for any child, or for one that stops. 0, or a negated errno, or ML_PLAINLY. */
static int pause_for_child(struct ml_libc_calls *calls, struct ml_libc_call entry, int pidfd,
                           ml_time *pause)
{
    return pidfd >= 0 ? ml_call_wait_fd(calls, entry, pidfd, POLLIN, ML_FOREVER)
                      : ml_call_wait_pause(calls, entry, pause);
}

/*
 * Asks until there is an answer, which `ask` keeps. A signal's handler ends that, unless the
 * handler ran because a child ended. Closes `pidfd`. 0, or a negated errno, or ML_PLAINLY.
 */
static int wait_for_child(struct ml_libc_calls *calls, int pidfd, bool (*ask)(void *call),
                          void *call)
{
    struct ml_libc_call entry = calls->entry;
    ml_time pause = ML_FIRST_PAUSE;
    bool is_answered = false;
    int error = 0;
    while (!is_answered && error == 0) {
        error = pause_for_child(calls, entry, pidfd, &pause);
        if (error == 0 || error == -EINTR)
            is_answered = ask(call);
    }
    if (pidfd >= 0)
        ml_libc.close(pidfd);
    return is_answered ? 0 : error;
}

/* A pidfd reports the end of one child, and nothing else. */
static int open_pidfd(pid_t pid, int options)
{
    bool is_end_only = (options & (WUNTRACED | WSTOPPED | WCONTINUED)) == 0;
    int saved = errno;
    int fd = pid > 0 && is_end_only ? pidfd_open(pid, 0) : -1;
    errno = saved;
    return fd;
}

struct wait4_call {
    pid_t pid;
    int *status;
    int options;
    struct rusage *usage;
    pid_t result;
};

static bool ask_wait4(void *call)
{
    struct wait4_call *c = call;
    c->result = ml_libc.wait4(c->pid, c->status, c->options | WNOHANG, c->usage);
    return c->result != 0;
}

pid_t ml_co_wait4(struct ml_libc_calls *calls, pid_t pid, int *status, int options,
                  struct rusage *usage)
{
    struct wait4_call call = {pid, status, options, usage, 0};
    if (ask_wait4(&call) || (options & WNOHANG) != 0)
        return call.result;
    int error = wait_for_child(calls, open_pidfd(pid, options), ask_wait4, &call);
    if (error == ML_PLAINLY)
        return ml_libc.wait4(pid, status, options, usage);
    return error == 0 ? call.result : ml_fail(error);
}

pid_t ml_co_waitpid(struct ml_libc_calls *calls, pid_t pid, int *status, int options)
{
    return ml_co_wait4(calls, pid, status, options, NULL);
}

pid_t ml_co_wait3(struct ml_libc_calls *calls, int *status, int options, struct rusage *usage)
{
    return ml_co_wait4(calls, -1, status, options, usage);
}

pid_t ml_co_wait(struct ml_libc_calls *calls, int *status)
{
    return ml_co_wait4(calls, -1, status, 0, NULL);
}

struct waitid_call {
    idtype_t type;
    id_t id;
    siginfo_t *info;
    int options;
    int result;
};

/* With WNOHANG and no child that has changed, the call succeeds and leaves si_pid 0. */
static bool ask_waitid(void *call)
{
    struct waitid_call *c = call;
    c->info->si_pid = 0;
    c->result = ml_libc.waitid(c->type, c->id, c->info, c->options | WNOHANG);
    return c->result != 0 || c->info->si_pid != 0;
}

int ml_co_waitid(struct ml_libc_calls *calls, idtype_t type, id_t id, siginfo_t *info, int options)
{
    siginfo_t unwanted;
    /* The pidfd may be non-blocking, as any descriptor: then the call does not wait. */
    if (type == P_PIDFD && ml_fd_flags_never_wait(ml_fd_flags_get((int)id)))
        return ml_libc.waitid(type, id, info, options);
    struct waitid_call call = {type, id, info != NULL ? info : &unwanted, options, 0};
    if (ask_waitid(&call) || (options & WNOHANG) != 0)
        return call.result;
    int pidfd = type == P_PID ? open_pidfd((pid_t)id, options) : -1;
    int error = wait_for_child(calls, pidfd, ask_waitid, &call);
    if (error == ML_PLAINLY)
        return ml_libc.waitid(type, id, info, options);
    return error == 0 ? call.result : ml_fail(error);
}
