/* Child processes: wait and its family, system, pclose. */
#include "interpose/stdio_file.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <unistd.h>

/* Waits until a look is worth it. `pidfd`: of the child; -1: none, for a wait for any child, or for one that stops, cannot
 * be told to the hub's loop. 0, or a negated errno, or ML_PLAINLY. */
static int pause_for_child(struct ml_foreign *f, struct ml_entry entry, int pidfd, ml_time *pause)
{
    return pidfd >= 0 ? ml_foreign_wait_fd(f, entry, pidfd, POLLIN, ML_FOREVER)
                      : ml_foreign_pause(f, entry, pause);
}

/*
 * Looks until there is an answer, which `ask` keeps. A signal's handler ends that, unless the end of a child was what
 * called it. Closes `pidfd`. 0, or a negated errno, or ML_PLAINLY.
 */
static int wait_for_child(struct ml_foreign *f, int pidfd, bool (*ask)(void *call), void *call)
{
    struct ml_entry entry = f->entry;
    ml_time pause = ML_FIRST_PAUSE;
    bool is_answered = false;
    int error = 0;
    while (!is_answered && error == 0) {
        error = pause_for_child(f, entry, pidfd, &pause);
        if (error == 0 || error == -EINTR)
            is_answered = ask(call);
    }
    if (pidfd >= 0)
        ml_libc.close(pidfd);
    return is_answered ? 0 : error;
}

/* A pidfd tells the end of one child, nothing else. */
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

pid_t ml_co_wait4(struct ml_foreign *f, pid_t pid, int *status, int options, struct rusage *usage)
{
    struct wait4_call call = {pid, status, options, usage, 0};
    if (ask_wait4(&call) || (options & WNOHANG) != 0)
        return call.result;
    int error = wait_for_child(f, open_pidfd(pid, options), ask_wait4, &call);
    if (error == ML_PLAINLY)
        return ml_libc.wait4(pid, status, options, usage);
    return error == 0 ? call.result : ml_fail(error);
}

pid_t ml_co_waitpid(struct ml_foreign *f, pid_t pid, int *status, int options)
{
    return ml_co_wait4(f, pid, status, options, NULL);
}

pid_t ml_co_wait3(struct ml_foreign *f, int *status, int options, struct rusage *usage)
{
    return ml_co_wait4(f, -1, status, options, usage);
}

pid_t ml_co_wait(struct ml_foreign *f, int *status)
{
    return ml_co_wait4(f, -1, status, 0, NULL);
}

struct waitid_call {
    idtype_t type;
    id_t id;
    siginfo_t *info;
    int options;
    int result;
};

/* With WNOHANG and nobody there it succeeds and leaves si_pid 0. */
static bool ask_waitid(void *call)
{
    struct waitid_call *c = call;
    c->info->si_pid = 0;
    c->result = ml_libc.waitid(c->type, c->id, c->info, c->options | WNOHANG);
    return c->result != 0 || c->info->si_pid != 0;
}

int ml_co_waitid(struct ml_foreign *f, idtype_t type, id_t id, siginfo_t *info, int options)
{
    siginfo_t unwanted;
    /* A pidfd can say that nobody waits for it, as any descriptor. */
    if (type == P_PIDFD && ml_foreign_is_nonblocking((int)id))
        return ml_libc.waitid(type, id, info, options);
    struct waitid_call call = {type, id, info != NULL ? info : &unwanted, options, 0};
    if (ask_waitid(&call) || (options & WNOHANG) != 0)
        return call.result;
    int pidfd = type == P_PID ? open_pidfd((pid_t)id, options) : -1;
    int error = wait_for_child(f, pidfd, ask_waitid, &call);
    if (error == ML_PLAINLY)
        return ml_libc.waitid(type, id, info, options);
    return error == 0 ? call.result : ml_fail(error);
}

/* ---- system ---- */

/*
 * Ctrl-C is the child's affair while there is one (POSIX, system()): the first ignores it, the last no more. What a
 * signal does belongs to the process, and so does this, as libc's own count of its calls.
 */
static struct {
    pthread_mutex_t lock;
    unsigned count;                         /* calls under way, of all runtimes */
    struct sigaction on_interrupt, on_quit; /* before the first of them */
} shells = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Gives which of the two had not been ignored before. */
static sigset_t ignore_keys(void)
{
    static const struct sigaction ignored = {.sa_handler = SIG_IGN};
    sigset_t heeded;
    sigemptyset(&heeded);
    ml_libc.pthread_mutex_lock(&shells.lock);
    if (shells.count++ == 0) {
        sigaction(SIGINT, &ignored, &shells.on_interrupt);
        sigaction(SIGQUIT, &ignored, &shells.on_quit);
    }
    if (shells.on_interrupt.sa_handler != SIG_IGN)
        sigaddset(&heeded, SIGINT);
    if (shells.on_quit.sa_handler != SIG_IGN)
        sigaddset(&heeded, SIGQUIT);
    ml_libc.pthread_mutex_unlock(&shells.lock);
    return heeded;
}

static void heed_keys(void)
{
    ml_libc.pthread_mutex_lock(&shells.lock);
    if (--shells.count == 0) {
        sigaction(SIGINT, &shells.on_interrupt, NULL);
        sigaction(SIGQUIT, &shells.on_quit, NULL);
    }
    ml_libc.pthread_mutex_unlock(&shells.lock);
}

/* heeded: signals that the shell does not ignore. */
static int spawn_shell(const char *command, sigset_t heeded, pid_t *pid)
{
    const char *const arguments[] = {"sh", "-c", "--", command, NULL};
    posix_spawnattr_t attributes;
    int error = posix_spawnattr_init(&attributes);
    if (error != 0)
        return -error;
    posix_spawnattr_setsigdefault(&attributes, &heeded);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    error = posix_spawn(pid, "/bin/sh", NULL, &attributes, (char *const *)arguments, environ);
    posix_spawnattr_destroy(&attributes);
    return -error;
}

/* Cancelled, it kills the shell, as libc does when its thread is cancelled. */
int ml_co_system(struct ml_foreign *f, const char *command)
{
    struct ml_entry entry = f->entry;
    pid_t pid = -1, ended;
    int status;
    if (command == NULL)
        return ml_libc.system(NULL);
    int error = spawn_shell(command, ignore_keys(), &pid);
    if (error != 0) {
        heed_keys();
        /* What a shell that cannot be run is told as. */
        return error == -ENOENT || error == -EACCES ? 127 << 8 : ml_fail(error);
    }
    do {
        f->entry = entry;
        ended = ml_co_wait4(f, pid, &status, 0, NULL);
    } while (ended < 0 && errno == EINTR);
    heed_keys();
    if (ended < 0 && errno == ECANCELED) {
        kill(pid, SIGKILL);
        ml_libc.waitpid(pid, &status, 0);
        return ml_fail(-ECANCELED);
    }
    return ended < 0 ? -1 : status;
}

/* ---- pclose ---- */

struct pclose_job {
    struct ml_job job;
    FILE *file;
    int result;
};

static void run_pclose(struct ml_job *job)
{
    struct pclose_job *j = ml_container_of(job, struct pclose_job, job);
    j->result = ml_libc.pclose(j->file);
}

static void release_pclose(struct ml_job *job)
{
    free(ml_container_of(job, struct pclose_job, job));
}

/* Only libc knows which child it is. Cancelled, the file is closed nevertheless, and the child awaited. */
int ml_co_pclose(struct ml_foreign *f, FILE *file)
{
    struct ml_entry entry = f->entry;
    bool is_flushed = ml_co_fflush(f, file) == 0;
    struct pclose_job *job = calloc(1, sizeof *job);
    ml_stdio_turn_away(f, file);
    if (job == NULL)
        return ml_libc.pclose(file);
    job->job = (struct ml_job){.run = run_pclose, .release = release_pclose};
    job->file = file;
    int error = ml_foreign_offload(f, entry, &job->job);
    if (error != 0)
        return ml_fail(error);
    int result = job->result == 0 && !is_flushed ? -1 : job->result;
    release_pclose(&job->job);
    return result;
}
