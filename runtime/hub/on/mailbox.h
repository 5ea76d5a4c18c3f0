/*
 * Letters from other threads to a hub: each is a function that runs on the hub's own thread. Knows
 * neither the sender nor the purpose of a letter.
 */
#ifndef ML_HUB_ON_MAILBOX_H
#define ML_HUB_ON_MAILBOX_H

#include "hub/state/hub.h"

struct ml_mailbox;

/* The part that an owner embeds. The owner lives on the hub's thread, and takes the letter back
 * before it is freed. */
struct ml_letter {
    struct ml_link link; /* in the mailbox; in no list while it is not under way */
    /* Runs on the hub's thread, outside of tasks: may wake tasks, never waits. */
    void (*deliver)(struct ml_letter *letter);
};

/* The mailbox of a hub, for its own thread; made at the first call. NULL: no memory. */
struct ml_mailbox *ml_mailbox_of(struct ml_hub *hub);

/* Has the letter delivered soon; one that is under way already is delivered once. From any thread,
 * as long as the caller knows that the letter's owner still lives. */
void ml_mailbox_post(struct ml_mailbox *box, struct ml_letter *letter);

/* The letter is not under way any more. On the hub's own thread. */
void ml_mailbox_take_back(struct ml_mailbox *box, struct ml_letter *letter);

/* The hub, for its own thread. */
struct ml_hub *ml_mailbox_hub(const struct ml_mailbox *box);

/* Whether the calling thread runs that hub now. */
bool ml_mailbox_is_here(const struct ml_mailbox *box);

#endif
