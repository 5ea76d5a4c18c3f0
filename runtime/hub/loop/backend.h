/* The epoll descriptor of a libev loop, which libev does not offer. */
#ifndef ML_HUB_LOOP_BACKEND_H
#define ML_HUB_LOOP_BACKEND_H

struct ev_loop;

/* Stays the loop's: not to be closed. Polls once without waiting. -1 with errno set: there is none,
 * or no /proc. */
int ml_backend_descriptor(struct ev_loop *loop);

#endif
