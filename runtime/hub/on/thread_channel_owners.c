/*
 * Owners are counted, and a message in a channel may own channels: so channels that are in each
 * other are among their own owners, and counting alone would never free them.
 *
 * When an owner leaves a channel without ports, a search finds all channels that can be reached
 * from it through messages, and counts the owners of each that are such messages. A channel with
 * other owners is alive, and with it all that can be reached from it. The others nobody can reach:
 * nothing changes there any more, and they are freed. A search does not go on behind a channel with
 * a port, which is alive, nor beyond MOST_FOUND channels: more in one circle stay to the end of the
 * process.
 */
#include "hub/on/thread_channel_owners.h"

#include "base/check.h"
#include "hub/on/thread_channel_state.h"

#include <stdlib.h>

/* A search of so many takes some 50 us, in which others wait for the lock. */
enum { MOST_FOUND = 1000 };

/* Taken with at most one channel's mutex locked, and nothing is locked under it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void ml_channel_owners_init(struct ml_channel_owners *owned)
{
    *owned = (struct ml_channel_owners){.count = 1};
    ml_list_init(&owned->carriers);
}

/* ---- counting ---- */

bool ml_thread_channel_is_alone(const struct ml_thread_channel *channel)
{
    return channel->owned.count - channel->owned.self == 1;
}

/* Tasks that wait learn whether another thread can end their wait. */
static void ring_if_changed(struct ml_thread_channel *channel, bool was_alone)
{
    if (was_alone != ml_thread_channel_is_alone(channel))
        ml_thread_channel_ring_all(channel);
}

static void add_owner(struct ml_thread_channel *channel, uint32_t ports)
{
    bool was_alone = ml_thread_channel_is_alone(channel);
    pthread_mutex_lock(&lock);
    channel->owned.count++;
    channel->owned.ports += ports;
    pthread_mutex_unlock(&lock);
    ring_if_changed(channel, was_alone);
}

void ml_thread_channel_add_owner(struct ml_thread_channel *channel)
{
    add_owner(channel, 0);
}

void ml_thread_channel_add_port(struct ml_thread_channel *channel)
{
    add_owner(channel, 1);
}

void ml_thread_channel_drop_port(struct ml_thread_channel *channel)
{
    pthread_mutex_lock(&lock);
    channel->owned.ports--;
    pthread_mutex_unlock(&lock);
}

/* How often the message owns the channel. */
static uint32_t count_self(const struct ml_thread_channel *channel,
                           const struct ml_message *message)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < message->channel_count; i++)
        count += message->channels[i] == channel;
    return count;
}

void ml_thread_channel_note_carrier(struct ml_thread_channel *channel, struct ml_message *message)
{
    if (message->channel_count == 0)
        return;
    pthread_mutex_lock(&lock);
    channel->owned.self += count_self(channel, message);
    ml_list_insert(&channel->owned.carriers, &message->carrier);
    pthread_mutex_unlock(&lock);
}

void ml_thread_channel_forget_carrier(struct ml_thread_channel *channel, struct ml_message *message)
{
    if (message->channel_count == 0)
        return;
    pthread_mutex_lock(&lock);
    channel->owned.self -= count_self(channel, message);
    ml_list_remove(&message->carrier);
    pthread_mutex_unlock(&lock);
}

/* ---- searching; the lock is taken ---- */

struct search {
    struct ml_thread_channel *first, *last; /* all that were found */
    unsigned count;
    struct ml_thread_channel *alive; /* those whose messages are to be looked at */
};

typedef void visitor(struct search *search, struct ml_thread_channel *channel);

/* Visits all channels that messages in `channel` own, as often as they do. */
static void visit_owned(struct search *search, struct ml_thread_channel *channel, visitor *visit)
{
    const struct ml_link *head = &channel->owned.carriers;
    for (const struct ml_link *link = head->next; link != head; link = link->next) {
        const struct ml_message *message = ml_container_of(link, const struct ml_message, carrier);
        for (uint32_t i = 0; i < message->channel_count; i++)
            visit(search, message->channels[i]);
    }
}

/* An owner was found that is inside of what is searched. */
static void find(struct search *search, struct ml_thread_channel *channel)
{
    struct ml_channel_owners *owned = &channel->owned;
    if (!owned->is_found) {
        owned->is_found = true;
        owned->is_alive = false;
        owned->inside = 0;
        owned->next_found = NULL;
        if (search->last != NULL)
            search->last->owned.next_found = channel;
        else
            search->first = channel;
        search->last = channel;
        search->count++;
    }
    owned->inside++;
}

static void keep(struct search *search, struct ml_thread_channel *channel)
{
    if (!channel->owned.is_found || channel->owned.is_alive)
        return;
    channel->owned.is_alive = true;
    channel->owned.next_alive = search->alive;
    search->alive = channel;
}

static void find_all(struct search *search, struct ml_thread_channel *channel)
{
    find(search, channel); /* the owner that leaves counts as one inside */
    for (; channel != NULL && search->count <= MOST_FOUND; channel = channel->owned.next_found)
        if (channel->owned.ports == 0)
            visit_owned(search, channel, find);
}

static void keep_what_is_alive(struct search *search)
{
    bool is_complete = search->count <= MOST_FOUND;
    for (struct ml_thread_channel *c = search->first; c != NULL; c = c->owned.next_found)
        if (!is_complete || c->owned.count > c->owned.inside)
            keep(search, c);
    while (search->alive != NULL) {
        struct ml_thread_channel *channel = search->alive;
        search->alive = channel->owned.next_alive;
        visit_owned(search, channel, keep);
    }
}

/* ---- freeing ---- */

/* Channels that are to be freed. A list, as they may be in one another very deep. */
struct dying {
    struct ml_thread_channel *first, *last;
};

static void condemn(struct dying *dying, struct ml_thread_channel *channel)
{
    channel->owned.is_dying = true;
    channel->owned.next_dying = NULL;
    if (dying->last != NULL)
        dying->last->owned.next_dying = channel;
    else
        dying->first = channel;
    dying->last = channel;
}

/* Condemns all that is reached from the channel alone, itself too, if its owner leaves. */
static void condemn_circle(struct dying *dying, struct ml_thread_channel *channel)
{
    struct search search = {0};
    find_all(&search, channel);
    keep_what_is_alive(&search);
    for (struct ml_thread_channel *c = search.first; c != NULL; c = c->owned.next_found) {
        c->owned.is_found = false;
        if (!c->owned.is_alive)
            condemn(dying, c);
    }
}

static void leave(struct dying *dying, struct ml_thread_channel *channel)
{
    pthread_mutex_lock(&channel->mutex);
    bool was_alone = ml_thread_channel_is_alone(channel);
    struct ml_channel_owners *owned = &channel->owned;
    pthread_mutex_lock(&lock);
    if (!owned->is_dying && owned->count - 1 == owned->self)
        condemn(dying, channel);
    else if (!owned->is_dying && owned->ports == 0 && !ml_list_is_empty(&owned->carriers))
        condemn_circle(dying, channel);
    owned->count--;
    bool is_dying = owned->is_dying;
    pthread_mutex_unlock(&lock);
    if (!is_dying)
        ring_if_changed(channel, was_alone);
    pthread_mutex_unlock(&channel->mutex);
}

static void release(struct dying *dying, struct ml_message *message)
{
    for (uint32_t i = 0; i < message->channel_count; i++)
        leave(dying, message->channels[i]);
    message->channel_count = 0;
    message->release(message);
}

/* The messages of a channel that nobody can reach. */
static void release_messages(struct dying *dying, struct ml_thread_channel *channel)
{
    struct ml_message *message;
    while ((message = channel->first) != NULL) {
        channel->first = message->next;
        release(dying, message);
    }
    if (channel->reason != NULL)
        release(dying, channel->reason);
}

/* Another thread may just be giving back the mutex: it left before. */
static void free_one(struct ml_thread_channel *channel)
{
    pthread_mutex_lock(&channel->mutex);
    pthread_mutex_unlock(&channel->mutex);
    pthread_mutex_destroy(&channel->mutex);
    free(channel);
}

void ml_thread_channel_leave(struct ml_thread_channel *channel)
{
    struct dying dying = {0};
    leave(&dying, channel);
    for (struct ml_thread_channel *c = dying.first; c != NULL; c = c->owned.next_dying)
        release_messages(&dying, c);
    while (dying.first != NULL) {
        struct ml_thread_channel *next = dying.first->owned.next_dying;
        free_one(dying.first);
        dying.first = next;
    }
}
