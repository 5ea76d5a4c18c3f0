#include "bindings/core/story.h"

#include "bindings/core/cancellation.h"
#include "bindings/core/lua_runtime.h"
#include "bindings/core/task_attribute.h"
#include "bindings/core/task_view.h"
#include "bindings/core/traceback.h"

#include <string.h>

/* For one task: enough for the children of a usual task.map(). */
enum { MOST_STORIES = 64 };

/* A story that has gone through many tasks is cut to so many bytes. */
enum { LONGEST = 16 * 1024 };

/* One story: a table {value, text}, weak in both; the collector never clears a text, which is no
 * object. */
enum { VALUE = 1, TEXT = 2 };

/* Key in the registry of the metatable of stories. */
static const char story_key;

/* ---- of a task that fails ---- */

/* Whether the calls in `traceback` are the outer ones of those in `story`, which was taken further
 * inside. */
static bool is_part(const char *story, const char *traceback)
{
    const char *calls = strchr(traceback, '\n');
    size_t length = calls != NULL ? strlen(calls) : 0, whole = strlen(story);
    return length > 0 && length <= whole && strcmp(story + whole - length, calls) == 0;
}

/* Whether the story is about other calls than the task's own: it begins with the name of a task, or
 * of a thread. */
static bool is_handed(const char *story)
{
    return strncmp(story, "in task ", 8) == 0 || strncmp(story, "in thread ", 10) == 0;
}

/* Stack: a story, a traceback, the line that marks a raise in that task -> all of them, in order.
 * An earlier mark of that task is left out. */
static void join(lua_State *L)
{
    int story = lua_gettop(L) - 2;
    const char *text = lua_tostring(L, story), *before = strstr(text, lua_tostring(L, -1));
    lua_pushlstring(L, text, before != NULL ? (size_t)(before - text) : lua_rawlen(L, story));
    lua_replace(L, story);
    lua_pushliteral(L, "\n");
    lua_pushvalue(L, story + 1);
    lua_remove(L, story + 1);
    lua_concat(L, 4);
}

void ml_story_complete(lua_State *L, int task, int error)
{
    int traceback = lua_gettop(L);
    task = lua_absindex(L, task);
    if (ml_story_push(L, task, error)) {
        const char *story = lua_tostring(L, -1);
        lua_insert(L, traceback);
        lua_pushliteral(L, "\nraised again in ");
        ml_lua_push_task_text(L, task);
        lua_pushliteral(L, ":");
        lua_concat(L, 3);
        bool is_own = !is_handed(story) || strstr(story, lua_tostring(L, -1)) != NULL;
        if (is_own && is_part(story, lua_tostring(L, traceback + 1)))
            lua_settop(L, traceback);
        else if (is_handed(story))
            join(L);
        else
            lua_remove(L, traceback);
    }
    lua_settop(L, traceback);
}

int ml_story_keep(lua_State *L)
{
    lua_pushvalue(L, 2);
    ml_attribute_set(L, ML_ATTRIBUTE_ERROR, 1);
    ml_lua_push_traceback_at(L, lua_touserdata(L, 1), NULL, (int)lua_tointeger(L, 3));
    ml_story_complete(L, 1, 2);
    ml_attribute_set(L, ML_ATTRIBUTE_TRACEBACK, 1);
    return 0;
}

int ml_story_take_first(lua_State *L)
{
    lua_settop(L, 2);
    ml_attribute_get(L, ML_ATTRIBUTE_ERROR, 1);
    lua_pushboolean(L, !lua_rawequal(L, 2, 3) && !ml_is_cancellation(L, 2));
    return 2;
}

/* Pushes a line about the end of a task that has not failed, for an error of its closing variables.
 */
static void push_end(lua_State *L, const struct ml_lua_task *task)
{
    bool is_cut = task->run == ML_RUN_FUNCTION;
    bool has_source_line = task->source_line != 0;
    lua_pushfstring(
        L, "in a closing variable, %s%s%s",
        is_cut ? "after the cancellation of the task" : "at the end of the program",
        has_source_line ? "\nspawned at " : "",
        has_source_line ? ml_source_line_text(&ml_lua_of(L)->source_lines, task->source_line) : "");
}

int ml_story_keep_closing(lua_State *L)
{
    struct ml_lua_task *task = lua_touserdata(L, 1);
    if (task->has_traceback) {
        lua_pushliteral(L, "in a closing variable, after ");
        ml_attribute_get(L, ML_ATTRIBUTE_ERROR, 1);
        luaL_tolstring(L, -1, NULL);
        lua_replace(L, -2);
        lua_pushliteral(L, "\n");
        ml_attribute_get(L, ML_ATTRIBUTE_TRACEBACK, 1);
        lua_concat(L, 4);
    } else {
        push_end(L, task);
    }
    ml_attribute_set(L, ML_ATTRIBUTE_TRACEBACK, 1);
    return 0;
}

/* ---- of a task that gets an error ---- */

/* Pushes the stories of the Task at `task`; false and nothing: it has none. */
static bool push_stories(lua_State *L, int task)
{
    bool has = ml_attribute_get(L, ML_ATTRIBUTE_STORIES, task) == LUA_TTABLE;
    if (!has)
        lua_pop(L, 1);
    return has;
}

/* The index of the story of the value at `error` among those on top of the stack, 0: none. */
static lua_Integer find(lua_State *L, int error, bool (*is_same)(lua_State *L, int error))
{
    lua_Integer found = 0;
    for (lua_Integer i = 1; found == 0 && lua_rawgeti(L, -1, i) == LUA_TTABLE; i++) {
        lua_rawgeti(L, -1, VALUE);
        if (is_same(L, error))
            found = i;
        lua_pop(L, 2);
    }
    lua_pop(L, found == 0);
    return found;
}

/* Whether the value on top of the stack is the one at `error`. */
static bool is_equal(lua_State *L, int error)
{
    return lua_rawequal(L, -1, error) && !lua_isnil(L, -1);
}

/* Whether the text at `error` is the one on top of the stack with a prefix, such as a line number.
 */
static bool is_end(lua_State *L, int error)
{
    if (lua_type(L, -1) != LUA_TSTRING || lua_type(L, error) != LUA_TSTRING)
        return false;
    size_t length, whole;
    const char *end = lua_tolstring(L, -1, &length), *text = lua_tolstring(L, error, &whole);
    return length > 0 && whole > length + 1 && text[whole - length - 1] == ' ' &&
           memcmp(text + whole - length, end, length) == 0;
}

bool ml_story_push(lua_State *L, int task, int error)
{
    luaL_checkstack(L, 8, NULL);
    error = lua_absindex(L, error);
    if (!push_stories(L, task)) {
        lua_pushnil(L);
        return false;
    }
    lua_Integer place = find(L, error, is_equal);
    if (place == 0)
        place = find(L, error, is_end);
    lua_rawgeti(L, -1, place);
    if (place != 0)
        lua_rawgeti(L, -1, TEXT);
    lua_replace(L, -2 - (place != 0));
    lua_pop(L, place != 0);
    return place != 0;
}

/* Pushes the stories of the Task at `task`, made if it has none. */
static void need_stories(lua_State *L, int task)
{
    if (push_stories(L, task))
        return;
    lua_newtable(L);
    lua_pushvalue(L, -1);
    ml_attribute_set(L, ML_ATTRIBUTE_STORIES, task);
}

/* Stack: stories, a new one; both are popped. The newest comes first. */
static void add(lua_State *L, lua_Integer place)
{
    int stories = lua_gettop(L) - 1;
    lua_Integer count = (lua_Integer)lua_rawlen(L, stories);
    lua_Integer last = place != 0 ? place : count < MOST_STORIES ? count + 1 : MOST_STORIES;
    for (lua_Integer i = last; i > 1; i--) {
        lua_rawgeti(L, stories, i - 1);
        lua_rawseti(L, stories, i);
    }
    lua_rawseti(L, stories, 1);
    lua_pop(L, 1);
}

/* Pops the text on top of the stack and makes it the story of the error at `error` for the Task at
 * `to`. */
static void hand_over(lua_State *L, int error, int to)
{
    size_t length;
    const char *text = lua_tolstring(L, -1, &length);
    if (length > LONGEST) {
        lua_pushlstring(L, text, LONGEST);
        lua_pushliteral(L, "\n\t...");
        lua_concat(L, 2);
        lua_replace(L, -2);
    }
    need_stories(L, to);
    lua_Integer place = find(L, error, is_equal);
    lua_createtable(L, 2, 0);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &story_key);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, error);
    lua_rawseti(L, -2, VALUE);
    lua_pushvalue(L, -3);
    lua_rawseti(L, -2, TEXT);
    add(L, place);
    lua_pop(L, 1);
}

void ml_story_pass(lua_State *L, int failed)
{
    const struct ml_lua_task *task = lua_touserdata(L, failed);
    struct ml_task *current = ml_lua_of(L)->hub.current;
    if (!task->has_traceback || current == NULL)
        return;
    luaL_checkstack(L, 12, NULL);
    int error = lua_gettop(L);
    failed = lua_absindex(L, failed);
    ml_lua_push_task(L, ml_lua_task_of(current));
    ml_attribute_get(L, ML_ATTRIBUTE_TRACEBACK, failed);
    if (!is_handed(lua_tostring(L, -1))) {
        lua_pushliteral(L, "in ");
        ml_lua_push_task_text(L, failed);
        lua_pushliteral(L, ":\n");
        lua_pushvalue(L, error + 2);
        lua_concat(L, 4);
    }
    hand_over(L, error, error + 1);
    lua_settop(L, error);
}

void ml_story_hand(lua_State *L)
{
    luaL_checkstack(L, 12, NULL);
    int error = lua_gettop(L) - 1;
    ml_lua_push_task(L, ml_lua_task_of(ml_lua_of(L)->hub.current));
    lua_insert(L, error + 1);
    hand_over(L, error, error + 1);
    lua_settop(L, error);
}

/* Stack: the Task that gets the story, or nil for the running one; the error; the level at which it
 * came about. */
static int note(lua_State *L)
{
    struct ml_lua_task *current = ml_lua_task_of(ml_lua_of(L)->hub.current);
    ml_lua_push_task(L, current);
    ml_lua_push_traceback_at(L, current, NULL, (int)lua_tointeger(L, 3));
    ml_story_complete(L, 4, 2);
    if (lua_isnil(L, 1)) {
        lua_pushvalue(L, 4);
        lua_replace(L, 1);
    } else if (!is_handed(lua_tostring(L, -1))) {
        lua_pushliteral(L, "in ");
        ml_lua_push_task_text(L, 4);
        lua_pushliteral(L, ":\n");
        lua_pushvalue(L, 5);
        lua_concat(L, 4);
    }
    hand_over(L, 2, 1);
    return 0;
}

/* The same, unless the newest story of the running task is that of the error. */
static int note_once(lua_State *L)
{
    bool is_known = false;
    ml_lua_push_task(L, ml_lua_task_of(ml_lua_of(L)->hub.current));
    if (push_stories(L, 4) && lua_rawgeti(L, -1, 1) == LUA_TTABLE) {
        lua_rawgeti(L, -1, VALUE);
        is_known = is_equal(L, 2);
    }
    lua_settop(L, 3);
    return is_known ? 0 : note(L);
}

void ml_story_note(struct ml_lua *lua, struct ml_lua_task *task, lua_State *thread, int level)
{
    lua_State *aside = lua->aside;
    if (lua->report.is_composed || ml_is_cancellation(thread, -1))
        return;
    task->parked_on = thread;
    lua_pushcfunction(aside, note_once);
    lua_pushnil(aside);
    lua_pushvalue(thread, -1);
    lua_xmove(thread, aside, 1);
    lua_pushinteger(aside, level);
    if (lua_pcall(aside, 3, 0, 0) != LUA_OK)
        lua_pop(aside, 1);
}

/* Stack: the error. Calls the function protected, which is below itself and this one. */
int ml_story_handler(lua_State *L)
{
    enum { LEVEL = 2 };
    struct ml_lua *lua = ml_lua_of(L);
    lua_settop(L, 1);
    if (lua->hub.current == NULL || lua->report.is_composed || ml_is_cancellation(L, 1))
        return 1;
    lua_pushcfunction(L, note);
    if (lua_isuserdata(L, lua_upvalueindex(1)))
        lua_pushvalue(L, lua_upvalueindex(1));
    else
        lua_pushnil(L);
    lua_pushvalue(L, 1);
    lua_pushinteger(L, LEVEL);
    lua_pcall(L, 3, 0, 0);
    lua_settop(L, 1);
    return 1;
}

int ml_story_noting(lua_State *L)
{
    ml_check_task(L, 1);
    lua_settop(L, 1);
    lua_pushcclosure(L, ml_story_handler, 1);
    return 1;
}

int ml_story_get(lua_State *L)
{
    ml_check_task(L, 1);
    lua_settop(L, 2);
    ml_story_push(L, 1, 2);
    return 1;
}

void ml_story_forget(lua_State *L)
{
    ml_lua_push_task(L, ml_lua_task_of(ml_lua_of(L)->hub.current));
    lua_pushnil(L);
    ml_attribute_set(L, ML_ATTRIBUTE_STORIES, -2);
    lua_pop(L, 1);
}

void ml_story_open(lua_State *L)
{
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &story_key);
}
