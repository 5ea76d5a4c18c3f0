#include "vm/lua_api.h"

#include "bindings/core/lua_strand.h"
#include "bindings/coroutine/generator.h"
#include "vm/runtimes.h"

/* The strand of a runtime's thread; NULL: stock Lua's answer is right for L. Other states may have
 * anything in their extra space, which is only compared. */
static struct ml_strand *strand_of(lua_State *L)
{
    struct moonlet *m = ml_moonlet_of(ml_lua_of(L));
    bool is_ours = ml_runtime_is_open(m) && L != m->lua.main;
    return is_ours ? ml_strand_of(L) : NULL;
}

static bool is_suspended(const struct ml_strand *strand)
{
    return strand != NULL && ml_strand_state(strand) == ML_STRAND_SUSPENDED;
}

int ml_lua_api_status(lua_State *L)
{
    const struct ml_strand *strand = strand_of(L);
    if (strand == NULL)
        return lua_status(L);
    bool is_left = is_suspended(strand) || (*ml_lua_mark(L) & ML_MARK_PARKED) != 0;
    return is_left ? LUA_YIELD : lua_status(L);
}

int ml_lua_api_isyieldable(lua_State *L)
{
    const struct ml_strand *strand = strand_of(L);
    if (strand == NULL || ml_strand_state(strand) == ML_STRAND_UNBOUND)
        return lua_isyieldable(L);
    return is_suspended(strand) || (lua_isyieldable(L) && ml_generator_is_yieldable(L));
}

int ml_lua_api_resume(lua_State *L, lua_State *from, int count, int *results)
{
    return is_suspended(strand_of(L)) ? ml_generator_go_on(L, count, results)
                                      : lua_resume(L, from, count, results);
}

int ml_lua_api_resetthread(lua_State *L)
{
    return is_suspended(strand_of(L)) ? ml_generator_close(L) : lua_resetthread(L);
}
