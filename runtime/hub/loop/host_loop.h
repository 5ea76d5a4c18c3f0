/* A callback from the host's own libev loop when a descriptor is readable. */
#ifndef ML_HUB_LOOP_HOST_LOOP_H
#define ML_HUB_LOOP_HOST_LOOP_H

struct ev_loop;
struct ml_host_loop;

/* Calls back whenever `fd` is readable while that loop runs; does not keep the loop alive. NULL: no
 * memory. */
struct ml_host_loop *ml_host_loop_attach(struct ev_loop *loop, int fd, void (*callback)(void *data),
                                         void *data);

/* To be called before the loop is destroyed; also from the callback. NULL is allowed. */
void ml_host_loop_detach(struct ml_host_loop *host);

#endif
