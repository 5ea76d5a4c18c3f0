#include "bindings/core/lua_peers.h"

#include "hub/state/waiters.h"
#include "hub/wait/wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A notice that was not taken yet. */
struct kept {
    struct ml_link link; /* in worker->notices */
    struct ml_lua_peer_notice notice;
};

/* More connections than that are refused while a script takes none. */
enum { MOST_KEPT = 1024 };

static const struct ml_wait_kind notice_kind = {.text = "word of another worker", .external = true};

static struct kept *kept_at(struct ml_link *link)
{
    return ml_container_of(link, struct kept, link);
}

static void drop(struct ml_lua_worker *worker, struct kept *kept)
{
    ml_list_remove(&kept->link);
    worker->notice_count--;
    free(kept);
}

/* Of a slot the last word counts. */
static void forget_joined(struct ml_lua_worker *worker, uint32_t slot)
{
    struct ml_link *next;
    for (struct ml_link *link = worker->notices.next; link != &worker->notices; link = next) {
        next = link->next;
        if (kept_at(link)->notice.fd < 0 && kept_at(link)->notice.peer.slot == slot)
            drop(worker, kept_at(link));
    }
}

static void keep(struct ml_lua_worker *worker, const struct ml_lua_peer_notice *notice)
{
    struct kept *kept = worker->notice_count < MOST_KEPT ? malloc(sizeof *kept) : NULL;
    if (kept == NULL) { /* the other one sees the end of the connection */
        if (notice->fd >= 0)
            close(notice->fd);
        return;
    }
    kept->notice = *notice;
    ml_list_insert(&worker->notices, &kept->link);
    worker->notice_count++;
    ml_wake_first(&worker->lua->hub, &worker->notice_waiters);
}

static void on_peer(struct ml_worker_client *client, struct ml_control_message *message, void *data)
{
    struct ml_lua_peer_notice notice = {.fd = -1};
    (void)client;
    if (!ml_control_read(message, &notice.peer, sizeof notice.peer))
        return;
    notice.fd = ml_control_take_fd(message, 0);
    if (notice.fd >= 0)
        keep(data, &notice);
}

static void on_joined(struct ml_worker_client *client, struct ml_control_message *message,
                      void *data)
{
    struct ml_lua_peer_notice notice = {.fd = -1};
    (void)client;
    if (!ml_control_read(message, &notice.peer, sizeof notice.peer))
        return;
    forget_joined(data, notice.peer.slot);
    keep(data, &notice);
}

void ml_lua_peers_open(struct ml_lua_worker *worker)
{
    ml_list_init(&worker->notices);
    ml_list_init(&worker->notice_waiters);
    ml_worker_client_on(worker->client, ML_CONTROL_PEER, on_peer, worker);
    ml_worker_client_on(worker->client, ML_CONTROL_JOINED, on_joined, worker);
}

void ml_lua_peers_close(struct ml_lua_worker *worker)
{
    while (!ml_list_is_empty(&worker->notices)) {
        struct kept *kept = kept_at(worker->notices.next);
        if (kept->notice.fd >= 0)
            close(kept->notice.fd);
        drop(worker, kept);
    }
}

int ml_lua_peers_next(struct ml_lua_worker *worker, struct ml_lua_peer_notice *notice)
{
    int error = 0;
    while (error == 0 && ml_list_is_empty(&worker->notices))
        error = ml_wait(&worker->lua->hub, &notice_kind, 0, &worker->notice_waiters, ML_FOREVER);
    if (error != 0)
        return error;
    *notice = kept_at(worker->notices.next)->notice;
    drop(worker, kept_at(worker->notices.next));
    return 0;
}

static int take_end(struct ml_worker_reply *reply, struct ml_control_peer *peer, int *fd)
{
    if (reply->error != 0)
        return reply->error;
    *fd = ml_worker_reply_take_fd(reply, 0);
    if (*fd < 0 || ml_buffer_size(&reply->text) < sizeof *peer)
        return -EMFILE; /* the kernel had no room for the descriptor here */
    memcpy(peer, ml_buffer_data(&reply->text), sizeof *peer);
    return 0;
}

int ml_lua_peers_connect(struct ml_lua_worker *worker, uint32_t slot, struct ml_control_peer *peer,
                         int *fd)
{
    struct ml_control_peer asked = {.slot = slot};
    struct ml_worker_reply *reply;
    *fd = -1;
    int error = ml_worker_request(worker->client, ML_CONTROL_PEER, &asked, sizeof asked, &reply,
                                  ML_FOREVER);
    if (error != 0)
        return error;
    error = take_end(reply, peer, fd);
    ml_worker_reply_free(reply);
    return error;
}
