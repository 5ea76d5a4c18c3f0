#include "bindings/lib/preempt_by_chance.h"

#include "bindings/core/hooks.h"
#include "bindings/core/lua_runtime.h"
#include "bindings/core/preempting.h"
#include "hub/switch/switch.h"

#include <stdbool.h>

/* George Marsaglia, "Xorshift RNGs", 2003. Instructions until the next switch, evenly spread from 1
 * to twice the mean. */
static uint32_t next_count(struct ml_chance *chance)
{
    chance->state ^= chance->state << 13;
    chance->state ^= chance->state >> 7;
    chance->state ^= chance->state << 17;
    return 1 + (uint32_t)(chance->state % (2 * (uint64_t)chance->mean - 1));
}

/* Called at each instruction: Lua counts them anew on every thread. Where the task may not be left
 * it goes on until the next number. */
static void on_event(lua_State *L, lua_Debug *event)
{
    struct ml_chance *chance = &ml_lua_of(L)->chance;
    if (--chance->left > 0)
        return;
    chance->left = next_count(chance);
    ml_preempt(L, event, ml_pass);
}

/* Sets the hook on the code that runs or waits now; threads that go on later get it then. */
static void refresh_all(lua_State *L)
{
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    struct ml_task *task;
    for (uint32_t slot = 0; (task = ml_hub_next_task(hub, &slot)) != NULL;)
        for (struct ml_strand *strand = task->strand; strand != NULL; strand = strand->resumer)
            ml_hooks_refresh(ml_thread_of(strand));
    ml_hooks_refresh(L);
}

/* For lua->watch_thread, if an instruction limit, which does this too, has none there. */
static void watch_thread(lua_State *L, lua_State *thread)
{
    (void)L;
    ml_hooks_attend(thread);
}

static void watch_threads(struct ml_lua *lua, bool is_on)
{
    if (is_on && lua->watch_thread == NULL)
        lua->watch_thread = watch_thread;
    else if (!is_on && lua->watch_thread == watch_thread)
        lua->watch_thread = NULL;
}

void ml_preempt_by_chance(lua_State *L, uint64_t seed, uint32_t mean)
{
    static const struct ml_hook_kind kind = {
        .events = LUA_MASKCOUNT, .count = 1, .on_event = on_event};
    struct ml_lua *lua = ml_lua_of(L);
    if (lua->chance.by_time == NULL)
        lua->chance.by_time = lua->hooks.kinds[ML_HOOK_PREEMPT];
    ml_hooks_install(lua, ML_HOOK_PREEMPT, seed != 0 ? &kind : lua->chance.by_time);
    if (seed != 0) {
        lua->chance.state = seed * UINT64_C(0x9E3779B97F4A7C15) | 1;
        lua->chance.mean = mean;
        lua->chance.left = next_count(&lua->chance);
        ml_hooks_stand(lua, ML_HOOK_PREEMPT);
    } else {
        ml_hooks_withdraw(lua, ML_HOOK_PREEMPT);
    }
    watch_threads(lua, seed != 0);
    refresh_all(L);
}
