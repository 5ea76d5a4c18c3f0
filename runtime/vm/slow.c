#include "vm/slow.h"

#include "bindings/core/lua_task.h"
#include "bindings/core/task_view.h"
#include "bindings/core/traceback.h"
#include "vm/moonlet_state.h"
#include "vm/native_stack.h"

#include <stdio.h>
#include <string.h>

/* The most warnings in a span. */
enum { MOST = 10 };
#define SPAN (60 * ML_SECOND)

/* ---- in the handler ---- */

static bool was_told(const struct ml_slow *slow, const struct ml_task *task)
{
    return slow->task == task->id && slow->switches == task->switches;
}

/* A task that is alone keeps no other waiting. */
bool ml_slow_look(struct moonlet *m, struct ml_task *task, ml_time computed, ml_time *next)
{
    struct ml_slow *slow = &m->slow;
    *next = ML_FOREVER;
    if (slow->limit == ML_FOREVER || was_told(slow, task))
        return false;
    if (computed < slow->limit || m->lua.hub.tasks.alive < 2) {
        ml_time rest = computed < slow->limit ? slow->limit - computed : slow->limit;
        *next = ml_time_after(ml_clock_now(), rest);
        return false;
    }
    slow->task = task->id;
    slow->switches = task->switches;
    slow->computed = computed;
    slow->frame_count = ml_native_stack_here(slow->frames, ML_NATIVE_FRAMES);
    return true;
}

/* ---- in the hook ---- */

/* The innermost function of the native stack that has a name. Lua's own do not count: they are in
 * the library of this function, or have names of its public interface. */
static bool describe_native(const struct ml_slow *slow, char *text, size_t size)
{
    bool is_found = false;
    for (int i = 0; i < slow->frame_count && !is_found; i++)
        is_found =
            ml_native_stack_describe(slow->frames[i], text, size) && strncmp(text, "lua", 3) != 0;
    return is_found;
}

/* A C function that returns has computed until now. */
static void add_native(luaL_Buffer *text, const struct ml_slow *slow, bool is_c)
{
    char name[128];
    if (!is_c || !describe_native(slow, name, sizeof name))
        return;
    luaL_addstring(text, ", in ");
    luaL_addstring(text, name);
}

static void add_left_out(luaL_Buffer *text, struct ml_slow *slow)
{
    if (slow->left_out == 0)
        return;
    lua_pushfstring(text->L, "\n(%d more such warnings were left out)", (int)slow->left_out);
    luaL_addvalue(text);
    slow->left_out = 0;
}

/* Stack: the runtime, the event, both light. Returns the text. */
static int compose(lua_State *aside)
{
    struct moonlet *m = lua_touserdata(aside, 1);
    const lua_Debug *event = lua_touserdata(aside, 2);
    struct ml_lua_task *task = ml_lua_task_of(m->lua.hub.current);
    luaL_Buffer text;
    ml_lua_push_task(aside, task);
    ml_lua_push_task_text(aside, 3);
    lua_pushfstring(aside, "%s has computed for %d ms while other tasks could not run",
                    lua_tostring(aside, -1), (int)(m->slow.computed / ML_MILLISECOND));
    luaL_buffinit(aside, &text);
    lua_pushvalue(aside, 5);
    luaL_addvalue(&text);
    add_native(&text, &m->slow, event->what != NULL && *event->what == 'C');
    luaL_pushresult(&text);
    ml_lua_push_traceback_at(aside, task, lua_tostring(aside, -1), 0);
    luaL_buffinit(aside, &text);
    lua_pushvalue(aside, 7);
    luaL_addvalue(&text);
    add_left_out(&text, &m->slow);
    luaL_pushresult(&text);
    return 1;
}

static void write_warning(struct moonlet *m, const char *text)
{
    if (m->options.warn != NULL)
        m->options.warn(m->options.warn_context, text, 0);
    else
        ml_warnings_tell(&m->warnings, text);
}

/* Whether one more may be written now. */
static bool is_within_span(struct ml_slow *slow)
{
    ml_time now = ml_clock_now();
    if (slow->span_began == 0 || now - slow->span_began >= SPAN) {
        slow->span_began = now;
        slow->written = 0;
    }
    return slow->written++ < MOST;
}

/* Without memory for the text there is none. */
void ml_slow_tell(struct moonlet *m, lua_State *L, lua_Debug *event)
{
    lua_State *aside = m->lua.aside;
    m->lua.tasks.slow++;
    if (!is_within_span(&m->slow)) {
        m->slow.left_out++;
        return;
    }
    if (!lua_getinfo(L, "S", event) || !lua_checkstack(aside, 4))
        return;
    lua_pushcfunction(aside, compose);
    lua_pushlightuserdata(aside, m);
    lua_pushlightuserdata(aside, event);
    if (lua_pcall(aside, 2, 1, 0) == LUA_OK)
        write_warning(m, lua_tostring(aside, -1));
    lua_pop(aside, 1);
}

void ml_slow_close(struct moonlet *m)
{
    char text[64];
    if (m->slow.left_out == 0)
        return;
    snprintf(text, sizeof text, "%u more warnings of slow tasks were left out", m->slow.left_out);
    m->slow.left_out = 0;
    write_warning(m, text);
}
