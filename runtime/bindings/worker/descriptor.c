#include "bindings/worker/descriptor.h"

#include "bindings/core/failure.h"
#include "bindings/core/object.h"
#include "bindings/net/passing.h"

#include <errno.h>
#include <lauxlib.h>
#include <unistd.h>

static const char descriptor_type[] = "descriptor";

struct descriptor {
    int fd; /* -1: closed */
};

static struct descriptor *check_descriptor(lua_State *L)
{
    return ml_check_object(L, 1, descriptor_type);
}

static struct descriptor *push_descriptor(lua_State *L)
{
    struct descriptor *d = ml_push_object(L, descriptor_type, sizeof *d, 0);
    d->fd = -1;
    return d;
}

/* number(): of the descriptor, which stays its own. */
static int descriptor_number(lua_State *L)
{
    lua_pushinteger(L, check_descriptor(L)->fd);
    return 1;
}

static int descriptor_close(lua_State *L)
{
    struct descriptor *d = check_descriptor(L);
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
    return 0;
}

/* descriptor(object): a second descriptor of it, or of a number; nil, message, code. */
static int new_descriptor(lua_State *L)
{
    lua_settop(L, 1);
    struct descriptor *d = push_descriptor(L);
    int fd = ml_net_double_passed(L, 1);
    if (fd < 0)
        return ml_push_failure(L, fd);
    d->fd = fd;
    return 1;
}

static int is_passable(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, ml_net_is_passable(L, 1));
    return 1;
}

void ml_worker_add_descriptors(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"number", descriptor_number}, {"close", descriptor_close}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {
        {"__gc", descriptor_close}, {"__close", descriptor_close}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"descriptor", new_descriptor}, {"is_passable", is_passable}, {NULL, NULL}};
    ml_open_object_type(L, descriptor_type, methods, metamethods);
    luaL_setfuncs(L, functions, 0);
}
