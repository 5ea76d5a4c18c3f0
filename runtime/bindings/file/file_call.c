#include "bindings/file/file_call.h"

#include "bindings/core/blocking.h"
#include "bindings/core/object.h"
#include "bindings/file/arguments.h"
#include "hub/wait/slice.h"

#include <errno.h>

static const char owner_type[] = "fs.call";

struct owner {
    struct ml_file_call *call; /* NULL: freed, or the worker's */
};

void ml_free_file_call(lua_State *L, int index)
{
    struct owner *owner = ml_check_object(L, index, owner_type);
    ml_file_call_free(owner->call);
    owner->call = NULL;
}

static int owner_collect(lua_State *L)
{
    ml_free_file_call(L, 1);
    return 0;
}

void ml_open_file_calls(lua_State *L)
{
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg methods[] = {{"__gc", owner_collect}, {NULL, NULL}};
    ml_open_object_type(L, owner_type, none, methods);
}

struct ml_file_call *ml_push_file_call(lua_State *L, int (*make)(struct ml_file_call *),
                                       bool changes, const char *path, const char *other,
                                       const char *input, size_t input_size)
{
    struct owner *owner = ml_push_object(L, owner_type, sizeof *owner, 0);
    owner->call = ml_file_call_new(make, changes, path, other, input, input_size);
    if (owner->call == NULL)
        luaL_error(L, "not enough memory");
    return owner->call;
}

int ml_make_file_call(lua_State *L)
{
    struct owner *owner = ml_check_object(L, -1, owner_type);
    struct ml_hub *hub = &ml_blocking_begin(L)->hub;
    struct ml_file_call *call = owner->call;
    owner->call = NULL;
    int result = ml_file_call_run(hub, &call);
    owner->call = call;
    return result < 0 ? ml_blocking_end(L, result) : (ml_blocking_end(L, 0), result);
}

int ml_push_call_failure(lua_State *L, int error, int other)
{
    struct owner *owner = ml_check_object(L, -1, owner_type);
    const char *path = owner->call != NULL ? owner->call->data : NULL;
    if (path == NULL) {
        ml_free_file_call(L, -1);
        return ml_push_path_failure(L, error, 1, other);
    }
    lua_pushstring(L, path);
    ml_free_file_call(L, -2);
    return ml_push_path_failure(L, error, -1, 0);
}

struct ml_hub *ml_begin_quickly(lua_State *L)
{
    struct ml_hub *hub = &ml_blocking_begin(L)->hub;
    ml_slice_spend(hub, ML_SLICE_CALL);
    ml_blocking_end(L, ml_slice_point(hub));
    return hub;
}
