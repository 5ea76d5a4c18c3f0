#include "hub/on/poll_set.h"

#include "hub/loop/libev.h"
#include "hub/loop/poller.h"
#include "hub/state/ready.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

struct entry {
    ev_io watcher;
    struct ml_poll_set *set;
};

struct ml_poll_set {
    struct ml_link link; /* in hub->poll_sets.all */
    struct ml_hub *hub;
    struct ml_task *task;
    unsigned count;
    int closed; /* one of them, that was closed meanwhile; -1: none */
    bool fired;
    bool interrupted;
    struct entry entries[];
};

static void fire(struct ml_poll_set *set)
{
    set->fired = true;
    ml_task_wake(set->task, ML_WAKE_EVENT);
}

/* Level-triggered: the watcher is stopped, or libev would call back until the task has run. */
static void on_ready(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)events;
    struct entry *entry = ml_container_of(watcher, struct entry, watcher);
    ev_io_stop(loop, watcher);
    fire(entry->set);
}

static struct ml_poll_set *set_of(struct ml_link *link)
{
    return ml_container_of(link, struct ml_poll_set, link);
}

/* hub->poll_sets.dropped: closes the sets of a task whose frames are gone. */
static void drop_sets(struct ml_hub *hub, const struct ml_task *task)
{
    struct ml_link *head = &hub->poll_sets.all;
    for (struct ml_link *link = head->next; link != head;) {
        struct ml_poll_set *set = set_of(link);
        link = link->next;
        if (set->task == task)
            ml_poll_set_close(set);
    }
}

struct ml_poll_set *ml_poll_set_open(struct ml_hub *hub, unsigned count)
{
    struct ml_poll_set *set = malloc(sizeof *set + count * sizeof *set->entries);
    if (set == NULL)
        return NULL;
    hub->poll_sets.dropped = drop_sets;
    set->hub = hub;
    set->task = hub->current;
    set->count = 0;
    set->closed = -1;
    set->fired = set->interrupted = false;
    ml_list_insert(&hub->poll_sets.all, &set->link);
    return set;
}

/* Setting a watcher anew makes libev ask the kernel again, whatever it knows about that number: the
 * descriptor may have been closed and opened meanwhile, unseen. */
void ml_poll_set_add(struct ml_poll_set *set, int fd, bool readable, bool writable)
{
    if (fd < 0)
        return;
    struct entry *entry = &set->entries[set->count++];
    int events = (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0);
    entry->set = set;
    ev_io_init(&entry->watcher, on_ready, fd, events);
    ev_io_start(ml_poller_loop(set->hub->poller), &entry->watcher);
}

int ml_poll_set_wait(struct ml_poll_set *set, const struct ml_wait_kind *kind, ml_time deadline)
{
    int error = 0;
    uint32_t on = set->count == 1 ? (uint32_t)set->entries[0].watcher.fd : 0;
    while (error == 0 && !set->fired && !set->interrupted)
        error = ml_wait(set->hub, kind, on, NULL, deadline);
    if (error != 0)
        return error;
    if (set->closed >= 0)
        return -EBADF;
    return set->fired ? 0 : -EINTR;
}

int ml_poll_set_closed(const struct ml_poll_set *set)
{
    return set->closed;
}

void ml_poll_set_close(struct ml_poll_set *set)
{
    if (set == NULL)
        return;
    for (unsigned i = 0; i < set->count; i++)
        ev_io_stop(ml_poller_loop(set->hub->poller), &set->entries[i].watcher);
    ml_list_remove(&set->link);
    free(set);
}

static void forget(struct ml_poll_set *set, int fd)
{
    for (unsigned i = 0; i < set->count; i++) {
        if (set->entries[i].watcher.fd != fd)
            continue;
        ev_io_stop(ml_poller_loop(set->hub->poller), &set->entries[i].watcher);
        set->closed = fd;
        fire(set);
    }
}

void ml_poll_sets_forget(struct ml_hub *hub, int fd)
{
    struct ml_link *head = &hub->poll_sets.all;
    for (struct ml_link *link = head->next; link != head; link = link->next)
        forget(set_of(link), fd);
}

void ml_poll_sets_interrupt(struct ml_hub *hub)
{
    struct ml_link *head = &hub->poll_sets.all;
    for (struct ml_link *link = head->next; link != head; link = link->next) {
        set_of(link)->interrupted = true;
        ml_task_wake(set_of(link)->task, ML_WAKE_EVENT);
    }
}
