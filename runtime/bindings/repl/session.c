/***
The session of the interactive mode: Ctrl-C ends an entry and not the program. Internal.

@module moonlet.repl.session
*/
#include "bindings/repl/session.h"

#include "bindings/core/cancellation.h"
#include "bindings/core/lua_runtime.h"
#include "bindings/core/lua_task.h"
#include "bindings/core/story.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool ml_session_interrupt(struct ml_session *s)
{
    if (!s->is_open || s->phase == ML_SESSION_NONE)
        return false;
    s->is_interrupted = true;
    ml_scope_cancel(s->scope);
    return true;
}

static struct ml_hub *check_hub(lua_State *L)
{
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    if (hub->current == NULL)
        luaL_error(L, "no task is running");
    return hub;
}

/***
Calls fn() as the session of the program: until it ends, Ctrl-C is for the function that run()
calls.
@function hold
@tparam function fn
*/
static int session_hold(lua_State *L)
{
    struct ml_session *s = ml_lua_of(L)->session, outer = *s;
    intptr_t count = ml_cancellation_count(L);
    lua_settop(L, 1);
    *s = (struct ml_session){.task = check_hub(L)->current, .is_open = true};
    int status = lua_pcall(L, 0, 0, 0);
    s->is_open = false;
    *s = outer;
    if (status == LUA_OK)
        return 0;
    ml_cancellation_rethrow(L, count);
    return lua_error(L);
}

static void begin(struct ml_session *s, struct ml_scope *scope, enum ml_session_phase phase)
{
    s->scope = scope;
    s->is_interrupted = false;
    s->phase = phase;
}

static int run(lua_State *L, enum ml_session_phase phase)
{
    struct ml_hub *hub = check_hub(L);
    struct ml_session *s = ml_lua_of(L)->session, outer = *s;
    intptr_t count = ml_cancellation_count(L);
    struct ml_scope *scope = ml_scope_open(hub, ML_SCOPE_PLAIN, ML_FOREVER);
    if (scope == NULL)
        return luaL_error(L, "not enough memory");
    begin(s, scope, phase);
    ml_story_forget(L); /* errors of earlier entries may have had the same text */
    int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    s->phase = outer.phase;
    s->scope = outer.scope;
    struct ml_scope_end end = ml_scope_close(hub, scope);
    lua_pushboolean(L, status == LUA_OK);
    lua_insert(L, 1);
    if (status == LUA_OK)
        return lua_gettop(L);
    bool is_cancellation = ml_cancellation_is_raised(L, count);
    ml_cancellation_rethrow(L, count);
    if (!end.cancelled || !is_cancellation)
        return lua_error(L);
    lua_settop(L, 1);
    return 1;
}

/***
Calls fn(...), which Ctrl-C ends: code that computes gets the error "interrupted!", a wait is
cancelled.
@function run
@tparam function fn
@param ... its arguments
@treturn boolean false: it was cancelled; other errors are raised
@return fn's results
*/
static int session_run(lua_State *L)
{
    return run(L, ML_SESSION_ENTRY);
}

/***
The same for reading a line: each Ctrl-C cancels it.
@function ask
*/
static int session_ask(lua_State *L)
{
    return run(L, ML_SESSION_PROMPT);
}

/***
Makes a directory for its owner alone.
@function make_directory
@string path
*/
static int session_make_directory(lua_State *L)
{
    mkdir(luaL_checkstring(L, 1), S_IRWXU);
    return 0;
}

/* Stack: the directory as light userdata -> the names. */
static int collect_names(lua_State *L)
{
    DIR *directory = lua_touserdata(L, 1);
    const struct dirent *entry;
    int count = 0;
    lua_newtable(L);
    while ((entry = readdir(directory)) != NULL) {
        lua_pushstring(L, entry->d_name);
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

/***
The names in a directory.
@function list_directory
@string path
@treturn {string,...} nil: it cannot be read
*/
static int session_list_directory(lua_State *L)
{
    DIR *directory = opendir(luaL_checkstring(L, 1));
    if (directory == NULL)
        return 0;
    lua_pushcfunction(L, collect_names);
    lua_pushlightuserdata(L, directory);
    int status = lua_pcall(L, 1, 1, 0);
    closedir(directory);
    return status == LUA_OK ? 1 : lua_error(L);
}

/***
Returns the story of an error: its traceback, after the one of the task that raised it.
@function complete
@param err
@string traceback where it reached the prompt
@treturn string
*/
static int session_complete(lua_State *L)
{
    luaL_checkstring(L, 2);
    lua_settop(L, 2);
    ml_lua_push_task(L, ml_lua_task_of(check_hub(L)->current));
    lua_insert(L, 2);
    ml_story_complete(L, 2, 1);
    return 1;
}

/***
Returns how many other tasks the program would wait for at its end.
@function others
@treturn integer
*/
static int session_others(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)check_hub(L)->tasks.foreground - 1);
    return 1;
}

/***
Whether a person sits at standard input and output, on a terminal that can do more than a printer.
@function is_terminal
@treturn boolean
*/
static int session_is_terminal(lua_State *L)
{
    const char *kind = getenv("TERM");
    bool can_move = kind != NULL && *kind != '\0' && strcmp(kind, "dumb") != 0;
    lua_pushboolean(L, can_move && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO));
    return 1;
}

int ml_open_session(lua_State *L)
{
    static const luaL_Reg functions[] = {{"hold", session_hold},
                                         {"run", session_run},
                                         {"ask", session_ask},
                                         {"make_directory", session_make_directory},
                                         {"list_directory", session_list_directory},
                                         {"is_terminal", session_is_terminal},
                                         {"others", session_others},
                                         {"complete", session_complete},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
