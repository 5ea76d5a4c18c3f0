/*** @submodule moonlet.process */
#include "bindings/process/process.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/cancellation.h"
#include "bindings/core/failure.h"
#include "bindings/core/lua_runtime.h"
#include "bindings/core/object.h"
#include "bindings/net/stream_object.h"
#include "bindings/process/child_files.h"
#include "bindings/process/child_object.h"
#include "io/pipe.h"
#include "system/file/call.h"
#include "system/process/spawn.h"
#include "system/process/user.h"
#include "system/signal/signal_name.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/*
 * core.spawn(start): stdlib/moonlet/process.lua has checked the names and types of the fields.
 *
 *     paths, arguments: lists; environment: a list of "NAME=value", or nil; directory
 *     files: a list of three (bindings/process/child_files.h); rows, columns: of a terminal
 *     group: "same", "new" or "session"; memory, cpu, files: limits
 *     user, user_group, user_groups: numbers, and a list of them
 *     kill_after: seconds; detached; text: the command, for people
 *
 * Returns the object, its pid and the streams stdin, stdout, stderr and pty; or nil, the name of
 * the step that failed, the error's text and name, and the index of the path.
 */
enum { START = 1 };

static const char *const steps[] = {[ML_SPAWN_PROCESS] = "process",
                                    [ML_SPAWN_GROUP] = "group",
                                    [ML_SPAWN_FILES] = "files",
                                    [ML_SPAWN_TERMINAL] = "pty",
                                    [ML_SPAWN_LIMIT] = "limit",
                                    [ML_SPAWN_USER] = "user",
                                    [ML_SPAWN_DIRECTORY] = "cwd",
                                    [ML_SPAWN_PROGRAM] = "program",
                                    [ML_SPAWN_INTERPRETER] = "interpreter"};

/* The field, a list of strings, as C has it: in a userdata that is pushed, and points into strings
 * of the list. NULL: there is no such field. */
static const char *const *push_strings(lua_State *L, const char *field)
{
    if (lua_getfield(L, START, field) == LUA_TNIL)
        return NULL;
    size_t count = lua_rawlen(L, -1);
    const char **strings = lua_newuserdatauv(L, (count + 1) * sizeof *strings, 0);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, -2, (lua_Integer)i + 1);
        strings[i] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    strings[count] = NULL;
    return strings;
}

static lua_Integer integer_field(lua_State *L, const char *field, lua_Integer otherwise)
{
    lua_getfield(L, START, field);
    lua_Integer value = luaL_optinteger(L, -1, otherwise);
    lua_pop(L, 1);
    return value;
}

static const char *string_field(lua_State *L, const char *field)
{
    lua_getfield(L, START, field);
    const char *value = lua_tostring(L, -1);
    lua_pop(L, 1);
    return value;
}

static uint64_t limit_field(lua_State *L, const char *field)
{
    return (uint64_t)integer_field(L, field, (lua_Integer)ML_SPAWN_NO_LIMIT);
}

static enum ml_spawn_group group_field(lua_State *L)
{
    static const char *const names[] = {"same", "new", "session", NULL};
    lua_getfield(L, START, "group");
    int group = luaL_checkoption(L, -1, "new", names);
    lua_pop(L, 1);
    return (enum ml_spawn_group)group;
}

/* Pushes the user's groups. NULL: the option is absent. */
static const struct ml_spawn_user *push_user(lua_State *L, struct ml_spawn_user *user)
{
    lua_Integer id = integer_field(L, "user", -1);
    if (id < 0 || lua_getfield(L, START, "user_groups") != LUA_TTABLE)
        return NULL;
    size_t count = lua_rawlen(L, -1);
    gid_t *groups = lua_newuserdatauv(L, (count + 1) * sizeof *groups, 0);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, -2, (lua_Integer)i + 1);
        groups[i] = (gid_t)lua_tointeger(L, -1);
        lua_pop(L, 1);
    }
    *user = (struct ml_spawn_user){.user = (uid_t)id,
                                   .group = (gid_t)integer_field(L, "user_group", 0),
                                   .groups = groups,
                                   .count = count};
    return user;
}

static ml_time kill_after_field(lua_State *L)
{
    lua_getfield(L, START, "kill_after");
    ml_time span = ml_time_from_seconds(lua_tonumber(L, -1));
    lua_pop(L, 1);
    return span;
}

/* Describes the child, all but its files. Pushes what the description points to. */
static void push_description(lua_State *L, struct ml_spawn *what, struct ml_spawn_user *user)
{
    *what = (struct ml_spawn){.paths = push_strings(L, "paths"),
                              .arguments = push_strings(L, "arguments"),
                              .environment = push_strings(L, "environment"),
                              .directory = string_field(L, "directory"),
                              .group = group_field(L),
                              .limits = {.memory = limit_field(L, "memory"),
                                         .cpu = limit_field(L, "cpu"),
                                         .files = limit_field(L, "descriptors")},
                              .user = push_user(L, user)};
    if (what->environment == NULL)
        what->environment = (const char *const *)environ;
}

static int push_start_failure(lua_State *L, int error, const struct ml_spawned *spawned)
{
    luaL_pushfail(L);
    lua_pushstring(L, steps[spawned->step]);
    lua_pushstring(L, ml_error_text(error));
    lua_pushstring(L, ml_error_name(error));
    lua_pushinteger(L, (lua_Integer)spawned->path + 1);
    return 5;
}

/* Starts the child with these files. 0 or a negated errno. */
static int start(struct ml_lua *lua, struct ml_spawn *what, struct ml_child_files *files,
                 ml_time kill_after, bool is_detached, struct ml_child **child,
                 struct ml_spawned *spawned)
{
    *spawned = (struct ml_spawned){.step = ML_SPAWN_FILES};
    int error = ml_child_files_open(files);
    if (error != 0)
        return error;
    for (int i = 0; i < ML_STANDARD_FILES; i++)
        what->files[i] = files->files[i].fd;
    what->terminal = files->terminal;
    error = ml_child_start(&lua->children, what, kill_after, is_detached, child, spawned);
    if (error == 0)
        ml_child_files_hand_over(files);
    else
        ml_child_files_undo(files);
    return error;
}

static int process_spawn(lua_State *L)
{
    struct ml_spawn what;
    struct ml_spawn_user user;
    struct ml_child_files files;
    struct ml_spawned spawned;
    luaL_checktype(L, START, LUA_TTABLE);
    luaL_checkstack(L, 40, NULL);
    lua_settop(L, START);
    push_description(L, &what, &user);
    lua_getfield(L, START, "files");
    ml_child_files_read(L, lua_gettop(L), &files);
    files.rows = (unsigned short)integer_field(L, "rows", 0);
    files.columns = (unsigned short)integer_field(L, "columns", 0);
    ml_time kill_after = kill_after_field(L);
    bool is_detached = lua_getfield(L, START, "detached") != LUA_TNIL && lua_toboolean(L, -1);
    struct ml_child_object *object = ml_push_child_object(L);
    lua_getfield(L, START, "text");
    lua_setiuservalue(L, -2, 1);
    lua_pushnil(L); /* the pid's place */
    ml_child_files_push_streams(L, &files);
    what.may_wait = ml_blocking_begin_quietly(L);
    int error =
        start(ml_lua_of(L), &what, &files, kill_after, is_detached, &object->child, &spawned);
    if (what.may_wait)
        ml_blocking_finish(L);
    if (error == -ECANCELED)
        ml_cancellation_raise(L);
    if (error != 0)
        return push_start_failure(L, error, &spawned);
    object->pid = spawned.pid;
    lua_pushinteger(L, spawned.pid);
    lua_replace(L, -6);
    return 6;
}

/* core.resize(pty, rows, columns) -> true; or nil, message, code. The kernel tells the child. */
static int process_resize(lua_State *L)
{
    struct ml_stream *s = ml_check_stream(L, 1);
    struct winsize size = {.ws_row = (unsigned short)luaL_checkinteger(L, 2),
                           .ws_col = (unsigned short)luaL_checkinteger(L, 3)};
    bool is_done = ml_stream_is_pty(s) && ioctl(s->fd.number, TIOCSWINSZ, &size) == 0;
    return ml_push_outcome(L, is_done ? 0 : ml_stream_is_open(s) ? -errno : -ML_ECLOSED);
}

static void push_groups(lua_State *L, const struct ml_user *user)
{
    lua_createtable(L, user->count, 0);
    for (int i = 0; i < user->count; i++) {
        lua_pushinteger(L, user->groups[i]);
        lua_rawseti(L, -2, i + 1);
    }
}

/* core.find_user(name) -> user, group, groups as numbers; or nil, message, code. May wait. */
static int process_find_user(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    struct ml_user *user = lua_newuserdatauv(L, sizeof *user, 0);
    struct ml_lua *lua = ml_blocking_begin(L);
    int error = ml_blocking_end(L, ml_user_find(&lua->hub, name, user));
    if (error != 0)
        return ml_push_failure(L, error);
    lua_pushinteger(L, user->user);
    lua_pushinteger(L, user->group);
    push_groups(L, user);
    return 3;
}

/* core.signal_number(name) -> integer; nil: there is no such signal. */
static int process_signal_number(lua_State *L)
{
    size_t length;
    const char *name = luaL_checklstring(L, 1, &length);
    int number = ml_signal_number(name, length);
    if (number == 0)
        return 0;
    lua_pushinteger(L, number);
    return 1;
}

/* core.environment() -> a list of "NAME=value". */
static int process_environment(lua_State *L)
{
    lua_newtable(L);
    for (lua_Integer i = 0; environ != NULL && environ[i] != NULL; i++) {
        lua_pushstring(L, environ[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int make_is_program(struct ml_file_call *call)
{
    return ml_program_is_at(call->path);
}

static bool is_program_far(lua_State *L, const char *path)
{
    struct ml_hub *hub = &ml_blocking_begin(L)->hub;
    struct ml_file_call *call = ml_file_call_new(make_is_program, false, path, NULL, NULL, 0);
    int result = ml_blocking_end(L, call != NULL ? ml_file_call_run(hub, &call) : -ENOMEM);
    ml_file_call_free(call);
    return result > 0;
}

/* core.is_program(path) -> boolean: whether this process may run the file. A worker asks a disk
 * that may have to ask its server. */
static int process_is_program(lua_State *L)
{
    struct statx status;
    const char *path = luaL_checkstring(L, 1);
    int error = ml_quick_stat(path, true, &status);
    bool is_far = error == -EAGAIN ||
                  (error == 0 && !ml_disks_ask(&ml_lua_of(L)->children.disks, path, &status));
    lua_pushboolean(L, is_far ? is_program_far(L, path) : error == 0 && ml_program_is_at(path));
    return 1;
}

static const luaL_Reg functions[] = {{"spawn", process_spawn},
                                     {"resize", process_resize},
                                     {"find_user", process_find_user},
                                     {"signal_number", process_signal_number},
                                     {"environment", process_environment},
                                     {"is_program", process_is_program},
                                     {NULL, NULL}};

int ml_open_process(lua_State *L)
{
    ml_open_child_type(L);
    luaL_newlib(L, functions);
    return 1;
}
