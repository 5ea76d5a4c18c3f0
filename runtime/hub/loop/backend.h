/* The epoll descriptor of a libev loop, which libev itself tells nobody. */
#ifndef ML_HUB_LOOP_BACKEND_H
#define ML_HUB_LOOP_BACKEND_H

struct ev_loop;

/* The loop's, not to be closed; polls once without waiting. -1 with errno set: there is none, or no
 * /proc. */
int ml_backend_descriptor(struct ev_loop *loop);

#endif
