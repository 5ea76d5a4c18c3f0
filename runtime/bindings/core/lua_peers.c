#include "bindings/core/lua_peers.h"

#include "hub/state/waiters.h"
#include "hub/wait/wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A notice that was not taken yet. */
struct kept {
    struct ml_link link; /* in peers->notices */
    struct ml_lua_peer_notice notice;
};

/* More connections than that are refused while a script takes none. */
enum { MOST_KEPT = 1024 };

static const struct ml_wait_kind notice_kind = {.text = "word of another worker", .external = true};

static struct kept *kept_at(struct ml_link *link)
{
    return ml_container_of(link, struct kept, link);
}

static void drop(struct ml_lua_peers *peers, struct kept *kept)
{
    ml_list_remove(&kept->link);
    peers->notice_count--;
    free(kept);
}

/* Of a slot the last word counts. */
static void forget_joined(struct ml_lua_peers *peers, uint32_t slot)
{
    struct ml_link *next;
    for (struct ml_link *link = peers->notices.next; link != &peers->notices; link = next) {
        next = link->next;
        if (kept_at(link)->notice.fd < 0 && kept_at(link)->notice.peer.slot == slot)
            drop(peers, kept_at(link));
    }
}

static void keep(struct ml_lua_peers *peers, const struct ml_lua_peer_notice *notice)
{
    struct kept *kept = peers->notice_count < MOST_KEPT ? malloc(sizeof *kept) : NULL;
    if (kept == NULL) { /* the other one sees the end of the connection */
        if (notice->fd >= 0)
            close(notice->fd);
        return;
    }
    kept->notice = *notice;
    ml_list_insert(&peers->notices, &kept->link);
    peers->notice_count++;
    ml_wake_first(peers->client->hub, &peers->waiters);
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

void ml_lua_peers_open(struct ml_lua_peers *peers, struct ml_worker_client *client)
{
    peers->client = client;
    ml_list_init(&peers->notices);
    ml_list_init(&peers->waiters);
    ml_worker_client_on(peers->client, ML_CONTROL_PEER, on_peer, peers);
    ml_worker_client_on(peers->client, ML_CONTROL_JOINED, on_joined, peers);
}

void ml_lua_peers_close(struct ml_lua_peers *peers)
{
    while (!ml_list_is_empty(&peers->notices)) {
        struct kept *kept = kept_at(peers->notices.next);
        if (kept->notice.fd >= 0)
            close(kept->notice.fd);
        drop(peers, kept);
    }
}

int ml_lua_peers_next(struct ml_lua_peers *peers, struct ml_lua_peer_notice *notice)
{
    int error = 0;
    while (error == 0 && ml_list_is_empty(&peers->notices))
        error = ml_wait(peers->client->hub, &notice_kind, 0, &peers->waiters, ML_FOREVER);
    if (error != 0)
        return error;
    *notice = kept_at(peers->notices.next)->notice;
    drop(peers, kept_at(peers->notices.next));
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

int ml_lua_peers_connect(struct ml_lua_peers *peers, uint32_t slot, struct ml_control_peer *peer,
                         int *fd)
{
    struct ml_control_peer asked = {.slot = slot};
    struct ml_worker_reply *reply;
    *fd = -1;
    int error =
        ml_worker_request(peers->client, ML_CONTROL_PEER, &asked, sizeof asked, &reply, ML_FOREVER);
    if (error != 0)
        return error;
    error = take_end(reply, peer, fd);
    ml_worker_reply_free(reply);
    return error;
}
