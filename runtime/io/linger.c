#include "io/linger.h"

#include "hub/on/alarm.h"
#include "hub/on/watch.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Tickets and an end are small. More is data, and the peer should learn that it is not read. */
enum { INPUT_MOST = 16 * 1024 };

/* So many at a time; for one more the oldest is closed. */
enum { LINGERING_MOST = 256 };

#define LINGER_SPAN (10 * ML_SECOND)
#define LINGER_AT_END_SPAN ML_SECOND
#define LOOK_SPAN (50 * ML_MILLISECOND)

struct lingering {
    struct ml_link link; /* of the io's, the oldest first */
    struct ml_io *io;
    struct ml_watch *watch;
    struct ml_alarm *alarm;
    ml_time until;
    size_t dropped; /* bytes */
    int fd;
};

static void end(struct lingering *l)
{
    ml_list_remove(&l->link);
    l->io->lingering_count--;
    ml_watch_close(l->watch);
    ml_alarm_close(l->alarm);
    close(l->fd);
    free(l);
}

static bool has_unacknowledged(int fd)
{
    int bytes = 0;
    return ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes > 0;
}

/* Drops the input. Whether more is to be expected. */
static bool drop_input(struct lingering *l)
{
    char dropped[1024];
    ssize_t count = 1;
    while (count > 0 && l->dropped <= INPUT_MOST) {
        count = recv(l->fd, dropped, sizeof dropped, MSG_DONTWAIT);
        l->dropped += count > 0 ? (size_t)count : 0;
    }
    return count < 0 && (errno == EAGAIN || errno == EINTR) && has_unacknowledged(l->fd);
}

static void on_readable(void *data, int fd, bool readable, bool writable)
{
    (void)fd, (void)readable, (void)writable;
    if (!drop_input(data))
        end(data);
}

static void on_time(void *data)
{
    struct lingering *l = data;
    if (ml_clock_now() >= l->until || !drop_input(l))
        end(l);
}

static struct lingering *oldest(struct ml_io *io)
{
    // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed has left the list
    return ml_container_of(io->lingering.next, struct lingering, link);
}

/* NULL: no memory. */
static struct lingering *new_lingering(struct ml_io *io, int fd)
{
    struct lingering *l = calloc(1, sizeof *l);
    if (l == NULL)
        return NULL;
    *l =
        (struct lingering){.io = io, .fd = fd, .until = ml_time_after(ml_clock_now(), LINGER_SPAN)};
    l->watch = ml_watch_open(io->hub, fd, on_readable, l);
    l->alarm = ml_alarm_open(io->hub, on_time, l);
    if (l->watch != NULL && l->alarm != NULL)
        return l;
    ml_watch_close(l->watch);
    ml_alarm_close(l->alarm);
    free(l);
    return NULL;
}

void ml_linger(struct ml_io *io, int fd)
{
    bool may_linger =
        shutdown(fd, SHUT_WR) == 0 && has_unacknowledged(fd) && !io->hub->life.is_forked;
    struct lingering *l = may_linger ? new_lingering(io, fd) : NULL;
    if (l == NULL) {
        close(fd);
        return;
    }
    if (io->lingering_count == LINGERING_MOST)
        end(oldest(io));
    ml_list_insert(&io->lingering, &l->link);
    io->lingering_count++;
    ml_watch_set(l->watch, true, false);
    ml_alarm_start(l->alarm, LOOK_SPAN);
}

bool ml_linger_has(const struct ml_io *io, int fd)
{
    for (struct ml_link *link = io->lingering.next; link != &io->lingering; link = link->next)
        if (ml_container_of(link, struct lingering, link)->fd == fd)
            return true;
    return false;
}

/* Waits a moment for the oldest, which may end. */
static void wait_for_oldest(struct ml_io *io)
{
    struct lingering *l = oldest(io);
    struct pollfd ready = {.fd = l->fd, .events = POLLIN};
    poll(&ready, 1, 5);
    if (!drop_input(l))
        end(l);
}

void ml_linger_release(struct ml_io *io)
{
    ml_time until = ml_time_after(ml_clock_now(), LINGER_AT_END_SPAN);
    while (!ml_list_is_empty(&io->lingering) && !io->hub->life.is_forked && ml_clock_now() < until)
        wait_for_oldest(io);
    while (!ml_list_is_empty(&io->lingering))
        end(oldest(io));
}
