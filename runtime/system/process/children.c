#include "system/process/children.h"

#include "hub/on/alarm.h"
#include "hub/on/watch.h"
#include "hub/state/scope.h"
#include "hub/wait/wait.h"
#include "system/process/orphans.h"
#include "system/process/spawn_beside.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct ml_wait_kind end_kind = {
    .text = "the end of process", .target = ML_TARGET_PROCESS, .external = true};

/* How often a group is looked at whose leader has ended: the kernel reports the end of processes,
 * not of groups. */
#define GROUP_PAUSE (20 * ML_MILLISECOND)

/* A killed process is gone at once, unless it waits for a device in the kernel. */
#define DEATH_PATIENCE (1000 * ML_MILLISECOND)

/* ---- the children of the process, for its exit ---- */

static struct {
    pthread_mutex_t lock;
    struct ml_link all;
} known = {.lock = PTHREAD_MUTEX_INITIALIZER, .all = {&known.all, &known.all}};

static void lock(void)
{
    pthread_mutex_lock(&known.lock);
}

static void unlock(void)
{
    pthread_mutex_unlock(&known.lock);
}

/* ---- signals ---- */

/* Whether the child is this process's, and not that of the one that has forked it. */
static bool is_ours(const struct ml_child *child)
{
    return child->process == getpid();
}

/* Nobody else can have the number: until its end is known the process is waited for by nobody, and
 * a group keeps its number as long as a process is in it. */
static int send(const struct ml_child *child, int signal)
{
    if (child->has_group)
        return kill(-child->pid, signal) == 0 ? 0 : -errno;
    bool has_descriptor = child->pidfd >= 0;
    long result = has_descriptor ? pidfd_send_signal(child->pidfd, signal, NULL, 0)
                                 : kill(child->pid, signal);
    return result == 0 ? 0 : -errno;
}

/* A stopped process goes on, so that it can end. */
static void ask_to_end(struct ml_child *child)
{
    child->is_ending = true;
    child->kill_at = ml_time_after(ml_clock_now(), child->kill_after);
    child->has_killed = child->kill_after <= 0;
    send(child, child->kill_after > 0 ? SIGTERM : SIGKILL);
    send(child, SIGCONT);
}

static void kill_all(struct ml_child *child)
{
    child->has_killed = true;
    send(child, SIGKILL);
}

/* ---- the end ---- */

static void note_end(struct ml_child *child, const siginfo_t *info)
{
    bool has_exited = info->si_code == CLD_EXITED;
    child->end = has_exited ? ML_CHILD_EXITED : ML_CHILD_SIGNALED;
    child->number = info->si_status;
}

/* What Linux from 6.15 on knows of a process that is gone: <linux/pidfd.h>, which older systems do
 * not have. */
struct pidfd_info {
    uint64_t mask;
    uint64_t cgroup;
    uint32_t numbers[11];
    int32_t status; /* as waitpid() has it */
};

#define GET_INFO _IOWR(0xff, 11, struct pidfd_info)
enum { INFO_EXIT = 1 << 3 };

/* Other code of this process has waited for the child, or the process was started with SIGCHLD
 * ignored: the kernel keeps the status in the descriptor, if it is new enough. */
static void note_lost_end(struct ml_child *child)
{
    struct pidfd_info info = {.mask = INFO_EXIT};
    bool is_known = ioctl(child->pidfd, GET_INFO, &info) == 0 && (info.mask & INFO_EXIT) != 0;
    child->end = !is_known                  ? ML_CHILD_UNKNOWN
                 : WIFSIGNALED(info.status) ? ML_CHILD_SIGNALED
                                            : ML_CHILD_EXITED;
    child->number = WIFSIGNALED(info.status) ? WTERMSIG(info.status) : WEXITSTATUS(info.status);
}

/* Other processes of the group, which has no leader any more, go with it. */
static void end_group(const struct ml_child *child)
{
    if (child->has_group && !child->is_detached && !child->is_ending)
        kill(-child->pid, SIGKILL);
}

/* Waits for the child if it has ended; after that its number may be another process's. False: it
 * runs. */
static bool take_end(struct ml_child *child)
{
    siginfo_t info = {.si_pid = 0};
    int saved = errno;
    lock();
    int result = waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    bool has_ended = result != 0 ? errno == ECHILD : info.si_pid != 0;
    if (has_ended && result == 0) {
        end_group(child);
        result = waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG);
    }
    if (has_ended)
        ml_list_remove(&child->known);
    unlock();
    if (has_ended && result == 0)
        note_end(child, &info);
    else if (has_ended)
        note_lost_end(child);
    errno = saved;
    return has_ended;
}

static bool group_is_left(const struct ml_child *child)
{
    return child->has_group && child->is_ending && !child->has_killed && kill(-child->pid, 0) == 0;
}

static void close_watch(struct ml_child *child)
{
    ml_watch_close(child->watch);
    child->watch = NULL;
    if (child->pidfd >= 0)
        close(child->pidfd);
    child->pidfd = -1;
}

/* Nothing of it is left. */
static void finish(struct ml_child *child)
{
    ml_alarm_close(child->alarm);
    child->alarm = NULL;
    ml_list_remove(&child->link);
    if (!child->is_owned)
        free(child);
}

static void conclude(struct ml_child *child)
{
    close_watch(child);
    ml_event_set(child->children->hub, &child->ended);
    if (group_is_left(child)) {
        ml_alarm_stop(child->alarm);
        ml_alarm_start(child->alarm, GROUP_PAUSE);
    } else {
        finish(child);
    }
}

static void on_end(void *data, int fd, bool readable, bool writable)
{
    (void)fd, (void)readable, (void)writable;
    struct ml_child *child = data;
    if (take_end(child))
        conclude(child);
}

/* Its time is over, or what is left of its group is looked at. */
static void on_time(void *data)
{
    struct ml_child *child = data;
    bool is_late = ml_clock_now() >= child->kill_at;
    if (is_late)
        kill_all(child);
    if (child->end == ML_CHILD_RUNS)
        ml_alarm_stop(child->alarm);
    else if (is_late || !group_is_left(child))
        finish(child);
}

/* ---- the start ---- */

static void end_at_exit(void);

/* After a fork the new process has the list for itself, whatever another thread was doing with it.
 */
static void begin(void)
{
    atexit(end_at_exit);
    pthread_atfork(lock, unlock, unlock);
}

/* The scope calls hooks.scope_left of the hub when it closes. */
static void belong_to(struct ml_child *child, struct ml_scope *scope)
{
    child->scope = scope != NULL ? scope->serial : 0;
    if (scope != NULL)
        scope->is_followed = true;
}

static struct ml_child *new_child(struct ml_children *children)
{
    struct ml_child *child = calloc(1, sizeof *child);
    if (child == NULL)
        return NULL;
    child->alarm = ml_alarm_open(children->hub, on_time, child);
    if (child->alarm == NULL) {
        free(child);
        return NULL;
    }
    child->children = children;
    child->pidfd = -1;
    child->process = getpid();
    ml_event_init(&child->ended);
    return child;
}

static void drop_unstarted(struct ml_child *child)
{
    ml_alarm_close(child->alarm);
    free(child);
}

static int watch(struct ml_child *child)
{
    if (child->pidfd >= 0)
        child->watch = ml_watch_open(child->children->hub, child->pidfd, on_end, child);
    if (child->watch == NULL)
        return -ENOMEM;
    ml_watch_set(child->watch, true, false);
    return 0;
}

static void enlist(struct ml_child *child)
{
    ml_list_insert(&child->children->all, &child->link);
    lock();
    ml_list_insert(&known.all, &child->known);
    unlock();
}

/* There is no memory to watch for its end. */
static void undo(struct ml_child *child)
{
    send(child, SIGKILL);
    close_watch(child);
    ml_orphan_leave(NULL, child->pid);
    drop_unstarted(child);
}

int ml_child_start(struct ml_children *children, const struct ml_spawn *what, ml_time kill_after,
                   bool is_detached, struct ml_child **result, struct ml_spawned *spawned)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, begin);
    ml_orphans_sweep();
    spawned->step = ML_SPAWN_PROCESS;
    struct ml_child *child = new_child(children);
    if (child == NULL)
        return -ENOMEM;
    int error = ml_spawn_beside(children->hub, &children->disks, what, spawned);
    if (error != 0) {
        drop_unstarted(child);
        return error;
    }
    child->pid = spawned->pid;
    child->pidfd = spawned->pidfd;
    child->kill_after = kill_after;
    child->has_group = what->group != ML_SPAWN_SAME_GROUP;
    child->is_detached = is_detached;
    child->is_owned = true;
    if (watch(child) != 0) {
        undo(child);
        return -ENOMEM;
    }
    if (children->hub->current != NULL) {
        child->task = children->hub->current->id;
        belong_to(child, children->hub->current->scope);
    }
    enlist(child);
    *result = child;
    return 0;
}

/* ---- in use ---- */

int ml_child_wait(struct ml_child *child, ml_time deadline)
{
    if (child->ended.is_set)
        return 0;
    return ml_wait_granted(child->children->hub, &end_kind, (uint32_t)child->pid,
                           &child->ended.waiters, 0, deadline);
}

int ml_child_signal(struct ml_child *child, int signal)
{
    bool is_there = child->end == ML_CHILD_RUNS || group_is_left(child);
    return is_there && is_ours(child) ? send(child, signal) : -ESRCH;
}

void ml_child_terminate(struct ml_child *child)
{
    if (child->end != ML_CHILD_RUNS || child->is_ending || !is_ours(child))
        return;
    ask_to_end(child);
    ml_alarm_start(child->alarm, child->kill_after > 0 ? child->kill_after : GROUP_PAUSE);
}

static void end_one(struct ml_child *child)
{
    if (!child->is_detached)
        ml_child_terminate(child);
}

void ml_children_leave_scope(struct ml_children *children, const struct ml_scope *scope)
{
    struct ml_link *link;
    for (link = children->all.next; link != &children->all; link = link->next) {
        struct ml_child *child = ml_container_of(link, struct ml_child, link);
        if (child->scope != scope->serial)
            continue;
        belong_to(child, scope->outer);
        if (scope->cancelled || scope->expired)
            end_one(child);
    }
}

void ml_children_end_task(struct ml_children *children, uint64_t id)
{
    struct ml_link *link;
    for (link = children->all.next; link != &children->all; link = link->next) {
        struct ml_child *child = ml_container_of(link, struct ml_child, link);
        if (child->task == id)
            end_one(child);
    }
}

void ml_child_leave(struct ml_child *child)
{
    bool is_over = child->end != ML_CHILD_RUNS && !ml_link_is_in_list(&child->link);
    child->is_owned = false;
    if (is_over)
        free(child);
    else if (!child->is_detached)
        ml_child_terminate(child);
}

/* ---- the end of the runtime ---- */

void ml_children_init(struct ml_children *children, struct ml_hub *hub)
{
    children->hub = hub;
    ml_list_init(&children->all);
}

/* Waits, the thread standing still, until the child has ended or `until` has passed. */
static void stand_still(const struct ml_child *child, ml_time until)
{
    struct pollfd end = {.fd = child->pidfd, .events = POLLIN};
    ml_time left = until - ml_clock_now();
    while (left > 0 && poll(&end, 1, (int)(left / ML_MILLISECOND) + 1) < 0 && errno == EINTR)
        left = until - ml_clock_now();
}

/* The same for what is left of its group. */
static void stand_still_for_group(const struct ml_child *child)
{
    while (group_is_left(child) && ml_clock_now() < child->kill_at)
        poll(NULL, 0, (int)(GROUP_PAUSE / ML_MILLISECOND));
}

static void end_child(struct ml_child *child)
{
    if (child->end == ML_CHILD_RUNS) {
        stand_still(child, child->kill_at);
        if (!take_end(child)) {
            kill_all(child);
            stand_still(child, ml_time_after(ml_clock_now(), DEATH_PATIENCE));
            take_end(child);
        }
    }
    stand_still_for_group(child);
    if (group_is_left(child))
        kill_all(child);
}

/* Frees a child whose owner has gone. One that runs still is left to the process. */
static void drop(struct ml_child *child)
{
    bool runs = child->end == ML_CHILD_RUNS;
    if (runs) {
        lock();
        ml_list_remove(&child->known);
        unlock();
    }
    close_watch(child);
    if (runs && is_ours(child))
        ml_orphan_leave(NULL, child->pid);
    ml_alarm_close(child->alarm);
    ml_list_remove(&child->link);
    free(child);
}

void ml_children_release(struct ml_children *children)
{
    struct ml_link *link;
    for (link = children->all.next; link != &children->all; link = link->next) {
        struct ml_child *child = ml_container_of(link, struct ml_child, link);
        bool is_to_end = is_ours(child) && !child->is_detached && !child->is_ending;
        if (is_to_end && child->end == ML_CHILD_RUNS)
            ask_to_end(child);
    }
    while (!ml_list_is_empty(&children->all)) {
        struct ml_child *child = ml_container_of(children->all.next, struct ml_child, link);
        if (is_ours(child) && !child->is_detached)
            end_child(child);
        drop(child);
    }
}

/* ---- the end of the process, without the runtime's ---- */

/* Threads that still run stand still at the lock. */
static void end_at_exit(void)
{
    struct ml_link *link;
    lock();
    for (link = known.all.next; link != &known.all; link = link->next) {
        struct ml_child *child = ml_container_of(link, struct ml_child, known);
        if (is_ours(child) && !child->is_detached && !child->is_ending)
            ask_to_end(child);
    }
    for (link = known.all.next; link != &known.all; link = link->next) {
        struct ml_child *child = ml_container_of(link, struct ml_child, known);
        if (!is_ours(child) || child->is_detached)
            continue;
        stand_still(child, child->kill_at);
        kill_all(child);
    }
    unlock();
}
