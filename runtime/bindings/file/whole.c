/*** @submodule moonlet.fs */
#include "bindings/file/whole.h"

#include "bindings/core/blocking.h"
#include "bindings/core/object.h"
#include "bindings/core/option.h"
#include "bindings/file/arguments.h"
#include "bindings/file/file_call.h"
#include "hub/wait/slice.h"
#include "system/file/quick.h"
#include "system/file/whole.h"

#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

static const char disks_type[] = "fs.disks";

/* The most bytes of a file, so that one more is no overflow. */
#define NO_MAX ((size_t)PTRDIFF_MAX - 1)

void ml_push_disks(lua_State *L)
{
    static const luaL_Reg none[] = {{NULL, NULL}};
    ml_open_object_type(L, disks_type, none, none);
    ml_push_object(L, disks_type, sizeof(struct ml_disks), 0);
}

static struct ml_disks *disks_of(lua_State *L)
{
    return ml_to_object(L, lua_upvalueindex(1));
}

/* Reads a file that is in memory into the block that all reads share. Bytes; -EAGAIN; or an error.
 */
static ssize_t read_at_once(lua_State *L, const char *path, char *block)
{
    struct statx status;
    int fd = ml_quick_open(disks_of(L), path, &status);
    if (fd < 0)
        return fd;
    ssize_t size = ml_quick_read_all(fd, &status, block, ML_IO_READ_SIZE);
    close(fd);
    return size;
}

/* Pushes the content, and returns 0; or -EAGAIN; or an error. The block is back before the push,
 * which may raise; no other task runs before that is done. */
static int try_to_read(lua_State *L, const char *path, size_t max)
{
    struct ml_io *io = &ml_lua_of(L)->io;
    char *block = ml_io_borrow(io);
    if (block == NULL)
        return -EAGAIN;
    ssize_t size = read_at_once(L, path, block);
    ml_io_give_back(io, block);
    ml_slice_spend_bytes(io->hub, size);
    if (size >= 0 && (size_t)size > max)
        return -EMSGSIZE;
    if (size >= 0)
        lua_pushlstring(L, block, (size_t)size);
    return size < 0 ? (int)size : 0;
}

static int push_read_failure(lua_State *L, int error)
{
    ml_push_path_failure(L, error, 1, 0);
    if (error == -EMSGSIZE) {
        lua_pushfstring(L, "%s: larger than %I bytes", lua_tostring(L, 1),
                        (LUAI_UACINT)lua_tointeger(L, 2));
        lua_replace(L, -3);
    }
    return 3;
}

/* Calls the function at the second upvalue, which knows what is no file of a disk, with the
 * arguments of this one. */
static int do_specially(lua_State *L, int arguments)
{
    lua_settop(L, arguments);
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_insert(L, 1);
    lua_call(L, arguments, LUA_MULTRET);
    return lua_gettop(L);
}

static int read_on_worker(lua_State *L, const char *path, size_t max)
{
    struct ml_file_call *call =
        ml_push_file_call(L, ml_file_read_whole, false, path, NULL, NULL, 0);
    call->max = max;
    int result = ml_make_file_call(L);
    if (result < 0)
        return push_read_failure(L, result);
    if (result == ML_FILE_IS_SPECIAL) {
        ml_free_file_call(L, -1);
        return do_specially(L, 2);
    }
    ml_disks_learn(disks_of(L), &call->status, call->flags == ML_FILE_IS_LOCAL);
    lua_pushlstring(L, call->data, call->size);
    ml_free_file_call(L, -2);
    return 1;
}

/***
Reads a whole file. May wait.
@function read
@tparam string path
@tparam[opt] integer max bytes at most: a file that has more is an error, "EMSGSIZE"
@treturn string or nil, message, code
*/
int ml_fs_read(lua_State *L)
{
    const char *path = ml_check_path(L, 1);
    lua_Integer max = luaL_optinteger(L, 2, (lua_Integer)NO_MAX);
    luaL_argcheck(L, max >= 0, 2, "size must not be negative");
    lua_settop(L, 2);
    ml_begin_quickly(L);
    size_t most = max < (lua_Integer)NO_MAX ? (size_t)max : NO_MAX;
    int error = try_to_read(L, path, most);
    if (error == -EAGAIN)
        return read_on_worker(L, path, most);
    return error == 0 ? 1 : push_read_failure(L, error);
}

static int write_on_worker(lua_State *L, int (*make)(struct ml_file_call *), int flags)
{
    size_t size;
    const char *path = ml_check_path(L, 1), *data = luaL_checklstring(L, 2, &size);
    lua_settop(L, 3);
    ml_begin_quickly(L);
    struct ml_file_call *call = ml_push_file_call(L, make, true, path, NULL, data, size);
    call->flags = (unsigned)flags;
    call->mode = ml_mode_option(L, 3, "mode", 0666);
    call->is_synced =
        ml_boolean_option(L, lua_isnil(L, 3) ? 0 : 3, "sync", make == ml_file_replace);
    int result = ml_make_file_call(L);
    ml_free_file_call(L, 4);
    return result == ML_FILE_IS_SPECIAL ? do_specially(L, 3)
                                        : ml_push_path_outcome(L, result, 1, 0);
}

static const char *const write_options[] = {"atomic", "sync", "mode", NULL};

/***
Writes a whole file: makes it, or replaces its content. A symbolic link is followed. May wait.

With `atomic`, other programs see the old content or the new one, never a part: it is written to
another file in the same directory, which takes the place of the first. After a loss of power the
file has the old content or the new one; the new one if write() has returned. The file keeps its
permissions, and its owner where that is allowed; hard links keep the old content. If anything fails
the old file is as it was; only when the disk then fails to keep the new name is the new file there,
and the failure returned. Only files are replaced: a device, FIFO or socket is "ENOTSUP", a
directory "EISDIR", a file that is mounted "EBUSY".

A cancelled task has written nothing if the atomic write was not finished; a plain one that has
begun is finished first.
@function write
@tparam string path
@tparam string data
@tparam[opt] table opts
@tparam[opt=false] boolean opts.atomic
@tparam[opt] boolean opts.sync the disk has it when write() returns; by default if it is atomic
@param[opt="666"] opts.mode permissions of a new file, less the umask: an integer, or octal digits
@treturn boolean true; or nil, message, code
*/
int ml_fs_write(lua_State *L)
{
    ml_check_path(L, 1);
    luaL_checkstring(L, 2);
    bool is_atomic =
        ml_check_options(L, 3, write_options) && ml_boolean_option(L, 3, "atomic", false);
    return is_atomic ? write_on_worker(L, ml_file_replace, 0)
                     : write_on_worker(L, ml_file_write_whole, O_TRUNC);
}

/***
Writes at the end of a file, which is made if it is not there. Other tasks and programs that append
at the same time do not mix their bytes with these. May wait.
@function append
@tparam string path
@tparam string data
@tparam[opt] table opts
@tparam[opt=false] boolean opts.sync the disk has it when append() returns
@param[opt="666"] opts.mode permissions of a new file, less the umask
@treturn boolean true; or nil, message, code
*/
int ml_fs_append(lua_State *L)
{
    ml_check_path(L, 1);
    luaL_checkstring(L, 2);
    ml_check_options(L, 3, write_options + 1);
    return write_on_worker(L, ml_file_write_whole, O_APPEND);
}
