/*
 * The one loop of poll, select, epoll_wait and their variants. It asks once without waiting, which
 * also checks the arguments; then the task waits, and the loop asks the kernel again. Knows no
 * single call.
 *
 * A signal mask is in force while the loop asks the kernel, not while the task waits: a call with a
 * mask polls in intervals.
 */
#ifndef ML_INTERPOSE_POLL_LOOP_H
#define ML_INTERPOSE_POLL_LOOP_H

#include "hub/on/poll_set.h"
#include "interpose/state.h"

/* A call as the loop sees it. */
struct ml_question {
    int (*ask)(void *call);                           /* without waiting; 0: no answer yet */
    int (*ask_plainly)(void *call);                   /* as libc does; may block the thread */
    void (*add)(struct ml_poll_set *set, void *call); /* adds the descriptors to watch */
    int (*closed)(void *call, int fd); /* what to return after that one was closed meanwhile */
    void *call;
    unsigned count;                /* descriptors at most */
    bool (*is_urgent)(void *call); /* waits for an event that the hub's loop cannot watch for;
                                      NULL: never */
    bool is_known_empty;           /* the first answer is known to be 0 */
    bool is_masked;
    bool is_loop; /* the caller is a library's own event loop */
};

/* The answer, after at most `span`. 0: there is none yet; -1 with errno set. */
int ml_question_answer(struct ml_libc_calls *calls, const struct ml_question *q, ml_time span);

/* For `closed`: makes the call fail with EBADF. */
int ml_question_is_bad(void *call, int fd);

#endif
