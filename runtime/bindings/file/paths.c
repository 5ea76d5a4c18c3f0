/*** @submodule moonlet.fs */
#include "bindings/file/paths.h"

#include "bindings/core/option.h"
#include "bindings/file/arguments.h"
#include "bindings/file/file_call.h"
#include "system/file/copy.h"
#include "system/file/paths.h"
#include "system/file/remove.h"

#include <fcntl.h>
#include <lauxlib.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

/* Begins a call for the path at 1, and for the one at `other` unless that is 0. Its owner is
 * pushed. Raises. */
static struct ml_file_call *begin(lua_State *L, int (*make)(struct ml_file_call *), bool changes,
                                  int other)
{
    const char *path = ml_check_path(L, 1);
    const char *second = other != 0 ? ml_check_path(L, other) : NULL;
    ml_begin_quickly(L);
    return ml_push_file_call(L, make, changes, path, second, NULL, 0);
}

/* Makes the call whose owner is on top of the stack. Pushes true, or a failure. */
static int make(lua_State *L, int other)
{
    int result = ml_make_file_call(L);
    if (result < 0)
        return ml_push_call_failure(L, result, other);
    ml_free_file_call(L, -1);
    lua_pushboolean(L, 1);
    return 1;
}

/* The same for a call whose result is a text. */
static int make_text(lua_State *L, const struct ml_file_call *call)
{
    int result = ml_make_file_call(L);
    if (result < 0)
        return ml_push_path_failure(L, result, 1, 0);
    lua_pushlstring(L, call->data, call->size);
    ml_free_file_call(L, -2);
    return 1;
}

/***
Makes a directory. May wait.
@function mkdir
@tparam string path
@tparam[opt] table opts
@tparam[opt=false] boolean opts.parents makes those above, too; it is no error if it is there
already
@param[opt="777"] opts.mode its permissions, less the umask: an integer, or octal digits
@treturn boolean true; or nil, message, code
*/
static int fs_mkdir(lua_State *L)
{
    static const char *const options[] = {"mode", "parents", NULL};
    ml_check_path(L, 1);
    bool has_options = ml_check_options(L, 2, options);
    mode_t mode = ml_mode_option(L, 2, "mode", 0777);
    bool makes_parents = ml_boolean_option(L, has_options ? 2 : 0, "parents", false);
    struct ml_file_call *call = begin(L, ml_file_make_directory, true, 0);
    call->mode = mode;
    call->flags = makes_parents ? ML_FILE_PARENTS : 0;
    return make(L, 0);
}

/***
Gives a file another name, which replaces a file that has it. May wait.
@function rename
@tparam string from
@tparam string to
@treturn boolean true; or nil, message, code
*/
static int fs_rename(lua_State *L)
{
    begin(L, ml_file_rename, true, 2);
    return make(L, 2);
}

/***
Gives a file one more name (a hard link). May wait.
@function link
@tparam string from
@tparam string to
@treturn boolean true; or nil, message, code
*/
static int fs_link(lua_State *L)
{
    begin(L, ml_file_link, true, 2);
    return make(L, 2);
}

/***
Makes a symbolic link. May wait.
@function symlink
@tparam string target where it leads, as seen from its own directory
@tparam string path its name
@treturn boolean true; or nil, message, code
*/
static int fs_symlink(lua_State *L)
{
    begin(L, ml_file_symlink, true, 2);
    return make(L, 2);
}

/***
Tells where a symbolic link leads. May wait.
@function readlink
@tparam string path
@treturn string or nil, message, code: "EINVAL" if it is no link
*/
static int fs_readlink(lua_State *L)
{
    return make_text(L, begin(L, ml_file_read_link, false, 0));
}

/***
The path from the root, without symbolic links, "." and "..". May wait.
@function realpath
@tparam string path
@treturn string or nil, message, code
*/
static int fs_realpath(lua_State *L)
{
    return make_text(L, begin(L, ml_file_real_path, false, 0));
}

/***
Sets a file's permissions. May wait.
@function chmod
@tparam string path
@param mode an integer, or octal digits as text: "755"
@treturn boolean true; or nil, message, code
*/
static int fs_chmod(lua_State *L)
{
    ml_check_path(L, 1);
    mode_t mode = ml_check_mode(L, 2);
    struct ml_file_call *call = begin(L, ml_file_chmod, true, 0);
    call->mode = mode;
    return make(L, 0);
}

/* A user's or a group's number; nil: -1. */
static lua_Integer check_owner(lua_State *L, int index)
{
    lua_Integer number = luaL_optinteger(L, index, -1);
    luaL_argcheck(L, number >= -1 && number < UINT32_MAX, index, "not a user's or group's number");
    return number;
}

/***
Gives a file to another user and group. A symbolic link is followed. May wait.
@function chown
@tparam string path
@tparam ?integer uid nil: as it is
@tparam[opt] integer gid nil: as it is
@tparam[opt] table opts
@tparam[opt=true] boolean opts.follow false: a symbolic link itself
@treturn boolean true; or nil, message, code
*/
static int fs_chown(lua_State *L)
{
    static const char *const options[] = {"follow", NULL};
    ml_check_path(L, 1);
    lua_Integer user = check_owner(L, 2), group = check_owner(L, 3);
    bool has_options = ml_check_options(L, 4, options);
    bool follows = ml_boolean_option(L, has_options ? 4 : 0, "follow", true);
    struct ml_file_call *call = begin(L, ml_file_chown, true, 0);
    call->numbers[0] = user;
    call->numbers[1] = group;
    call->flags = follows ? 0 : AT_SYMLINK_NOFOLLOW;
    return make(L, 0);
}

/***
Removes a file, a symbolic link, or an empty directory. May wait.

With `recursive` a directory is removed with all that is in it. Links in it are removed, not
followed, also if somebody puts one in a directory's place meanwhile. If something cannot be
removed, the rest stays, and the message names it.
@function remove
@tparam string path
@tparam[opt] table opts
@tparam[opt=false] boolean opts.recursive
@treturn boolean true; or nil, message, code
*/
static int fs_remove(lua_State *L)
{
    static const char *const options[] = {"recursive", NULL};
    ml_check_path(L, 1);
    bool has_options = ml_check_options(L, 2, options);
    bool is_tree = ml_boolean_option(L, has_options ? 2 : 0, "recursive", false);
    begin(L, is_tree ? ml_file_remove_tree : ml_file_remove, true, 0);
    return make(L, 0);
}

/***
Copies a file, which appears when it is whole, and may replace a file. It gets the permissions of
the original, less the umask, unless it replaces a file, whose permissions stay. Holes stay holes. A
symbolic link at the end of a path is followed. May wait.

With `recursive` a directory is copied with all that is in it, to a place where nothing is. In it
symbolic links are copied as links, FIFOs, sockets and devices as what they are; each name of a file
becomes a file of its own. If something cannot be copied, nothing of the copy is left, nor if the
task is cancelled meanwhile; the message names what it was.
@function copy
@tparam string from
@tparam string to
@tparam[opt] table opts
@tparam[opt=false] boolean opts.recursive
@tparam[opt=false] boolean opts.keep times and permissions as they are, and owners where that is
allowed
@treturn boolean true; or nil, message, code: "EINVAL" for a directory into itself
*/
static int fs_copy(lua_State *L)
{
    static const char *const options[] = {"keep", "recursive", NULL};
    ml_check_path(L, 1);
    ml_check_path(L, 2);
    int opts = ml_check_options(L, 3, options) ? 3 : 0;
    unsigned flags = ml_boolean_option(L, opts, "recursive", false) ? ML_COPY_TREE : 0;
    flags |= ml_boolean_option(L, opts, "keep", false) ? ML_COPY_KEEP : 0;
    begin(L, ml_file_copy, true, 2)->flags = flags;
    return make(L, 2);
}

/* ---- times ---- */

static struct timespec of_nanoseconds(lua_Integer time)
{
    lua_Integer rest = time % 1000000000;
    rest += rest < 0 ? 1000000000 : 0;
    return (struct timespec){.tv_sec = (time - rest) / 1000000000, .tv_nsec = (long)rest};
}

/* The seconds at `index`. Raises, for the argument of that number. */
static struct timespec check_seconds(lua_State *L, int index, int argument)
{
    int is_number;
    lua_Number time = lua_tonumberx(L, index, &is_number);
    if (!is_number || !(time > -9e15 && time < 9e15))
        luaL_argerror(L, argument, "a time must be a number of seconds");
    if (lua_isinteger(L, index))
        return (struct timespec){.tv_sec = lua_tointeger(L, index)};
    lua_Number whole = floor(time);
    return (struct timespec){.tv_sec = (time_t)whole, .tv_nsec = (long)((time - whole) * 1e9)};
}

/* The argument at `index`: nil is the present. */
static struct timespec check_time(lua_State *L, int index)
{
    return lua_isnoneornil(L, index) ? (struct timespec){.tv_nsec = UTIME_NOW}
                                     : check_seconds(L, index, index);
}

/* One of the times in the table at 2: exact, in seconds, or as it is. */
static struct timespec time_option(lua_State *L, const char *name, const char *exact)
{
    struct timespec time = {.tv_nsec = UTIME_OMIT};
    if (lua_getfield(L, 2, exact) != LUA_TNIL) {
        luaL_argcheck(L, lua_isinteger(L, -1), 2, "nanoseconds must be an integer");
        time = of_nanoseconds(lua_tointeger(L, -1));
    } else if (lua_getfield(L, 2, name) != LUA_TNIL) {
        time = check_seconds(L, -1, 2);
    }
    lua_settop(L, 3);
    return time;
}

/***
Sets when a file was last read and changed. Without times: now. May wait.
@function utime
@tparam string path
@param[opt] atime seconds since 1970, nil: now; or a table in place of both times, with `atime`,
`mtime` in seconds, or exactly, `atime_ns`, `mtime_ns` in nanoseconds; what is not in it stays as it
is; `follow` = false: a symbolic link itself
@tparam[opt] number mtime seconds since 1970, nil: now
@treturn boolean true; or nil, message, code
*/
static int fs_utime(lua_State *L)
{
    static const char *const options[] = {"atime", "atime_ns", "mtime", "mtime_ns", "follow", NULL};
    struct timespec times[2];
    bool follows = true;
    ml_check_path(L, 1);
    lua_settop(L, 3);
    if (lua_istable(L, 2)) {
        ml_check_option_names(L, 2, options);
        times[0] = time_option(L, "atime", "atime_ns");
        times[1] = time_option(L, "mtime", "mtime_ns");
        follows = ml_boolean_option(L, 2, "follow", true);
    } else {
        times[0] = check_time(L, 2);
        times[1] = check_time(L, 3);
    }
    struct ml_file_call *call = begin(L, ml_file_set_times, true, 0);
    memcpy(call->times, times, sizeof times);
    call->flags = follows ? 0 : AT_SYMLINK_NOFOLLOW;
    return make(L, 0);
}

/* ---- lists ---- */

/***
The names in a directory, in the order of their bytes, without "." and "..". May wait.
@function list
@tparam string path
@treturn {string,...} or nil, message, code
*/
static int fs_list(lua_State *L)
{
    struct ml_file_call *call = begin(L, ml_file_list, false, 0);
    int count = ml_make_file_call(L);
    if (count < 0)
        return ml_push_path_failure(L, count, 1, 0);
    lua_createtable(L, count, 0);
    const char *name = call->data;
    for (int i = 1; i <= count; i++) {
        size_t size = strlen(name);
        lua_pushlstring(L, name, size);
        lua_rawseti(L, -2, i);
        name += size + 1;
    }
    ml_free_file_call(L, -2);
    return 1;
}

void ml_set_path_functions(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"copy", fs_copy},     {"remove", fs_remove},     {"chmod", fs_chmod},
        {"chown", fs_chown},   {"link", fs_link},         {"list", fs_list},
        {"mkdir", fs_mkdir},   {"readlink", fs_readlink}, {"realpath", fs_realpath},
        {"rename", fs_rename}, {"symlink", fs_symlink},   {"utime", fs_utime},
        {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
