/*
 * The memory that nghttp2 takes for a server's connections: blocks that it frees are kept, by size,
 * for the next requests, up to a bound for all. A request makes some ten of them, and those of
 * many streams at a time are more than malloc() has at hand.
 */
#ifndef ML_HTTP_HTTP2_MEMORY_H
#define ML_HTTP_HTTP2_MEMORY_H

#include "http/nghttp2.h"

struct ml_http2_memory;

/* NULL: no memory. */
struct ml_http2_memory *ml_http2_memory_new(void);

/* No session uses it any more. NULL may be given, too. */
void ml_http2_memory_free(struct ml_http2_memory *memory);

/* Its functions, for a session that does not outlive it. */
nghttp2_mem ml_http2_memory_functions(struct ml_http2_memory *memory);

/* Bytes that are kept. */
size_t ml_http2_memory_kept(const struct ml_http2_memory *memory);

#endif
