/* The object behind a stream, for all who make or use one. */
#ifndef ML_BINDINGS_NET_STREAM_OBJECT_H
#define ML_BINDINGS_NET_STREAM_OBJECT_H

#include "bindings/core/object.h"
#include "io/stream.h"

extern const char ml_stream_type[];

/* Pushes a closed stream with its metatable set. */
struct ml_stream *ml_push_stream(lua_State *L);

/* The stream at `index`, in a method of streams; raises for anything else. */
static inline struct ml_stream *ml_check_stream(lua_State *L, int index)
{
    return ml_check_object(L, index, ml_stream_type);
}

/* A file of moonlet.fs: its struct begins with a stream, which is read and written as others are.
 */
extern const char ml_file_type[];

/* The stream of the file at `index`. Raises for anything else, as if a stream was expected. */
struct ml_stream *ml_check_file_stream(lua_State *L, int index);

/* The stream, or the file, at `index`; raises for anything else. */
static inline struct ml_stream *ml_check_stream_or_file(lua_State *L, int index)
{
    struct ml_stream *s = ml_test_object(L, index, ml_stream_type);
    return ml_likely(s != NULL) ? s : ml_check_file_stream(L, index);
}

/* Notes in the stream on top of the stack the host that it is being connected to (NULL: none). */
void ml_stream_keep_host(lua_State *L, const char *host);

/* Pushes a message about the stream, which begins with the stream's name if it has one. */
void ml_push_stream_message(lua_State *L, const struct ml_stream *s, const char *text);

/* Pushes nil, the sentence for an error of the stream, its name: returns 3. */
int ml_push_stream_failure(lua_State *L, const struct ml_stream *s, int error);

#endif
