#include "system/process/orphans.h"

#include "hub/on/watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct ml_orphan {
    struct ml_orphan *next;
    pid_t pid;
    pid_t process;
    int pidfd;
    struct ml_orphans *orphans; /* whose loop reports its end; NULL: none */
    struct ml_watch *watch;
};

/* Children belong to the process: one may end after the last runtime is gone. */
static struct {
    pthread_mutex_t lock;
    struct ml_orphan *orphans; /* that no loop watches */
} left = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void lock(void)
{
    pthread_mutex_lock(&left.lock);
}

static void unlock(void)
{
    pthread_mutex_unlock(&left.lock);
}

/* After a fork the child has the list for itself, whatever another thread was doing with it. */
static void begin(void)
{
    pthread_atfork(lock, unlock, unlock);
}

/* Whether the child has ended: then waits for it. Also true in a process whose child it is not. */
static bool has_ended(pid_t pid, pid_t process)
{
    int status, saved = errno;
    bool has = process != getpid() || waitpid(pid, &status, WNOHANG) != 0;
    errno = saved;
    return has;
}

static void end_watch(struct ml_orphan *orphan)
{
    ml_watch_close(orphan->watch);
    if (orphan->pidfd >= 0)
        close(orphan->pidfd);
}

static void strike_watched(const struct ml_orphan *orphan)
{
    struct ml_orphan **place = &orphan->orphans->first;
    while (*place != orphan)
        place = &(*place)->next;
    *place = orphan->next;
}

static void on_end(void *data, int fd, bool readable, bool writable)
{
    (void)fd, (void)readable, (void)writable;
    struct ml_orphan *orphan = data;
    if (!has_ended(orphan->pid, orphan->process))
        return;
    strike_watched(orphan);
    end_watch(orphan);
    free(orphan);
}

static void leave_unwatched(struct ml_orphan *orphan)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, begin);
    end_watch(orphan);
    *orphan = (struct ml_orphan){.pid = orphan->pid, .process = orphan->process, .pidfd = -1};
    lock();
    orphan->next = left.orphans;
    left.orphans = orphan;
    unlock();
}

/* Lets the loop watch for the child's end. False: there is no descriptor or no memory for that. */
static bool watch(struct ml_orphans *orphans, struct ml_orphan *orphan)
{
    int saved = errno;
    orphan->pidfd = pidfd_open(orphan->pid, 0);
    if (orphan->pidfd >= 0)
        orphan->watch = ml_watch_open(orphans->hub, orphan->pidfd, on_end, orphan);
    errno = saved;
    if (orphan->watch == NULL)
        return false;
    ml_watch_set(orphan->watch, true, false);
    orphan->orphans = orphans;
    orphan->next = orphans->first;
    orphans->first = orphan;
    return true;
}

void ml_orphan_leave(struct ml_orphans *orphans, pid_t pid)
{
    struct ml_orphan *orphan = has_ended(pid, getpid()) ? NULL : malloc(sizeof *orphan);
    if (orphan == NULL)
        return;
    *orphan = (struct ml_orphan){.pid = pid, .process = getpid(), .pidfd = -1};
    if (orphans == NULL || !watch(orphans, orphan))
        leave_unwatched(orphan);
}

void ml_orphans_sweep(void)
{
    lock();
    struct ml_orphan **place = &left.orphans;
    while (*place != NULL) {
        struct ml_orphan *orphan = *place;
        if (has_ended(orphan->pid, orphan->process)) {
            *place = orphan->next;
            free(orphan);
        } else {
            place = &orphan->next;
        }
    }
    unlock();
}

void ml_orphans_release(struct ml_orphans *orphans)
{
    while (orphans->first != NULL) {
        struct ml_orphan *orphan = orphans->first;
        orphans->first = orphan->next;
        leave_unwatched(orphan);
    }
    ml_orphans_sweep();
}
