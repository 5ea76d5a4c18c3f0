#include "hub/on/mailbox.h"

#include "hub/loop/run.h"

#include <pthread.h>
#include <stdlib.h>

struct ml_mailbox {
    pthread_mutex_t mutex;
    struct ml_link letters; /* under the mutex */
    struct ml_hub *hub;
};

static struct ml_letter *take_first(struct ml_mailbox *box)
{
    struct ml_letter *letter = NULL;
    pthread_mutex_lock(&box->mutex);
    if (!ml_list_is_empty(&box->letters)) {
        letter = ml_container_of(box->letters.next, struct ml_letter, link);
        ml_list_remove(&letter->link);
    }
    pthread_mutex_unlock(&box->mutex);
    return letter;
}

/* hub->mail.deliver. Owners live on this thread: none is freed between the two calls. */
static void deliver_all(struct ml_hub *hub)
{
    struct ml_letter *letter;
    while ((letter = take_first(hub->mail.box)) != NULL)
        letter->deliver(letter);
}

/* hub->mail.closed. */
static void close_box(struct ml_hub *hub)
{
    pthread_mutex_destroy(&hub->mail.box->mutex);
    free(hub->mail.box);
    hub->mail.box = NULL;
}

struct ml_mailbox *ml_mailbox_of(struct ml_hub *hub)
{
    if (hub->mail.box != NULL)
        return hub->mail.box;
    struct ml_mailbox *box = malloc(sizeof *box);
    if (box == NULL)
        return NULL;
    pthread_mutex_init(&box->mutex, NULL);
    ml_list_init(&box->letters);
    box->hub = hub;
    hub->mail.box = box;
    hub->mail.deliver = deliver_all;
    hub->mail.closed = close_box;
    return box;
}

void ml_mailbox_post(struct ml_mailbox *box, struct ml_letter *letter)
{
    pthread_mutex_lock(&box->mutex);
    bool is_first = ml_list_is_empty(&box->letters);
    if (!ml_link_is_in_list(&letter->link))
        ml_list_insert(&box->letters, &letter->link);
    if (is_first)
        ml_hub_notify(box->hub);
    pthread_mutex_unlock(&box->mutex);
}

void ml_mailbox_take_back(struct ml_mailbox *box, struct ml_letter *letter)
{
    pthread_mutex_lock(&box->mutex);
    if (ml_link_is_in_list(&letter->link))
        ml_list_remove(&letter->link);
    pthread_mutex_unlock(&box->mutex);
}

bool ml_mailbox_is_here(const struct ml_mailbox *box)
{
    return ml_bank_current == &box->hub->bank;
}

struct ml_hub *ml_mailbox_hub(const struct ml_mailbox *box)
{
    return box->hub;
}
