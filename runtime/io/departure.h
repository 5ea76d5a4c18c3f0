/*
 * Tells when the peer of a stream has left: it has closed, or ended its output, although nobody
 * reads and input that nobody has read may lie before the end. Knows nothing of what that means.
 *
 * All sockets of a runtime share one epoll descriptor, which the hub watches: libev does not ask
 * for EPOLLRDHUP. A socket costs one system call when the watch begins and one when it ends. In
 * memory the news comes at once, whatever the latency.
 */
#ifndef ML_IO_DEPARTURE_H
#define ML_IO_DEPARTURE_H

#include "io/stream_state.h"

/* Begins to watch the stream, which is open, for `departure`, whose `left` is set; does nothing if
 * it has begun. It ends with the stream at the latest. One for each stream. 0, or an error: -ENOMEM
 * and what epoll says. Never waits. */
int ml_departure_watch(struct ml_departure *departure, struct ml_stream *s);

/* Ends. Idempotent. */
void ml_departure_stop(struct ml_departure *departure);

/* The end of the runtime. */
void ml_departures_close(struct ml_io *io);

#endif
