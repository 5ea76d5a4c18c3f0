/*** @submodule moonlet.fs */
#include "bindings/file/fs.h"

#include "bindings/core/failure.h"
#include "bindings/file/arguments.h"
#include "bindings/file/file.h"
#include "bindings/file/file_call.h"
#include "bindings/file/paths.h"
#include "bindings/file/walk.h"
#include "bindings/file/whole.h"
#include "system/file/new_file.h"
#include "system/file/paths.h"
#include "system/file/quick.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>

static int stat_on_worker(lua_State *L, const char *path, bool follows, struct statx *status)
{
    struct ml_file_call *call = ml_push_file_call(L, ml_file_stat, false, path, NULL, NULL, 0);
    call->flags = follows ? 0 : AT_SYMLINK_NOFOLLOW;
    int result = ml_make_file_call(L);
    if (result == 0) {
        *status = call->status;
        ml_free_file_call(L, -1);
    }
    lua_pop(L, 1);
    return result;
}

/* The status of the file at 1: 0 or an error. */
static int get_status(lua_State *L, bool follows, struct statx *status)
{
    const char *path = ml_check_path(L, 1);
    lua_settop(L, 1);
    ml_begin_quickly(L);
    int error = ml_quick_stat(path, follows, status);
    return error == -EAGAIN ? stat_on_worker(L, path, follows, status) : error;
}

static int push_status(lua_State *L, bool follows)
{
    struct statx status;
    int error = get_status(L, follows, &status);
    if (error != 0)
        return ml_push_path_failure(L, error, 1, 0);
    ml_push_status(L, &status);
    return 1;
}

/***
Describes a file: follows symbolic links. May wait.
@function stat
@tparam string path
@treturn table type ("file", "directory", "link", "fifo", "socket", "char", "block"), size, mode
(its permissions), uid, gid, ino, dev, nlink, blocks (of 512 bytes that it has on the disk), mtime,
atime, ctime (seconds since 1970), mtime_ns, atime_ns, ctime_ns (the same in nanoseconds, integers);
or nil, message, code
*/
static int fs_stat(lua_State *L)
{
    return push_status(L, true);
}

/***
Describes a file as `stat` does, but a symbolic link itself. May wait.
@function lstat
@tparam string path
@treturn table as from stat(); or nil, message, code
*/
static int fs_lstat(lua_State *L)
{
    return push_status(L, false);
}

/***
Whether there is anything under this name; a symbolic link that leads nowhere is nothing. May wait.
@function exists
@tparam string path
@treturn boolean or nil, message, code, when it cannot be told, as in a directory that may not be
searched
*/
static int fs_exists(lua_State *L)
{
    struct statx status;
    int error = get_status(L, true, &status);
    if (error != 0 && error != -ENOENT && error != -ENOTDIR)
        return ml_push_path_failure(L, error, 1, 0);
    lua_pushboolean(L, error == 0);
    return 1;
}

/* random_name(): a part of a name for what is temporary. It leaves alone the numbers of
 * math.random, which a script may have seeded. */
static int fs_random_name(lua_State *L)
{
    char name[ML_RANDOM_NAME];
    int error = ml_random_name(name);
    if (error != 0)
        return ml_push_failure(L, error);
    lua_pushstring(L, name);
    return 1;
}

/* Functions with the upvalues of bindings/file/whole.h; the second is on top of the stack. */
static void add_whole(lua_State *L, const char *name, lua_CFunction function)
{
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, function, 2);
    lua_setfield(L, lua_upvalueindex(1), name);
}

/* whole(read_special, write_special): sets the functions for whole files in the module at the first
 * upvalue; the second one is what is known of the disks. */
static int set_whole(lua_State *L)
{
    lua_settop(L, 2);
    add_whole(L, "write", ml_fs_write);
    add_whole(L, "append", ml_fs_append);
    lua_settop(L, 1);
    add_whole(L, "read", ml_fs_read);
    return 0;
}

int ml_open_fs(lua_State *L)
{
    static const luaL_Reg functions[] = {{"stat", fs_stat},
                                         {"lstat", fs_lstat},
                                         {"exists", fs_exists},
                                         {"random_name", fs_random_name},
                                         {NULL, NULL}};
    ml_open_file_calls(L);
    ml_push_disks(L);
    luaL_newlib(L, functions);
    ml_set_path_functions(L);
    ml_set_walk_function(L);
    ml_set_open_function(L);
    lua_pushvalue(L, -1);
    lua_pushvalue(L, -3);
    lua_pushcclosure(L, set_whole, 2);
    lua_setfield(L, -2, "whole");
    return 1;
}
