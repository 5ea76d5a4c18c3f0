#include "worker/peers.h"

#include "worker/worker_process.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static struct ml_control_peer describe(const struct ml_worker_process *process)
{
    return (struct ml_control_peer){.slot = process->slot_id,
                                    .generation = process->generation,
                                    .serial = process->serial,
                                    .pid = process->pid};
}

static bool is_asked_for(const struct ml_worker_process *process,
                         const struct ml_control_peer *asked)
{
    if (asked->serial != 0)
        return process->serial == asked->serial;
    if (process->slot_id != asked->slot)
        return false;
    return asked->generation != 0 ? process->generation == asked->generation
                                  : process->slot != NULL && process->slot->current == process;
}

static struct ml_worker_process *find(struct ml_master *master, const struct ml_control_peer *asked)
{
    for (struct ml_link *link = master->processes.next; link != &master->processes;
         link = link->next)
        if (is_asked_for(ml_process_at(link), asked))
            return ml_process_at(link);
    return NULL;
}

/* Why there is none. */
static int explain(struct ml_master *master, const struct ml_control_peer *asked)
{
    for (struct ml_link *link = master->slots.next; link != &master->slots; link = link->next)
        if (ml_slot_at(link)->id == asked->slot)
            return -EPIPE;
    return -ESRCH;
}

static int make_pair(int fds[2])
{
    bool is_made = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0;
    return is_made ? 0 : -errno;
}

/* Makes the connection, and gives the other worker its end; *fd becomes the end of the first. The
 * other one may have ended without the master having seen it yet. */
static int connect_to(struct ml_worker_process *other, const struct ml_worker_process *process,
                      int *fd)
{
    int fds[2];
    struct ml_control_peer from = describe(process);
    int error = make_pair(fds);
    if (error != 0)
        return error;
    error = ml_process_send(other, ML_CONTROL_PEER, 0, 0, &from, sizeof from, fds[1]);
    close(fds[1]);
    if (error == 0)
        *fd = fds[0];
    else
        close(fds[0]);
    return error == -ECONNRESET ? -EPIPE : error;
}

void ml_peers_connect(struct ml_master *master, struct ml_worker_process *process,
                      const struct ml_control_peer *asked, uint64_t request)
{
    int fd = -1;
    struct ml_worker_process *other = find(master, asked);
    int error = other == NULL ? explain(master, asked) : connect_to(other, process, &fd);
    if (error != 0) {
        ml_process_send(process, ML_CONTROL_PEER, request, error, NULL, 0, -1);
        return;
    }
    struct ml_control_peer to = describe(other);
    ml_process_send(process, ML_CONTROL_PEER, request, 0, &to, sizeof to, fd);
    close(fd);
}

void ml_peers_tell(struct ml_master *master, enum ml_control_type type,
                   const struct ml_worker_process *about)
{
    struct ml_control_peer peer = describe(about);
    for (struct ml_link *link = master->processes.next; link != &master->processes;
         link = link->next)
        if (ml_process_at(link) != about || type == ML_CONTROL_JOINED)
            ml_process_send(ml_process_at(link), type, 0, 0, &peer, sizeof peer, -1);
}
