#include "interpose/shells.h"

#include "interpose/result.h"
#include "system/process/orphans.h"
#include "system/process/spawn.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* On the heap: when a task is dropped, its frames are gone. */
struct shell {
    struct ml_link link;
    uint64_t task; /* its number */
    pid_t pid;     /* 0: not known yet, though it may send signals already */
};

static int spawn_shell(const char *command, pid_t *pid)
{
    pid_t started = ml_spawn_shell(ML_SPAWN_AS_LIBC, command);
    if (started < 0)
        return started;
    *pid = started;
    return 0;
}

/* Waits for the shell; a signal's handler does not end the wait. 0 or a negated errno. */
static int await(struct ml_libc_calls *calls, struct ml_libc_call entry, pid_t pid, int *status)
{
    pid_t ended;
    do {
        calls->entry = entry;
        ended = ml_co_wait4(calls, pid, status, 0, NULL);
    } while (ended < 0 && errno == EINTR);
    return ended < 0 ? -errno : 0;
}

/* A killed process is gone at once, unless it waits for a device in the kernel. The thread waits
 * this many milliseconds for it, so that the program keeps no child that it does not know of. */
enum { DEATH_PATIENCE = 20 };

static bool has_died(pid_t pid)
{
    struct pollfd end = {.fd = pidfd_open(pid, 0), .events = POLLIN};
    bool is_dead = end.fd >= 0 && poll(&end, 1, DEATH_PATIENCE) == 1;
    if (end.fd >= 0)
        close(end.fd);
    return is_dead && waitpid(pid, NULL, WNOHANG) == pid;
}

static void end(struct ml_libc_calls *calls, pid_t pid)
{
    kill(pid, SIGKILL);
    if (!has_died(pid))
        ml_orphan_leave(calls != NULL ? &calls->orphans : NULL, pid);
}

/* If the task is cancelled, kills the shell, as libc does when its thread is cancelled. */
int ml_co_system(struct ml_libc_calls *calls, const char *command)
{
    struct ml_libc_call entry = calls->entry;
    int status;
    if (command == NULL)
        return ml_libc.system(NULL);
    ml_orphans_sweep();
    struct shell *shell = malloc(sizeof *shell);
    if (shell == NULL)
        return ml_fail(-ENOMEM);
    *shell = (struct shell){.task = calls->hub->current->id};
    ml_list_insert(&calls->shells, &shell->link);
    int error = spawn_shell(command, &shell->pid);
    /* the errors of a shell that cannot be run */
    bool is_missing = error == -ENOENT || error == -EACCES;
    if (error == 0)
        error = await(calls, entry, shell->pid, &status);
    ml_list_remove(&shell->link);
    if (error == -ECANCELED)
        end(calls, shell->pid);
    free(shell);
    return is_missing ? 127 << 8 : error == 0 ? status : ml_fail(error);
}

void ml_shells_init(struct ml_libc_calls *calls)
{
    ml_list_init(&calls->shells);
}

bool ml_shells_has(const struct ml_libc_calls *calls, const struct ml_task *task)
{
    const struct ml_link *link = calls->shells.next;
    while (link != &calls->shells && ml_container_of(link, struct shell, link)->task != task->id)
        link = link->next;
    return link != &calls->shells;
}

void ml_shells_release(struct ml_libc_calls *calls)
{
    bool is_ours = calls->process == getpid();
    while (!ml_list_is_empty(&calls->shells)) {
        struct shell *shell = ml_container_of(calls->shells.next, struct shell, link);
        ml_list_remove(&shell->link);
        if (is_ours && shell->pid > 0)
            end(NULL, shell->pid);
        free(shell);
    }
}
