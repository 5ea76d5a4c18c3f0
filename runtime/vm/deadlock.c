/* The report when no event can wake the tasks of a runtime: the wait of each, and its place. Tasks
 * that wait alike share an entry. */
#include "vm/deadlock.h"

#include "base/buffer.h"
#include "bindings/inspect/group_text.h"
#include "bindings/inspect/task_groups.h"
#include "bindings/inspect/task_walk.h"
#include "vm/moonlet_state.h"

#include <stdio.h>
#include <string.h>

/* The most entries. */
enum { MOST_ENTRIES = 20 };

/* The text of one entry. Without memory for it nothing more is taken. */
static void append(void *context, const char *text, size_t size)
{
    struct ml_buffer *entry = context;
    if (ml_buffer_reserve(entry, size + 1) != 0)
        return;
    memcpy(ml_buffer_end(entry), text, size);
    ml_buffer_commit(entry, size);
    *ml_buffer_end(entry) = '\0';
}

static void tell_entry(struct moonlet *m, struct ml_buffer *entry)
{
    size_t size = ml_buffer_size(entry);
    if (size > 0 && entry->memory[entry->end - 1] == '\n')
        entry->memory[entry->end - 1] = '\0';
    m->lua.report.tell(&m->lua, ml_buffer_data(entry));
    ml_buffer_consume(entry, size);
}

/* Stack: the runtime, a buffer for texts, both as light userdata. */
static int tell_all(lua_State *L)
{
    struct moonlet *m = lua_touserdata(L, 1);
    struct ml_buffer *entry = lua_touserdata(L, 2);
    struct ml_text_sink sink = {append, entry};
    struct ml_task_walk walk = ml_task_walk(L, ML_WALK_SLICE);
    struct ml_task_groups groups = ml_task_groups_push(L, MOST_ENTRIES, true);
    struct ml_lua_task *task;
    while ((task = ml_task_walk_next(&walk)) != NULL)
        ml_task_groups_add(L, &groups, task, (struct ml_dump_place){.running = NULL});
    for (lua_Integer i = 1; lua_rawgeti(L, groups.list, i) == LUA_TTABLE; i++) {
        ml_group_report_write(L, lua_gettop(L), &sink);
        tell_entry(m, entry);
        lua_settop(L, groups.names);
    }
    if (groups.left > 0)
        ml_text_write(&sink, "%lld more task%s not told here", (long long)groups.left,
                      groups.left == 1 ? " is" : "s are");
    if (groups.left > 0)
        tell_entry(m, entry);
    return 0;
}

static void tell_waits(struct moonlet *m)
{
    lua_State *L = m->lua.aside;
    struct ml_buffer entry = {0};
    int top = lua_gettop(L);
    lua_pushcfunction(L, tell_all);
    lua_pushlightuserdata(L, m);
    lua_pushlightuserdata(L, &entry);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK)
        m->lua.report.tell(&m->lua, "not enough memory to tell what they wait for");
    lua_settop(L, top);
    ml_buffer_release(&entry);
}

void ml_deadlock_report(struct moonlet *m)
{
    char text[128];
    snprintf(text, sizeof text, "deadlock: %u task%s, all waiting, and nothing can wake one",
             m->lua.hub.tasks.alive, m->lua.hub.tasks.alive == 1 ? "" : "s");
    m->lua.report.tell(&m->lua, text);
    tell_waits(m);
}
