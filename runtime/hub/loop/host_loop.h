/* A callback in somebody else's loop of libev's when a descriptor is readable. */
#ifndef ML_HUB_LOOP_HOST_LOOP_H
#define ML_HUB_LOOP_HOST_LOOP_H

struct ev_loop;
struct ml_host_loop;

/* Calls back whenever `fd` is readable while that loop runs, which is not kept alive by it. NULL:
 * no memory. */
struct ml_host_loop *ml_host_loop_attach(struct ev_loop *loop, int fd, void (*callback)(void *data),
                                         void *data);

/* NULL is allowed; also from the callback. Before the loop is destroyed. */
void ml_host_loop_detach(struct ml_host_loop *host);

#endif
