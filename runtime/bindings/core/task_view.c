#include "bindings/core/task_view.h"

#include "base/error.h"
#include "bindings/core/story.h"

#include <errno.h>
#include <string.h>

/* Pushes the results of the Task at `handle`, which ended well with at least one; returns how many.
 */
static int push_results(lua_State *L, int handle, int count)
{
    luaL_checkstack(L, count + 2, "too many results");
    lua_getiuservalue(L, handle, ML_TASK_RESULTS);
    if (count == 1)
        return 1;
    int table = lua_gettop(L);
    for (int i = 1; i <= count; i++)
        lua_rawgeti(L, table, i);
    lua_remove(L, table);
    return count;
}

void ml_lua_task_push_value(lua_State *L, int handle)
{
    lua_getiuservalue(L, handle, ML_TASK_RESULTS);
}

void ml_lua_task_push_group(lua_State *L, int handle)
{
    lua_getiuservalue(L, handle, ML_TASK_GROUP);
}

int ml_lua_task_push_end(lua_State *L, int handle)
{
    const struct ml_lua_task *task = lua_touserdata(L, handle);
    handle = lua_absindex(L, handle);
    if (task->outcome == ML_OUTCOME_DONE) {
        lua_pushboolean(L, 1);
        return 1 + (task->result_count > 0 ? push_results(L, handle, task->result_count) : 0);
    }
    bool has_failed = task->outcome == ML_OUTCOME_FAILED;
    luaL_pushfail(L);
    if (has_failed) {
        lua_getiuservalue(L, handle, ML_TASK_RESULTS);
        ml_story_pass(L, handle);
    } else {
        lua_pushstring(L, ml_error_text(ECANCELED));
    }
    lua_pushstring(L, ml_error_name(has_failed ? ML_EFAILED : ECANCELED));
    return 3;
}

const char *ml_lua_push_task_name(lua_State *L, int handle)
{
    const struct ml_lua_task *task = lua_touserdata(L, handle);
    if (!task->is_named)
        lua_pushnil(L);
    else
        lua_getiuservalue(L, handle, ml_task_name_value(task->is_member));
    return lua_tostring(L, -1);
}

void ml_lua_push_task_text(lua_State *L, int handle)
{
    struct ml_lua_task *task = lua_touserdata(L, handle);
    const char *name = ml_lua_push_task_name(L, handle);
    if (name != NULL)
        lua_pushfstring(L, "task '%s' (#%I)", name, (LUAI_UACINT)task->task.id);
    else
        lua_pushfstring(L, "task #%I", (LUAI_UACINT)task->task.id);
    lua_remove(L, -2);
}

void ml_strip_bottom_frame(lua_State *L)
{
    static const char bottom[] = "\n\t[C]: in ?";
    size_t length, cut = sizeof bottom - 1;
    const char *text = lua_tolstring(L, -1, &length);
    if (length < cut || memcmp(text + length - cut, bottom, cut) != 0)
        return;
    lua_pushlstring(L, text, length - cut);
    lua_replace(L, -2);
}

/* As luaL_traceback(), without what the runtime has put below a thread's function. */
static void push_frames(lua_State *L, lua_State *thread, const char *message, int level)
{
    luaL_traceback(L, thread, message, level);
    if (ml_unlikely(ml_lua_of(L)->watch_thread != NULL))
        ml_strip_bottom_frame(L);
}

void ml_lua_push_traceback(lua_State *L, struct ml_lua_task *task, const char *message)
{
    ml_lua_push_traceback_at(L, task, message, ml_thread_of(task->task.strand) == L);
}

void ml_lua_push_traceback_at(lua_State *L, struct ml_lua_task *task, const char *message,
                              int level)
{
    luaL_checkstack(L, 6, NULL);
    struct ml_strand *strand = task->task.strand;
    lua_State *innermost = ml_thread_of(strand) == L ? L : task->parked_on;
    push_frames(L, innermost, message, level);
    bool is_on_top = ml_thread_of(strand) == innermost;
    for (strand = is_on_top ? strand->resumer : strand; strand != NULL; strand = strand->resumer) {
        lua_pushliteral(L, "\nresumed from ");
        push_frames(L, ml_thread_of(strand), NULL, 0);
        lua_concat(L, 3);
    }
    if (task->source_line != 0) {
        lua_pushfstring(L, "\nspawned at %s",
                        ml_source_line_text(&ml_lua_of(L)->source_lines, task->source_line));
        lua_concat(L, 2);
    }
}
