/*
 * The one loop of poll, select, epoll_wait and their variants: asked once without waiting, which
 * also finds what is wrong with the arguments; then the task waits, and the kernel is asked again
 * what happened. Knows no single call.
 *
 * A signal mask is in force while the kernel is asked, not while the task waits: so a call with one
 * looks every so often.
 */
#ifndef ML_INTERPOSE_POLL_LOOP_H
#define ML_INTERPOSE_POLL_LOOP_H

#include "hub/on/poll_set.h"
#include "interpose/state.h"

/* A call as the loop sees it. */
struct ml_question {
    int (*ask)(void *call);                           /* without waiting; 0: nothing yet */
    int (*ask_plainly)(void *call);                   /* as libc does */
    void (*add)(struct ml_poll_set *set, void *call); /* the descriptors */
    int (*closed)(void *call, int fd); /* what to return when that one was closed meanwhile */
    void *call;
    unsigned count;                /* descriptors at most */
    bool (*is_urgent)(void *call); /* waits for what the loop cannot tell; NULL: never */
    bool is_known_empty;           /* the first answer is known to be 0 */
    bool is_masked;
    bool is_loop; /* of a library's own */
};

/* The answer, after at most `span`; 0: there is none yet; -1 with errno set. */
int ml_question_answer(struct ml_libc_calls *calls, const struct ml_question *q, ml_time span);

/* For `closed`: the call fails with EBADF. */
int ml_question_is_bad(void *call, int fd);

#endif
