/*
 * Messages between workers: values as bytes and back, and the connections that carry them.
 *
 * A frame is the size of the rest (uint32_t), the length of the topic (a byte), the topic, and the
 * body, which is a kind (a byte) and the bytes of it. If descriptors belong to it, their kind and
 * their number (two bytes) stand before that. Both sides are of one machine, and the first bytes of
 * a connection (FORMAT) say that they are of one version.
 */
#include "bindings/worker/messages.h"

#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/lua_worker.h"
#include "bindings/net/stream_object.h"
#include "bindings/thread/parcel.h"
#include "io/local_socket.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#define FORMAT "moonlet messages 1, " MOONLET_VERSION "\n"

/* Kinds of bodies. */
enum {
    TRUE_BODY,
    FALSE_BODY,
    INTEGER_BODY,
    NUMBER_BODY,
    STRING_BODY,
    PARCEL_BODY,
    PASSING_BODY /* a byte: how many descriptors; another body */
};

/* A parcel begins with that, as it lies in memory. */
struct parcel_head {
    uint32_t count, depth, shared, uses_cache;
};

enum { LONGEST_TOPIC = 255, LARGEST_MESSAGE = 1 << 30, HEAD_SIZE = sizeof(uint32_t) + 1 };

/* ---- values as frames ---- */

/* A frame while it is made: the topic is at index 1. */
struct frame {
    const char *topic;
    size_t topic_size;
    int kind;
    unsigned char descriptors;
    const struct parcel_head *head; /* NULL: there is none */
    const void *bytes;
    size_t size;
};

static char *put(char *place, const void *bytes, size_t size)
{
    if (size > 0)
        memcpy(place, bytes, size);
    return place + size;
}

/* Pushes it. Raises for want of memory. */
static void push_frame(lua_State *L, const struct frame *f)
{
    luaL_Buffer buffer;
    size_t head_size = f->head != NULL ? sizeof *f->head : 0;
    char passing[] = {PASSING_BODY, (char)f->descriptors};
    size_t passing_size = f->descriptors > 0 ? sizeof passing : 0;
    size_t total = HEAD_SIZE + f->topic_size + passing_size + 1 + head_size + f->size;
    uint32_t rest = (uint32_t)(total - sizeof rest);
    char *place = luaL_buffinitsize(L, &buffer, total);
    char topic_size = (char)f->topic_size, kind = (char)f->kind;
    place = put(place, &rest, sizeof rest);
    place = put(place, &topic_size, 1);
    place = put(place, f->topic, f->topic_size);
    place = put(place, passing, passing_size);
    place = put(place, &kind, 1);
    place = put(place, f->head, head_size);
    put(place, f->bytes, f->size);
    luaL_pushresultsize(&buffer, total);
}

/* Stack: a light userdata, the frame -> its bytes. */
static int push_frame_protected(lua_State *L)
{
    const struct frame *f = lua_touserdata(L, 1);
    push_frame(L, f);
    return 1;
}

static int push_parcel(lua_State *L, struct frame *f)
{
    char text[ML_PACK_TEXT];
    struct ml_parcel *parcel = ml_pack_try(L, 2, 1, "value", 1, text);
    if (parcel == NULL) {
        lua_pushnil(L);
        lua_pushstring(L, text);
        return 2;
    }
    bool has_channel = parcel->message.channel_count > 0;
    bool is_too_large = parcel->size > LARGEST_MESSAGE;
    int status = LUA_OK;
    struct parcel_head head = {parcel->count, parcel->depth, parcel->shared, parcel->uses_cache};
    f->kind = PARCEL_BODY;
    f->head = &head;
    f->bytes = parcel->bytes;
    f->size = parcel->size;
    if (!has_channel && !is_too_large) {
        lua_pushcfunction(L, push_frame_protected);
        lua_pushlightuserdata(L, f);
        status = lua_pcall(L, 1, 1, 0);
    }
    ml_parcel_release(parcel);
    if (has_channel)
        return luaL_error(L, "value cannot be sent: a channel is of this process");
    if (is_too_large)
        return luaL_error(L, "value cannot be sent: it is larger than 1 GiB");
    return status != LUA_OK ? lua_error(L) : 1;
}

static int push_plain(lua_State *L, struct frame *f, int kind, const void *bytes, size_t size)
{
    if (size > LARGEST_MESSAGE)
        return luaL_error(L, "value cannot be sent: it is larger than 1 GiB");
    f->kind = kind;
    f->bytes = bytes;
    f->size = size;
    push_frame(L, f);
    return 1;
}

static int push_number(lua_State *L, struct frame *f)
{
    lua_Integer whole = lua_tointeger(L, 2);
    lua_Number number = lua_tonumber(L, 2);
    return lua_isinteger(L, 2) ? push_plain(L, f, INTEGER_BODY, &whole, sizeof whole)
                               : push_plain(L, f, NUMBER_BODY, &number, sizeof number);
}

/* frame(topic, value, count of descriptors or nil) -> the bytes; or nil and why the value cannot be
 * copied. The caller has checked the topic. */
static int make_frame(lua_State *L)
{
    struct frame f = {0};
    size_t size;
    const char *bytes;
    f.descriptors = (unsigned char)luaL_optinteger(L, 3, 0);
    lua_settop(L, 2);
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    f.topic = luaL_checklstring(L, 1, &f.topic_size);
    luaL_argcheck(L, f.topic_size <= LONGEST_TOPIC, 1, "topic is longer than 255 bytes");
    switch (lua_type(L, 2)) {
    case LUA_TBOOLEAN:
        return push_plain(L, &f, lua_toboolean(L, 2) ? TRUE_BODY : FALSE_BODY, NULL, 0);
    case LUA_TNUMBER:
        return push_number(L, &f);
    case LUA_TSTRING:
        bytes = lua_tolstring(L, 2, &size);
        return push_plain(L, &f, STRING_BODY, bytes, size);
    default:
        return push_parcel(L, &f);
    }
}

/* ---- frames as values ---- */

/* split(bytes, position) -> topic, body, the position behind, and how many descriptors follow, if
 * any do; or how many bytes are missing at least, nil, nil. */
static int split(lua_State *L)
{
    size_t size;
    const char *bytes = luaL_checklstring(L, 1, &size);
    size_t begin = (size_t)luaL_checkinteger(L, 2) - 1;
    uint32_t rest;
    luaL_argcheck(L, begin <= size, 2, "behind the end");
    bytes += begin;
    size -= begin;
    if (size < sizeof rest) {
        lua_pushinteger(L, (lua_Integer)(sizeof rest - size));
        return 1;
    }
    memcpy(&rest, bytes, sizeof rest);
    if (size < sizeof rest + rest) {
        lua_pushinteger(L, (lua_Integer)(sizeof rest + rest - size));
        return 1;
    }
    size_t topic_size = (unsigned char)bytes[sizeof rest];
    if (rest < 2 + topic_size)
        return luaL_error(L, "a frame is broken");
    const char *body = bytes + HEAD_SIZE + topic_size;
    lua_pushlstring(L, bytes + HEAD_SIZE, topic_size);
    lua_pushlstring(L, body, rest - 1 - topic_size);
    lua_pushinteger(L, (lua_Integer)(begin + sizeof rest + rest + 1));
    if (ml_likely(body[0] != PASSING_BODY || rest < 3 + topic_size))
        return 3;
    lua_pushinteger(L, (unsigned char)body[1]);
    return 4;
}

/* The block on the stack is the collector's: unpacking may raise, and wait. */
static int push_unpacked(lua_State *L, const char *bytes, size_t size)
{
    struct parcel_head head;
    if (size < sizeof head)
        return luaL_error(L, "a message is broken");
    memcpy(&head, bytes, sizeof head);
    size -= sizeof head;
    struct ml_parcel *parcel = lua_newuserdatauv(L, offsetof(struct ml_parcel, bytes) + size, 0);
    memset(parcel, 0, offsetof(struct ml_parcel, bytes));
    memcpy(parcel->bytes, bytes + sizeof head, size);
    parcel->size = size;
    parcel->count = head.count;
    parcel->depth = head.depth;
    parcel->shared = head.shared;
    parcel->uses_cache = head.uses_cache != 0;
    return ml_unpack(L, parcel);
}

static int push_word(lua_State *L, int kind, const char *bytes, size_t size)
{
    lua_Integer whole;
    lua_Number number;
    if (size != sizeof whole)
        return luaL_error(L, "a message is broken");
    memcpy(&whole, bytes, sizeof whole);
    memcpy(&number, bytes, sizeof number);
    if (kind == INTEGER_BODY)
        lua_pushinteger(L, whole);
    else
        lua_pushnumber(L, number);
    return 1;
}

/* value(body) -> the value; may wait, for a module that is named in it. */
static int push_value(lua_State *L)
{
    size_t size;
    const char *body = luaL_checklstring(L, 1, &size);
    size_t skipped = size > 2 && body[0] == PASSING_BODY ? 2 : 0;
    body += skipped;
    size -= skipped;
    int kind = size > 0 ? body[0] : -1;
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    if (kind == PARCEL_BODY)
        return push_unpacked(L, body + 1, size - 1);
    if (kind == INTEGER_BODY || kind == NUMBER_BODY)
        return push_word(L, kind, body + 1, size - 1);
    if (kind == STRING_BODY)
        lua_pushlstring(L, body + 1, size - 1);
    else if (kind == TRUE_BODY || kind == FALSE_BODY)
        lua_pushboolean(L, kind == TRUE_BODY);
    else
        return luaL_error(L, "a message is broken");
    return 1;
}

/* ---- connections ---- */

/* Gives the closed stream a descriptor; that is closed after an error. */
static int adopt(struct ml_stream *s, int fd)
{
    return ml_socket_open_family(s, fd, AF_UNIX);
}

/* connect(slot) -> stream, generation, serial; nil, message, code. */
static int connect_to(lua_State *L)
{
    struct ml_control_peer peer;
    int fd;
    uint32_t slot = (uint32_t)luaL_checkinteger(L, 1);
    struct ml_stream *s = ml_push_stream(L);
    struct ml_lua *lua = ml_blocking_begin(L);
    int error = lua->worker != NULL ? ml_lua_peers_connect(&lua->worker->peers, slot, &peer, &fd)
                                    : -ENOTCONN;
    if (error == 0)
        error = adopt(s, fd);
    error = ml_blocking_end(L, error);
    if (error != 0)
        return ml_push_failure(L, error);
    lua_pushinteger(L, peer.generation);
    lua_pushinteger(L, peer.serial);
    return 3;
}

/* next_notice() -> slot, generation, serial, and a stream if it has connected; waits. */
static int next_notice(lua_State *L)
{
    struct ml_lua_peer_notice notice = {.fd = -1};
    struct ml_stream *s = ml_push_stream(L);
    struct ml_lua *lua = ml_blocking_begin(L);
    int error = lua->worker != NULL ? ml_lua_peers_next(&lua->worker->peers, &notice) : -ENOTCONN;
    bool has_stream = error == 0 && notice.fd >= 0;
    if (has_stream)
        error = adopt(s, notice.fd);
    error = ml_blocking_end(L, error);
    if (error != 0)
        return ml_push_failure(L, error);
    lua_pushinteger(L, notice.peer.slot);
    lua_pushinteger(L, notice.peer.generation);
    lua_pushinteger(L, notice.peer.serial);
    lua_pushvalue(L, -4);
    return has_stream ? 4 : (lua_pop(L, 1), 3);
}

void ml_worker_add_messages(lua_State *L)
{
    static const luaL_Reg functions[] = {{"frame", make_frame},        {"split", split},
                                         {"value", push_value},        {"connect", connect_to},
                                         {"next_notice", next_notice}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    lua_pushliteral(L, FORMAT);
    lua_setfield(L, -2, "format");
}
