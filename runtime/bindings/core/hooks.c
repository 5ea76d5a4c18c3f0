#include "bindings/core/hooks.h"

#include "bindings/core/lua_runtime.h"

#include <lauxlib.h>
#include <lualib.h>

static void on_hook(lua_State *L, lua_Debug *event);

struct ml_hooked *ml_hooks_find(lua_State *L)
{
    return ml_hook_record_find(&ml_lua_of(L)->hooks, L);
}

void ml_hooks_forget(struct ml_lua *lua, lua_State *L)
{
    if (ml_unlikely(lua->hooks.count > 0))
        ml_hook_record_drop(&lua->hooks, L);
    if (ml_unlikely(lua->hooks.displaced.L == L))
        lua->hooks.displaced.L = NULL;
}

static void set_outer(struct ml_hooked *hooked, lua_Hook hook, int events, int count)
{
    hooked->outer = hook;
    hooked->outer_events = events;
    hooked->outer_count = count;
    hooked->outer_left = count;
}

/* Takes a hook that is not ours into the record of L. False: no memory; the hook stays as it is. */
static bool adopt(struct ml_hooks *hooks, lua_State *L)
{
    lua_Hook hook = lua_gethook(L);
    bool is_displaced = hooks->displaced.L == L;
    bool is_foreign = hook != NULL && hook != on_hook;
    if (!is_displaced && !is_foreign)
        return true;
    struct ml_hooked *hooked = ml_hook_record_obtain(hooks, L);
    if (hooked == NULL)
        return false;
    if (is_foreign)
        set_outer(hooked, hook, lua_gethookmask(L), lua_gethookcount(L));
    else
        set_outer(hooked, hooks->displaced.hook, hooks->displaced.events, hooks->displaced.count);
    if (is_displaced)
        hooks->displaced.L = NULL;
    return true;
}

/* ---- arming ---- */

/* The events and the count that a thread's hook needs. */
struct demand {
    int events;
    int count;
};

static void ask_for(struct demand *demand, int events, int count)
{
    bool has_count = (demand->events & LUA_MASKCOUNT) != 0;
    demand->events |= events;
    if ((events & LUA_MASKCOUNT) != 0 && (!has_count || count < demand->count))
        demand->count = count;
}

static struct demand demand_of(const struct ml_hooks *hooks, const struct ml_hooked *hooked,
                               unsigned reasons)
{
    struct demand demand = {0, 0};
    for (int i = 0; i < ML_HOOK_REASONS; i++)
        if ((reasons & 1u << i) != 0)
            ask_for(&demand, hooks->kinds[i]->events, hooks->kinds[i]->count);
    if (hooked != NULL && hooked->outer != NULL)
        ask_for(&demand, hooked->outer_events,
                hooked->outer_count < ML_HOOK_PIECE ? hooked->outer_count : ML_HOOK_PIECE);
    return demand;
}

static void tell_of_restart(struct ml_lua *lua, unsigned reasons)
{
    for (int i = 0; i < ML_HOOK_REASONS; i++)
        if ((reasons & 1u << i) != 0 && lua->hooks.kinds[i]->on_restart != NULL)
            lua->hooks.kinds[i]->on_restart(lua);
}

/* Gives C code that set a hook of its own this hook back, when no reason is in force any more. */
static bool give_back(struct ml_hooks *hooks, lua_State *L, const struct ml_hooked *hooked)
{
    bool is_of_c = hooked != NULL && hooked->outer != NULL && hooked->outer != hooks->of_scripts;
    if (!is_of_c)
        return false;
    lua_sethook(L, hooked->outer, hooked->outer_events, hooked->outer_count);
    ml_hook_record_drop(hooks, L);
    return true;
}

void ml_hooks_refresh(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    struct ml_hooks *hooks = &lua->hooks;
    unsigned shared, reasons;
    if (!adopt(hooks, L))
        return;
    struct ml_hooked *hooked = ml_hook_record_find(hooks, L);
    /* A signal handler may have shared a reason, and touched L, in between. */
    do {
        shared = atomic_load(&hooks->shared);
        reasons = shared | (hooked != NULL ? hooked->reasons : 0);
        if (reasons == 0 && give_back(hooks, L, hooked))
            return;
        struct demand demand = demand_of(hooks, hooked, reasons);
        if (demand.events == 0 && lua_gethook(L) == NULL)
            continue;
        lua_sethook(L, demand.events != 0 ? on_hook : NULL, demand.events, demand.count);
    } while (atomic_load(&hooks->shared) != shared);
    if (hooked != NULL && hooked->outer == NULL && hooked->reasons == 0)
        ml_hook_record_drop(hooks, L);
    tell_of_restart(lua, reasons);
}

struct ml_hooked *ml_hooks_arm(lua_State *L, enum ml_hook_reason reason)
{
    struct ml_hooks *hooks = &ml_lua_of(L)->hooks;
    struct ml_hooked *hooked = ml_hook_record_obtain(hooks, L);
    if (hooked == NULL)
        return NULL;
    hooked->reasons |= 1u << reason;
    ml_hooks_refresh(L);
    return hooked;
}

void ml_hooks_disarm(lua_State *L, enum ml_hook_reason reason)
{
    struct ml_hooked *hooked = ml_hooks_find(L);
    if (hooked == NULL || (hooked->reasons & 1u << reason) == 0)
        return;
    hooked->reasons &= ~(1u << reason);
    ml_hooks_refresh(L);
}

/* The next record that has the reason, or NULL: a refresh may drop the one before. */
static struct ml_hooked *next_with(struct ml_hooks *hooks, enum ml_hook_reason reason)
{
    struct ml_hooked *hooked = ml_hook_record_next(hooks, NULL);
    while (hooked != NULL && (hooked->reasons & 1u << reason) == 0)
        hooked = ml_hook_record_next(hooks, hooked);
    return hooked;
}

void ml_hooks_disarm_all(struct ml_lua *lua, enum ml_hook_reason reason)
{
    struct ml_hooked *hooked;
    while ((hooked = next_with(&lua->hooks, reason)) != NULL)
        ml_hooks_disarm(hooked->L, reason);
}

void ml_hooks_share(struct ml_lua *lua, enum ml_hook_reason reason)
{
    atomic_fetch_or(&lua->hooks.shared, 1u << reason);
}

void ml_hooks_unshare(struct ml_lua *lua, enum ml_hook_reason reason)
{
    atomic_fetch_and(&lua->hooks.shared, ~(1u << reason));
}

/* Which reasons stand has changed. */
static void note_standing(struct ml_hooks *hooks, unsigned standing)
{
    hooks->standing = standing;
    hooks->standing_events = demand_of(hooks, NULL, standing).events;
}

void ml_hooks_stand(struct ml_lua *lua, enum ml_hook_reason reason)
{
    note_standing(&lua->hooks, lua->hooks.standing | 1u << reason);
    ml_hooks_share(lua, reason);
}

void ml_hooks_withdraw(struct ml_lua *lua, enum ml_hook_reason reason)
{
    note_standing(&lua->hooks, lua->hooks.standing & ~(1u << reason));
    ml_hooks_unshare(lua, reason);
}

void ml_hooks_pass_over(struct ml_lua *lua, enum ml_hook_reason reason, int least)
{
    lua->hooks.passing = 1u << reason;
    lua->hooks.least = least;
}

void ml_hooks_attend(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    if (lua_gethook(L) != on_hook || (~lua_gethookmask(L) & lua->hooks.standing_events) != 0)
        ml_hooks_refresh(L);
    if (lua->hooks.attended != NULL)
        lua->hooks.attended(lua, L);
}

void ml_hooks_touch(lua_State *L, enum ml_hook_reason reason)
{
    struct ml_hooks *hooks = &ml_lua_of(L)->hooks;
    lua_Hook hook = lua_gethook(L);
    struct demand demand = {lua_gethookmask(L), lua_gethookcount(L)};
    if (hook != NULL && hook != on_hook) {
        if (hooks->displaced.L != NULL && hooks->displaced.L != L)
            return; /* the hub handles the signal, too, at the next switch */
        hooks->displaced.hook = hook;
        hooks->displaced.events = demand.events;
        hooks->displaced.count = demand.count;
        hooks->displaced.L = L;
    }
    ask_for(&demand, hooks->kinds[reason]->events, hooks->kinds[reason]->count);
    lua_sethook(L, on_hook, demand.events, demand.count);
}

bool ml_hooks_are_plain(lua_State *L)
{
    lua_Hook hook = lua_gethook(L);
    return ml_likely(hook == NULL) || (hook == on_hook && ml_hooks_find(L) == NULL);
}

/* ---- the hook ---- */

static int mask_of(const lua_Debug *event)
{
    return event->event == LUA_HOOKTAILCALL ? LUA_MASKCALL : 1 << event->event;
}

static __attribute__((noinline)) void serve_reasons(lua_State *L, lua_Debug *event,
                                                    const struct ml_hooks *hooks, unsigned reasons)
{
    for (; reasons != 0; reasons &= reasons - 1) {
        const struct ml_hook_kind *kind = hooks->kinds[__builtin_ctz(reasons)];
        if ((kind->events & mask_of(event)) != 0)
            kind->on_event(L, event);
    }
}

/* Whether the chained hook gets the event. count: instructions between two count events of L. */
static bool is_for_outer(struct ml_hooked *hooked, const lua_Debug *event, int count)
{
    if (hooked == NULL || hooked->outer == NULL || (hooked->outer_events & mask_of(event)) == 0)
        return false;
    if (event->event != LUA_HOOKCOUNT)
        return true;
    hooked->outer_left -= count;
    bool is_due = hooked->outer_left <= 0;
    if (is_due)
        hooked->outer_left += hooked->outer_count;
    return is_due;
}

/* The reasons come first: they hold whatever the script's own hook does. They may raise, and may
 * end the record. */
static __attribute__((noinline)) void serve_event(lua_State *L, lua_Debug *event,
                                                  struct ml_hooks *hooks)
{
    int count = lua_gethookcount(L);
    if (ml_unlikely(hooks->displaced.L == L) && !adopt(hooks, L))
        return;
    struct ml_hooked *hooked = ml_hook_record_find(hooks, L);
    unsigned reasons = atomic_load(&hooks->shared) | (hooked != NULL ? hooked->reasons : 0);
    if (reasons == 0 && (hooked == NULL || hooked->outer == NULL)) {
        ml_hooks_refresh(L); /* the hook was inherited, or its reason is gone */
        return;
    }
    serve_reasons(L, event, hooks, reasons);
    hooked = ml_hook_record_find(hooks, L);
    if (is_for_outer(hooked, event, count))
        hooked->outer(L, event);
}

/* Measured: each call of a program takes this way while the debugger has a breakpoint, nearly all
 * of them no further than to lua_gettop(). */
static void on_hook(lua_State *L, lua_Debug *event)
{
    struct ml_hooks *hooks = &ml_lua_of(L)->hooks;
    unsigned shared = atomic_load_explicit(&hooks->shared, memory_order_relaxed);
    bool is_alone = shared != 0 && hooks->count == 0 && hooks->displaced.L == NULL;
    if (ml_unlikely(!is_alone || shared != hooks->passing))
        serve_event(L, event, hooks);
    else if (lua_gettop(L) >= hooks->least)
        serve_reasons(L, event, hooks, shared);
}

/* ---- debug.sethook, debug.gethook ---- */

/* A script that sets hooks in a loop restarts every count before it is due. */
static void check_reasons(lua_State *L)
{
    const struct ml_hooks *hooks = &ml_lua_of(L)->hooks;
    unsigned shared = atomic_load(&hooks->shared);
    for (int i = 0; i < ML_HOOK_REASONS; i++)
        if ((shared & 1u << i) != 0 && hooks->kinds[i]->check != NULL)
            hooks->kinds[i]->check(L);
}

/* The thread that debug.sethook or debug.gethook is called for; *arg: how many arguments precede
 * the others. */
static lua_State *thread_argument(lua_State *L, int *arg)
{
    *arg = lua_isthread(L, 1) ? 1 : 0;
    return *arg == 1 ? lua_tothread(L, 1) : L;
}

/*
 * Calls the function of the standard library, which is the upvalue, for `thread` with the arguments
 * behind `arg`, which are popped. On the state aside: on L its own call and return would be events
 * of the hook. Pushes its results, at most three, or the error.
 */
static int call_stock(lua_State *L, lua_State *thread, int arg)
{
    lua_State *aside = ml_lua_of(L)->aside;
    int count = lua_gettop(L) - arg;
    luaL_checkstack(thread, 1, NULL);
    luaL_checkstack(L, 4, NULL);
    luaL_checkstack(aside, count + 4, NULL);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, arg + 1);
    lua_pushthread(thread);
    lua_xmove(thread, L, 1);
    lua_insert(L, arg + 2);
    int top = L == aside ? arg : lua_gettop(aside);
    lua_xmove(L, aside, count + 2);
    int status = lua_pcall(aside, count + 1, LUA_MULTRET, 0);
    lua_xmove(aside, L, lua_gettop(aside) - top);
    return status;
}

static void check_hook_arguments(lua_State *L, int arg)
{
    if (lua_isnoneornil(L, arg + 1))
        return;
    luaL_checkstring(L, arg + 2);
    luaL_checktype(L, arg + 1, LUA_TFUNCTION);
    luaL_optinteger(L, arg + 3, 0);
}

/* The stock function sets its C hook on the thread, and adopt() takes it from there. */
static int debug_sethook(lua_State *L)
{
    int arg;
    lua_State *thread = thread_argument(L, &arg);
    check_hook_arguments(L, arg);
    struct ml_hooks *hooks = &ml_lua_of(L)->hooks;
    if (ml_hook_record_obtain(hooks, thread) == NULL)
        return luaL_error(L, "not enough memory");
    int status = call_stock(L, thread, arg);
    struct ml_hooked *hooked = ml_hook_record_find(hooks, thread);
    lua_Hook hook = lua_gethook(thread);
    if (hook != NULL && hook != on_hook)
        hooks->of_scripts = hook;
    else if (hooked != NULL && hook == NULL)
        hooked->outer = NULL;
    if (hooks->displaced.L == thread)
        hooks->displaced.L = NULL;
    ml_hooks_refresh(thread);
    check_reasons(L);
    return status == LUA_OK ? 0 : lua_error(L);
}

static int debug_gethook(lua_State *L)
{
    int arg;
    lua_State *thread = thread_argument(L, &arg);
    struct ml_hooked *hooked = ml_hooks_find(thread);
    bool is_ours = lua_gethook(thread) == on_hook;
    if (is_ours && (hooked == NULL || hooked->outer == NULL)) {
        luaL_pushfail(L);
        return 1;
    }
    long left = is_ours ? hooked->outer_left : 0;
    if (is_ours)
        lua_sethook(thread, hooked->outer, hooked->outer_events, hooked->outer_count);
    lua_settop(L, arg);
    int status = call_stock(L, thread, arg);
    ml_hooks_refresh(thread);
    hooked = ml_hooks_find(thread);
    if (is_ours && hooked != NULL)
        hooked->outer_left = left;
    check_reasons(L);
    return status == LUA_OK ? lua_gettop(L) - arg : lua_error(L);
}

void ml_open_hooks(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"sethook", debug_sethook}, {"gethook", debug_gethook}, {NULL, NULL}};
    lua_getglobal(L, LUA_DBLIBNAME);
    for (const luaL_Reg *function = functions; function->name != NULL; function++) {
        lua_getfield(L, -1, function->name);
        lua_pushcclosure(L, function->func, 1);
        lua_setfield(L, -2, function->name);
    }
    lua_pop(L, 1);
}

void ml_hooks_install(struct ml_lua *lua, enum ml_hook_reason reason,
                      const struct ml_hook_kind *kind)
{
    lua->hooks.kinds[reason] = kind;
}
