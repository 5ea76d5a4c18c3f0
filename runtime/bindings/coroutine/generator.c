#include "bindings/coroutine/generator.h"

#include "bindings/core/hooks.h"
#include "bindings/core/lua_strand.h"
#include "hub/switch/chain.h"

#include <lauxlib.h>
#include <string.h>

/* How deep generators nest. Each has a C stack of its own, so Lua's limit of 200 C levels applies
 * within each, and recursion through them needs a limit as well. A plain one holds less than 1 KiB
 * of frames, one that calls the next from a callback of string.gsub() 2.6 KiB; but with 200 levels
 * in each it would be 4 GB. */
enum { NESTING_LIMIT = 10000, FRAMES_LIMIT = (ML_HAS_ASAN ? 256 : 32) * 1024 /* KiB */ };

static inline bool is_too_deep(const struct ml_hub *hub)
{
    return hub->current->depth >= NESTING_LIMIT || ml_strand_weight(hub) >= FRAMES_LIMIT;
}

const char ml_generator_running[] = "running";
const char ml_generator_normal[] = "normal";
const char ml_generator_suspended[] = "suspended";
const char ml_generator_dead[] = "dead";

/* The status of a thread without a C stack of its own: as stock Lua sees it. */
static const char *plain_status(lua_State *thread)
{
    lua_Debug frame;
    if (lua_status(thread) == LUA_YIELD)
        return ml_generator_suspended;
    if (lua_status(thread) != LUA_OK)
        return ml_generator_dead;
    if (lua_getstack(thread, 0, &frame))
        return ml_generator_normal;
    return lua_gettop(thread) == 0 ? ml_generator_dead : ml_generator_suspended;
}

const char *ml_generator_status(lua_State *L, lua_State *thread)
{
    if (L == thread)
        return ml_generator_running;
    if (thread == ml_lua_of(L)->main)
        return ml_generator_normal;
    switch (ml_strand_state(ml_strand_of(thread))) {
    case ML_STRAND_SUSPENDED:
        return ml_generator_suspended;
    case ML_STRAND_ACTIVE:
        return ml_generator_normal;
    default:
        return plain_status(thread);
    }
}

/* ---- yield ---- */

/* Whether a finalizer is among the calls on L. Finalizers on other threads come to their end in any
 * case. */
static bool runs_finalizer(lua_State *L)
{
    lua_Debug frame;
    for (int level = 0; lua_getstack(L, level, &frame); level++) {
        lua_getinfo(L, "n", &frame);
        if (frame.name != NULL && strcmp(frame.name, "__gc") == 0 &&
            strcmp(frame.namewhat, "metamethod") == 0)
            return true;
    }
    return false;
}

/* Code that Lua itself could not yield from may run in a finalizer; other code never does. */
static inline bool is_in_finalizer(lua_State *L)
{
    return ml_unlikely(!lua_isyieldable(L)) && lua_gc(L, LUA_GCCOUNT) < 0 && runs_finalizer(L);
}

/* The thread of a task, or of a greenlet, has no resumer that could take a yielded value. */
static inline bool is_generator(lua_State *L)
{
    const struct ml_strand *strand = ml_strand_of(L);
    return strand->resumer != NULL && !(*ml_lua_mark(L) & ML_MARK_GREENLET);
}

void ml_generator_check_yield(lua_State *L)
{
    if (ml_unlikely(!is_generator(L))) {
        lua_pushliteral(L, "attempt to yield from outside a coroutine");
        lua_error(L);
    }
    if (is_in_finalizer(L) || !ml_strand_holds(ml_strand_of(L), __builtin_frame_address(0)))
        luaL_error(L, "attempt to yield across a C-call boundary");
}

bool ml_generator_is_yieldable(lua_State *thread)
{
    if (thread == ml_lua_of(thread)->main)
        return false;
    switch (ml_strand_state(ml_strand_of(thread))) {
    case ML_STRAND_SUSPENDED:
        return true;
    case ML_STRAND_ACTIVE:
        return is_generator(thread) && !is_in_finalizer(thread);
    default:
        return lua_isyieldable(thread);
    }
}

/* ---- resume ---- */

static int fail(lua_State *L, int count, const char *message)
{
    lua_pop(L, count);
    lua_pushstring(L, message);
    return -1;
}

/* Moves the `count` results on top of `thread` to L, where there may be no room for them. */
static int take_results(lua_State *L, lua_State *thread, int count)
{
    if (ml_unlikely(!lua_checkstack(L, count + 1))) {
        lua_pop(thread, count);
        lua_pushliteral(L, "too many results to resume");
        return -1;
    }
    lua_xmove(thread, L, count);
    return count;
}

static int take_error(lua_State *L, lua_State *thread)
{
    lua_xmove(thread, L, 1);
    return -1;
}

/* Resumes, on the running stack, a thread that a C library left with lua_yield(), and any thread
 * outside of tasks. */
static int resume_plainly(lua_State *L, lua_State *thread, int count)
{
    lua_xmove(L, thread, count);
    int status = lua_resume(thread, L, count, &count);
    if (ml_unlikely(status != LUA_OK && status != LUA_YIELD))
        return take_error(L, thread);
    return take_results(L, thread, count);
}

/* The count of values that a strand left on its thread when it gave up control. */
static inline int count_results(lua_State *thread)
{
    if (ml_likely(lua_status(thread) != LUA_YIELD))
        return lua_gettop(thread);
    int count = (int)lua_tointeger(thread, -1); /* see forward_yield() */
    lua_pop(thread, 1);
    return count;
}

static inline int resume_strand(lua_State *L, lua_State *thread, int count)
{
    lua_xmove(L, thread, count);
    if (ml_unlikely(ml_strand_resume(&ml_lua_of(L)->hub, ml_strand_of(thread)) != 0)) {
        lua_pop(thread, count);
        return luaL_error(L, "not enough memory");
    }
    if (ml_unlikely(lua_status(thread) > LUA_YIELD)) {
        if (ml_unlikely(ml_lua_of(L)->task_hooks.raised != NULL))
            ml_lua_of(L)->task_hooks.raised(ml_lua_of(L), thread, true);
        return take_error(L, thread);
    }
    return take_results(L, thread, count_results(thread));
}

/* The reason why a thread without a C stack cannot get one; NULL: it can. */
static const char *refusal(lua_State *L, lua_State *thread)
{
    const char *status = ml_generator_status(L, thread);
    if (status == ml_generator_dead)
        return "cannot resume dead coroutine";
    return status == ml_generator_suspended ? NULL : "cannot resume non-suspended coroutine";
}

/* Called before a thread, a strand or one to be, begins or goes on, while a hook must be on every
 * thread. */
static void watch(lua_State *L, lua_State *thread, bool begins)
{
    struct ml_lua *lua = ml_lua_of(L);
    if (begins && lua->watch_thread != NULL)
        lua->watch_thread(L, thread);
    ml_hooks_attend(thread);
}

/* No switch is possible on a stack of a C library's own: there a coroutine is resumed as by stock
 * Lua, and stays on that stack. */
static inline bool may_switch(const struct ml_hub *hub)
{
    return hub->current != NULL &&
           ml_strand_holds(hub->current->strand, __builtin_frame_address(0));
}

/* Resumes anything but a plain suspended generator. */
static __attribute__((noinline)) int resume_other(lua_State *L, lua_State *thread, int count)
{
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    const char *message = refusal(L, thread);
    bool is_suspended =
        message == NULL && ml_strand_state(ml_strand_of(thread)) == ML_STRAND_SUSPENDED;
    bool is_strand =
        message == NULL && may_switch(hub) && (is_suspended || lua_status(thread) != LUA_YIELD);
    if (is_suspended && !is_strand)
        message = hub->current == NULL
                      ? "cannot resume a coroutine of a task: no task is running"
                      : "cannot resume a coroutine on a stack of a C library's own";
    if (message == NULL && is_strand && is_too_deep(hub))
        message = "C stack overflow";
    if (message != NULL)
        return fail(L, count, message);
    if (is_strand && ml_hooks_are_standing(&ml_lua_of(L)->hooks))
        watch(L, thread, !is_suspended);
    count = is_strand ? resume_strand(L, thread, count) : resume_plainly(L, thread, count);
    if (ml_hooks_are_standing(&ml_lua_of(L)->hooks))
        ml_hooks_attend(L);
    return count;
}

int ml_generator_resume(lua_State *L, lua_State *thread, int count)
{
    struct ml_lua *lua = ml_lua_of(L);
    struct ml_hub *hub = &lua->hub;
    if (ml_unlikely(!lua_checkstack(thread, count + 3)))
        return fail(L, count, "too many arguments to resume");
    if (ml_likely(thread != lua->main &&
                  ml_strand_state(ml_strand_of(thread)) == ML_STRAND_SUSPENDED && may_switch(hub) &&
                  hub->current->depth < ML_STRAND_WEIGHED && !ml_hooks_are_standing(&lua->hooks)))
        return resume_strand(L, thread, count);
    return resume_other(L, thread, count);
}

/* The reason why a suspended thread cannot be resumed now; NULL: it can. */
static const char *refusal_now(const struct ml_hub *hub)
{
    if (hub->current == NULL || ml_bank_current != &hub->bank)
        return "cannot resume a coroutine of a task: no task is running";
    return is_too_deep(hub) ? "C stack overflow" : NULL;
}

static int refuse_to_go_on(lua_State *thread, int count, const char *message)
{
    lua_pop(thread, count);
    lua_pushstring(thread, message);
    return LUA_ERRRUN;
}

int ml_generator_go_on(lua_State *thread, int count, int *results)
{
    struct ml_hub *hub = &ml_lua_of(thread)->hub;
    struct ml_strand *strand = ml_strand_of(thread);
    const char *message = refusal_now(hub);
    if (message != NULL)
        return refuse_to_go_on(thread, count, message);
    /* coroutine.yield() returns all values above its call; others that C code left there are
     * removed. */
    for (int left = lua_gettop(thread) - count; left > 0 && lua_status(thread) == LUA_OK; left--)
        lua_remove(thread, 1);
    if (ml_strand_resume(hub, strand) != 0)
        return refuse_to_go_on(thread, count, "not enough memory");
    int status = lua_status(thread);
    if (status > LUA_YIELD)
        return status;
    *results = count_results(thread);
    return ml_strand_state(strand) == ML_STRAND_SUSPENDED ? LUA_YIELD : LUA_OK;
}

/* ---- the body ---- */

/* A C function on the thread called lua_yield(): passes its `count` values on, their number on top,
 * and returns how many values came back. */
static int forward_yield(struct ml_hub *hub, lua_State *thread, int count)
{
    lua_pushinteger(thread, count);
    int below = lua_gettop(thread) - count - 1;
    ml_strand_leave(hub);
    return lua_gettop(thread) - below;
}

static void generator_body(struct ml_strand *strand)
{
    lua_State *thread = ml_thread_of(strand);
    struct ml_hub *hub = &ml_lua_of(thread)->hub;
    int count = lua_gettop(thread) - 1;
    while (lua_resume(thread, NULL, count, &count) == LUA_YIELD)
        count = forward_yield(hub, thread, count);
    ml_strand_exit(hub);
}

void ml_strand_body(struct ml_strand *strand)
{
    if (*ml_lua_mark(ml_thread_of(strand)) & ML_MARK_GREENLET)
        ml_lua_of(ml_thread_of(strand))->task_hooks.greenlet->body(strand);
    else
        generator_body(strand);
}

int ml_generator_close(lua_State *thread)
{
    struct ml_strand *strand = ml_strand_of(thread);
    if (ml_strand_state(strand) == ML_STRAND_SUSPENDED)
        ml_strand_drop(&ml_lua_of(thread)->hub, strand);
    return lua_resetthread(thread);
}
