#include "bindings/core/garbage_collection.h"

#include "bindings/core/lua_runtime.h"

/* Collecting takes a tenth of the time at most, since each collection visits all live objects. */
enum { PAUSE = 9 };

struct refusal {
    lua_Alloc allocate;
    void *context;
    bool was_made;
};

/* lua_Alloc that refuses the first block. */
static void *refuse_once(void *data, void *block, size_t old_size, size_t size)
{
    struct refusal *refusal = data;
    bool is_more = block == NULL || size > old_size;
    if (is_more && size > 0 && !refusal->was_made) {
        refusal->was_made = true;
        return NULL;
    }
    return refusal->allocate(refusal->context, block, old_size, size);
}

static int make_block(lua_State *L)
{
    lua_newuserdatauv(L, 1, 0);
    return 0;
}

/* lua_gc() would call finalizers. When an allocation fails, Lua collects everything without calling
 * them, and tries again. */
static void collect(lua_State *L)
{
    struct refusal refusal = {0};
    refusal.allocate = lua_getallocf(L, &refusal.context);
    lua_setallocf(L, refuse_once, &refusal);
    lua_pushcfunction(L, make_block);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK)
        lua_pop(L, 1);
    lua_setallocf(L, refusal.allocate, refusal.context);
}

bool ml_lua_collect(struct ml_hub *hub)
{
    struct ml_lua *lua = hub->owner;
    ml_time start = ml_clock_now();
    if (start < lua->memory.collect_at)
        return false;
    collect(lua->aside);
    ml_time end = ml_clock_now();
    lua->memory.collect_at = end + PAUSE * (end - start);
    return true;
}
