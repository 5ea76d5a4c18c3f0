/* The report when no event can wake the tasks of a runtime: the wait of each, and its place. Tasks
 * that wait alike share an entry. */
#include "vm/deadlock.h"

#include "bindings/core/lua_task.h"
#include "bindings/core/task_view.h"
#include "bindings/core/traceback.h"
#include "hub/on/sync_primitives.h"
#include "vm/moonlet_state.h"

#include <stdio.h>

/* The most entries, and the most tasks examined: 10 us each. */
enum { MOST_ENTRIES = 20, MOST_TASKS = 10000 };

/* The most tasks of an entry that are named. */
enum { MOST_NAMES = 5 };

/* An entry: a table {count, names, rest}; the rest is the text that its tasks share. */
enum { COUNT = 1, NAMES = 2, REST = 3 };

/* The stack of compose(). */
enum { ENTRIES = 2, PLACES = 3 };

/* Pushes what a task waits for and where, without its name. */
static void push_rest(lua_State *L, struct ml_lua_task *task)
{
    lua_pushfstring(L, " for %s", task->task.waits_for->text);
    if (task->task.waits_on > 0)
        lua_pushfstring(L, " #%I", (LUAI_UACINT)task->task.waits_on);
    else
        lua_pushliteral(L, "");
    lua_concat(L, 2);
    ml_lua_push_traceback(L, task, lua_tostring(L, -1));
    lua_remove(L, -2);
}

/* Stack: a rest, which is popped. Pushes its entry, a new one if there is none yet; nil: there are
 * too many. */
static void find_entry(lua_State *L)
{
    lua_Integer count = (lua_Integer)lua_rawlen(L, ENTRIES);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, PLACES) != LUA_TNIL || count == MOST_ENTRIES) {
        lua_remove(L, -2);
        return;
    }
    lua_pop(L, 1);
    lua_createtable(L, 3, 0);
    lua_pushinteger(L, 0);
    lua_rawseti(L, -2, COUNT);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, REST);
    lua_pushvalue(L, -1);
    lua_rawseti(L, ENTRIES, count + 1);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, PLACES);
    lua_remove(L, -2);
}

/* Stack: an entry, the text that names one more of its tasks; the text is popped. */
static void add_name(lua_State *L)
{
    int entry = lua_gettop(L) - 1;
    lua_rawgeti(L, entry, COUNT);
    lua_Integer count = lua_tointeger(L, -1) + 1;
    lua_pop(L, 1);
    lua_pushinteger(L, count);
    lua_rawseti(L, entry, COUNT);
    if (count > 1 && count <= MOST_NAMES) {
        lua_rawgeti(L, entry, NAMES);
        lua_insert(L, -2);
        lua_pushliteral(L, ", ");
        lua_insert(L, -2);
        lua_concat(L, 3);
    }
    if (count <= MOST_NAMES)
        lua_rawseti(L, entry, NAMES);
    lua_settop(L, entry);
}

/* Adds the task to an entry; whether there was room. */
static bool enter(lua_State *L, struct ml_lua_task *task)
{
    push_rest(L, task);
    find_entry(L);
    bool has_entry = !lua_isnil(L, -1);
    if (has_entry) {
        ml_lua_push_task(L, task);
        ml_lua_push_task_text(L, lua_gettop(L));
        lua_remove(L, -2);
        add_name(L);
    }
    lua_settop(L, PLACES);
    return has_entry;
}

/* Pushes the text of the entry on top of the stack. */
static void push_entry_text(lua_State *L)
{
    int entry = lua_gettop(L);
    lua_rawgeti(L, entry, COUNT);
    lua_Integer count = lua_tointeger(L, -1);
    lua_pop(L, 1);
    lua_rawgeti(L, entry, NAMES);
    if (count > MOST_NAMES)
        lua_pushfstring(L, " and %I more", (LUAI_UACINT)(count - MOST_NAMES));
    else
        lua_pushliteral(L, "");
    lua_pushstring(L, count > 1 ? " wait" : " waits");
    lua_rawgeti(L, entry, REST);
    lua_concat(L, 4);
}

/* Stack: the runtime as light userdata -> a list of texts. */
static int compose(lua_State *L)
{
    struct moonlet *m = lua_touserdata(L, 1);
    struct ml_task *task;
    lua_Integer others = 0, seen = 0;
    lua_newtable(L);
    lua_newtable(L);
    for (uint32_t slot = 0; (task = ml_hub_next_task(&m->lua.hub, &slot)) != NULL;)
        if (seen++ >= MOST_TASKS || !enter(L, ml_lua_task_of(task)))
            others++;
    lua_Integer count = (lua_Integer)lua_rawlen(L, ENTRIES);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, ENTRIES, i);
        push_entry_text(L);
        lua_rawseti(L, ENTRIES, i);
        lua_settop(L, PLACES);
    }
    if (others > 0) {
        lua_pushfstring(L, "%I more task%s not told here", (LUAI_UACINT)others,
                        others == 1 ? " is" : "s are");
        lua_rawseti(L, ENTRIES, count + 1);
    }
    lua_settop(L, ENTRIES);
    return 1;
}

static void tell_waits(struct moonlet *m)
{
    lua_State *L = m->lua.aside;
    int top = lua_gettop(L);
    lua_pushcfunction(L, compose);
    lua_pushlightuserdata(L, m);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK)
        for (int i = 1; lua_rawgeti(L, top + 1, i) == LUA_TSTRING; i++) {
            m->lua.report.tell(&m->lua, lua_tostring(L, -1));
            lua_pop(L, 1);
        }
    else
        m->lua.report.tell(&m->lua, "not enough memory to tell what they wait for");
    lua_settop(L, top);
}

void ml_deadlock_report(struct moonlet *m)
{
    char text[128];
    snprintf(text, sizeof text, "deadlock: %u task%s, all waiting, and nothing can wake one",
             m->lua.hub.tasks.alive, m->lua.hub.tasks.alive == 1 ? "" : "s");
    m->lua.report.tell(&m->lua, text);
    ml_mutex_note_owners(&m->lua.hub);
    tell_waits(m);
}
