/* Shared by the files of moonlet.net: the userdata behind streams and listeners, addresses and
 * options. */
#ifndef ML_BINDINGS_NET_TYPES_H
#define ML_BINDINGS_NET_TYPES_H

#include "bindings/core/lua_runtime.h"
#include "bindings/core/object.h"
#include "io/dns.h"
#include "io/listener.h"

/* Types of objects. */
extern const char ml_stream_type[], ml_listener_type[];

#define ML_ADDRESS_TYPE "net.address"

/* Pushes a closed stream, or listener, with its metatable set. */
struct ml_stream *ml_push_stream(lua_State *L);
struct ml_listener *ml_push_listener(lua_State *L);

/* Accepts without waiting from the listener at `index`: pushes the stream, or returns an error of
 * ml_listener_try() or of TLS with nothing pushed. */
int ml_listener_push_accepted(lua_State *L, int index);

/* Notes in the stream on top of the stack the host that it connects to (NULL: none). */
void ml_stream_keep_host(lua_State *L, const char *host);

/* The stream at `index`, in a method of streams; raises for anything else. */
static inline struct ml_stream *ml_check_stream(lua_State *L, int index)
{
    return ml_check_object(L, index, ml_stream_type);
}

/* core.accepted_from, see there. */
int ml_net_accepted_from(lua_State *L);

/* Create the metatables; stack unchanged. */
void ml_open_stream_type(lua_State *L);
void ml_open_listener_type(lua_State *L);
void ml_open_address_type(lua_State *L);

/* Pushes the table of methods of listeners, which stdlib/moonlet/net.lua completes. */
void ml_push_listener_methods(lua_State *L);

/* Pushes an address: an immutable table {host=, port=, family=}, or {path=, family="unix"}. */
void ml_push_address(lua_State *L, const struct ml_address *address);

/* The address at `index`; false for anything else. */
bool ml_to_address(lua_State *L, int index, struct ml_address *address);

/* The two halves of ml_push_address(), for a caller that keeps addresses in a table: a string,
 * equal for equal addresses, and the address of such a string. */
void ml_push_address_key(lua_State *L, const struct ml_address *address);
void ml_push_address_of_key(lua_State *L, int key);

/* Pushes "host:port", IPv6 hosts in brackets; or "unix:" and the path. */
void ml_push_address_text(lua_State *L, const struct ml_address *address);

/* Pushes nil, the sentence for an error of the stream, its name: returns 3. */
int ml_push_stream_failure(lua_State *L, const struct ml_stream *s, int error);

#endif
