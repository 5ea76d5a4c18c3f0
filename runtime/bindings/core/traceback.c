#include "bindings/core/traceback.h"

#include "bindings/core/lua_runtime.h"
#include "bindings/core/lua_strand.h"
#include "bindings/core/task_threads.h"

#include <lauxlib.h>
#include <string.h>

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

/* As luaL_traceback(), without the frames that the runtime has put below a thread's function. */
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
    struct ml_task_threads threads =
        ml_task_threads(task, ml_thread_of(task->task.strand) == L ? L : task->parked_on);
    push_frames(L, ml_task_threads_next(&threads), message, level);
    for (lua_State *thread; (thread = ml_task_threads_next(&threads)) != NULL;) {
        lua_pushliteral(L, "\nresumed from ");
        push_frames(L, thread, NULL, 0);
        lua_concat(L, 3);
    }
    if (task->source_line != 0) {
        lua_pushfstring(L, "\nspawned at %s",
                        ml_source_line_text(&ml_lua_of(L)->source_lines, task->source_line));
        lua_concat(L, 2);
    }
}
