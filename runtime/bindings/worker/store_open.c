#include "bindings/worker/store_open.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/lua_worker.h"
#include "bindings/core/object.h"
#include "hub/wait/wait.h"
#include "worker/open_stores.h"

#include <lauxlib.h>
#include <string.h>

const char ml_store_type[] = "worker.store";

/* Between two looks at memory that another worker makes a store of. */
enum { PAUSE = 50 * 1000 };

static const char *name_of_way(bool evicts)
{
    return evicts ? "true" : "false";
}

/* The store is there with other settings. */
static int push_mismatch(lua_State *L, const char *name, const struct ml_store_wish *wish,
                         const struct ml_store *store)
{
    const struct ml_arena_head *head = store->arena.head;
    luaL_pushfail(L);
    if (wish->size != 0 && wish->size != head->size)
        lua_pushfstring(L, "store '%s' has size=%I, not %I", name, (LUAI_UACINT)head->size,
                        (LUAI_UACINT)wish->size);
    else
        lua_pushfstring(L, "store '%s' has evict=%s, not %s", name, name_of_way(head->evicts),
                        name_of_way(!head->evicts));
    lua_pushstring(L, ml_error_name(EINVAL));
    return 3;
}

static int push_open_error(lua_State *L, const char *name, int error)
{
    if (error == -ENOMEM)
        return luaL_error(L, "not enough memory");
    if (error != -EPROTO)
        return ml_push_failure(L, error);
    luaL_pushfail(L);
    lua_pushfstring(L, "the memory of store '%s' is of another version of moonlet", name);
    lua_pushstring(L, ml_error_name(error));
    return 3;
}

/* The memory of a store, from the master, which keeps it for all workers. Waits. */
static int ask_master(void *context, const char *name, const struct ml_store_wish *wish)
{
    struct ml_lua *lua = context;
    struct ml_worker_reply *reply = NULL;
    struct ml_control_store asked = {.size = wish->size != 0 ? wish->size : ML_STORE_DEFAULT_SIZE};
    memcpy(asked.name, name, strlen(name) + 1);
    int error = ml_worker_request(lua->worker->client, ML_CONTROL_STORE, &asked, sizeof asked,
                                  &reply, ML_FOREVER);
    if (error != 0)
        return error;
    int fd = reply->error == 0 ? ml_worker_reply_take_fd(reply, 0) : reply->error;
    ml_worker_reply_free(reply);
    return fd == -1 ? -EPROTO : fd;
}

/* Opens the store, in a worker with the memory of its master. While another worker makes a store of
 * that memory, this one waits. */
static int open_store(lua_State *L, const char *name, const struct ml_store_wish *wish,
                      struct ml_store **store)
{
    struct ml_lua *lua = ml_lua_of(L);
    if (lua->worker == NULL)
        return ml_open_stores_get(name, wish, NULL, NULL, store);
    ml_blocking_begin(L);
    int error;
    do {
        error = ml_open_stores_get(name, wish, ask_master, lua, store);
        if (error == -EBUSY && ml_sleep_until(&lua->hub, ml_clock_now() + PAUSE) != 0)
            error = -ECANCELED;
    } while (error == -EBUSY);
    return ml_blocking_end(L, error);
}

int ml_worker_store_open(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    struct ml_store_wish wish = {.size = (size_t)luaL_optinteger(L, 2, 0)};
    if (!lua_isnoneornil(L, 3))
        wish.evict = lua_toboolean(L, 3) ? ML_EVICT_OLDEST : ML_EVICT_NEVER;
    luaL_argcheck(L, strlen(name) <= ML_STORE_LONGEST_NAME, 1, "name is too long");
    struct ml_store_object *object = ml_push_object(L, ml_store_type, sizeof *object, 0);
    int error = open_store(L, name, &wish, &object->store);
    if (error == -EEXIST)
        return push_mismatch(L, name, &wish, object->store);
    return error != 0 ? push_open_error(L, name, error) : 1;
}
