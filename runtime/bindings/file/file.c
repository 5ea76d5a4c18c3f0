/*** @submodule moonlet.fs */
/* Open files as scripts see them; they are read as streams are (bindings/net/read.c). */
#include "bindings/file/file.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/time_limit.h"
#include "bindings/file/arguments.h"
#include "bindings/file/file_call.h"
#include "bindings/file/whole.h"
#include "bindings/net/read.h"
#include "bindings/net/stream_object.h"
#include "bindings/net/write.h"
#include "io/stream.h"
#include "system/file/file.h"
#include "system/file/file_lock.h"
#include "system/file/open.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/***
An open file. It is read and written as streams of `moonlet.net` are, from its position, or, if it
appends, written at its end. It prints as its path and state; `<close>` closes it.
@object file
@tfield string path by which it was opened
*/

static struct ml_file *check_file(lua_State *L)
{
    return ml_check_object(L, 1, ml_file_type);
}

/* nil, "path: reason", code. */
static int push_failure(lua_State *L, const struct ml_file *file, int error)
{
    return ml_push_stream_failure(L, &file->stream, error);
}

static int push_outcome(lua_State *L, const struct ml_file *file, int error)
{
    if (error < 0)
        return push_failure(L, file, error);
    lua_pushboolean(L, 1);
    return 1;
}

/* A file may have grown since its end was read. */
static void look_again(lua_State *L)
{
    struct ml_stream *s = &check_file(L)->stream;
    s->at_end = s->at_end && s->is_reading;
}

/* ---- reading ---- */

/***
Reads by formats, as io's files do, and as `stream:read`. May wait.
@function file:read
@param[opt="l"] ... a count of bytes, "n", "l", "L" or "a"
@return for each format a string or number; the last is nil at the end, and where there is no
number. Or nil, message, code
*/
static int file_read(lua_State *L)
{
    look_again(L);
    return ml_net_stream_read(L);
}

/***
Reads what is at hand, at least one byte. May wait.
@function file:read_some
@tparam[opt=65536] integer max bytes at most
@treturn string or nil at the end of the file; or nil, message, code
*/
static int file_read_some(lua_State *L)
{
    look_again(L);
    return ml_net_stream_read_some(L);
}

/***
Reads n bytes. May wait.
@function file:read_exactly
@tparam integer n
@treturn string or nil at the end; the end in the middle is nil, message, "EEOF", the bytes kept
*/
static int file_read_exactly(lua_State *L)
{
    look_again(L);
    return ml_net_stream_read_exactly(L);
}

/***
Reads a line and strips its "\n" or "\r\n"; the last one may lack it. May wait.
@function file:read_line
@tparam[opt=65536] integer max bytes, the end of the line included
@treturn string or nil at the end; a longer one is nil, "line too long", "EMSGSIZE", the bytes kept
*/
static int file_read_line(lua_State *L)
{
    look_again(L);
    return ml_net_stream_read_line(L);
}

/***
Reads up to a delimiter, as `stream:read_until`. May wait.
@function file:read_until
@tparam string delimiter
@tparam[opt=65536] integer max bytes, the delimiter included
@treturn string with the delimiter, or nil at the end; or nil, message, code
*/
static int file_read_until(lua_State *L)
{
    look_again(L);
    return ml_net_stream_read_until(L);
}

/***
Reads all up to the end. May wait.
@function file:read_all
@tparam[opt] integer max bytes
@treturn string "" at the end already; or nil, message, code
*/
static int file_read_all(lua_State *L)
{
    look_again(L);
    return ml_net_stream_read_all(L);
}

/***
Iterates over the lines, as `stream:lines`. Waits as read_line() does; failures raise
{message=, code=}.
@function file:lines
@param[opt] ... formats of read()
@treturn function():string an iterator
*/
static int file_lines(lua_State *L)
{
    look_again(L);
    return ml_net_stream_lines(L);
}

/***
Iterates over the content, as read_some() returns it. Failures raise {message=, code=}.
@function file:chunks
@tparam[opt=65536] integer max bytes of each
@treturn function():string an iterator
*/
static int file_chunks(lua_State *L)
{
    look_again(L);
    return ml_net_stream_chunks(L);
}

/* ---- writing ---- */

/***
Writes all values, contiguous even if other tasks write. A cancelled task has written all or nothing
of up to 8 MB. May wait.
@function file:write
@param ... strings, numbers, or lists of them
@treturn boolean true; or nil, message, code, bytes written
*/
static int file_write(lua_State *L)
{
    struct ml_file *file = check_file(L);
    bool is_first = ml_stream_is_open(&file->stream) && file->stream.writer == NULL;
    int error = is_first ? ml_file_settle(file) : 0;
    if (error != 0)
        return push_failure(L, file, error);
    file->stream.write_broken = false; /* a file goes on where it was */
    return ml_net_stream_write(L);
}

/***
Waits until the disk has all that was written. May wait.
@function file:sync
@tparam[opt] string what "data": without times and the like, where that is faster
@treturn boolean true; or nil, message, code
*/
static int file_sync(lua_State *L)
{
    static const char *const names[] = {"all", "data", NULL};
    struct ml_file *file = check_file(L);
    bool is_data = luaL_checkoption(L, 2, "all", names) == 1;
    ml_begin_quickly(L);
    ml_blocking_begin(L);
    return push_outcome(L, file, ml_blocking_end(L, ml_file_sync(file, is_data)));
}

/***
Cuts the file, or extends it by zeros. The position stays. May wait.
@function file:truncate
@tparam[opt=0] integer size
@treturn boolean true; or nil, message, code
*/
static int file_truncate(lua_State *L)
{
    struct ml_file *file = check_file(L);
    lua_Integer size = luaL_optinteger(L, 2, 0);
    luaL_argcheck(L, size >= 0, 2, "size must not be negative");
    ml_begin_quickly(L);
    ml_blocking_begin(L);
    return push_outcome(L, file, ml_blocking_end(L, ml_file_truncate(file, size)));
}

/* ---- places ---- */

/* The size: 0 or an error. Raises. */
static int get_size(lua_State *L, struct ml_file *file, off_t *size)
{
    ml_begin_quickly(L);
    ml_blocking_begin(L);
    return ml_blocking_end(L, ml_file_size(file, size));
}

/***
The size in bytes. May wait.
@function file:size
@treturn integer or nil, message, code
*/
static int file_size(lua_State *L)
{
    off_t size;
    struct ml_file *file = check_file(L);
    int error = get_size(L, file, &size);
    if (error != 0)
        return push_failure(L, file, error);
    lua_pushinteger(L, size);
    return 1;
}

/* Where seek() is to go to: 0 or an error. */
static int find_target(lua_State *L, struct ml_file *file, int whence, off_t *target)
{
    off_t base = 0;
    int error = 0;
    if (!ml_stream_is_open(&file->stream))
        error = -ML_ECLOSED;
    else if (!file->is_disk)
        error = -ESPIPE;
    else if (whence == 2)
        error = get_size(L, file, &base);
    else if (whence == 1)
        base = ml_file_position(file);
    bool is_too_far = __builtin_add_overflow(base, luaL_optinteger(L, 3, 0), target);
    return error != 0 ? error : is_too_far || *target < 0 ? -EINVAL : 0;
}

/***
Moves the position, and tells it, as io's files do. May wait, for "end".
@function file:seek
@tparam[opt="cur"] string whence "set", "cur" or "end"
@tparam[opt=0] integer offset
@treturn integer the position, from the begin of the file; or nil, message, code: "ESPIPE" for what
has no positions
*/
static int file_seek(lua_State *L)
{
    static const char *const names[] = {"set", "cur", "end", NULL};
    struct ml_file *file = check_file(L);
    off_t target;
    int whence = luaL_checkoption(L, 2, "cur", names);
    bool is_question = whence == 1 && luaL_optinteger(L, 3, 0) == 0;
    int error = find_target(L, file, whence, &target);
    if (error == 0 && !is_question)
        error = ml_file_go_to(file, target);
    if (error != 0)
        return push_failure(L, file, error);
    lua_pushinteger(L, target);
    return 1;
}

/* ---- locks ---- */

static const char guard_type[] = "fs.lock";

/* The held lock of the file that is its first user value. */
struct guard {
    bool is_open;
};

/***
A lock on a file; `<close>` gives it up. It prints as the file's path and whether it is held.
@object lock
*/

/***
Gives the lock up. Idempotent, never waits.
@function lock:close
*/
static int guard_close(lua_State *L)
{
    struct guard *guard = ml_check_object(L, 1, guard_type);
    if (guard->is_open) {
        lua_getiuservalue(L, 1, 1);
        ml_file_unlock(ml_to_object(L, -1));
    }
    guard->is_open = false;
    return 0;
}

static int guard_tostring(lua_State *L)
{
    const struct guard *guard = ml_check_object(L, 1, guard_type);
    lua_getiuservalue(L, 1, 1);
    lua_getiuservalue(L, -1, 1);
    lua_pushfstring(L, "fs.lock %s (%s)", luaL_tolstring(L, -1, NULL),
                    guard->is_open ? "held" : "given up");
    return 1;
}

/***
Locks the file against others that lock it: other programs (flock(2)), and other file objects of
this one, whichever task has them. Only the task waits, and a cancelled one has no lock. Closing the
file unlocks it. A task that has locked the file itself, by this object or by another one, and not
given it up, would wait for ever: that is an error.

    local file <close> = assert(fs.open("counter", "r+"))
    local lock <close> = assert(file:lock())

@function file:lock
@tparam[opt="exclusive"] string mode "exclusive", or "shared": with others that share it
@tparam[opt] number timeout seconds; 0 never waits
@treturn lock or nil, message, code: "ETIMEDOUT"; "EDEADLK": this task has locked it already
*/
static int file_lock(lua_State *L)
{
    static const char *const names[] = {"exclusive", "shared", NULL};
    struct ml_file *file = check_file(L);
    bool is_shared = luaL_checkoption(L, 2, "exclusive", names) == 1;
    ml_time deadline = ml_check_deadline(L, 3);
    lua_settop(L, 1);
    struct guard *guard = ml_push_object(L, guard_type, sizeof *guard, 1);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    if (deadline != ML_NEVER_WAIT)
        ml_begin_quickly(L);
    ml_blocking_begin_until(L, deadline);
    int error = ml_file_lock(file, is_shared, deadline);
    guard->is_open = error == 0;
    error = ml_blocking_end_until(L, deadline, error);
    return error == 0 ? 1 : push_failure(L, file, error);
}

/* ---- life ---- */

/***
Closes at once: tasks that wait in the file get nil, message, "CLOSED"; what a worker writes is
finished. Idempotent, never waits.
@function file:close
@treturn boolean true
*/
static int file_close(lua_State *L)
{
    ml_file_close(check_file(L));
    lua_pushboolean(L, 1);
    return 1;
}

static int file_collect(lua_State *L)
{
    struct ml_file *file = check_file(L);
    if (ml_stream_is_open(&file->stream))
        ml_warn_unclosed(L, file);
    ml_file_close(file);
    return 0;
}

static int file_tostring(lua_State *L)
{
    const struct ml_file *file = check_file(L);
    lua_pushfstring(L, "fs.file %s (%s)", file->stream.name != NULL ? file->stream.name : "?",
                    ml_stream_is_open(&file->stream) ? "open" : "closed");
    return 1;
}

/* Upvalue: the methods. */
static int file_index(lua_State *L)
{
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    if (strcmp(name, "path") == 0)
        lua_getiuservalue(L, 1, 1);
    return 1;
}

/* core.remove_on_close(file): its name is removed when it is closed. */
static int remove_on_close(lua_State *L)
{
    check_file(L)->is_temporary = true;
    return 0;
}

/* The flags of open() for a mode of io.open(), with "x" at its end for a file that must not be
 * there; -1: it is none. */
static int flags_of(const char *mode)
{
    static const struct {
        char letter;
        int flags;
    } modes[] = {{'r', 0}, {'w', O_CREAT | O_TRUNC}, {'a', O_CREAT | O_APPEND}};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (*mode != modes[i].letter)
            continue;
        size_t plus = strspn(mode + 1, "+b");
        bool updates = strchr(mode, '+') != NULL, excludes = mode[1 + plus] == 'x';
        if (plus > 2 || mode[1 + plus + excludes] != '\0' || (excludes && i == 0))
            return -1;
        return modes[i].flags | (excludes ? O_EXCL : 0) |
               (updates  ? O_RDWR
                : i == 0 ? O_RDONLY
                         : O_WRONLY);
    }
    return -1;
}

/***
Opens a file. A FIFO waits for its other end, and only its task. May wait.
@function open
@tparam string path
@tparam[opt="r"] string mode "r", "w", "a", "r+", "w+", "a+", as in io.open; with "x" at the end it
is an error, "EEXIST", if the file is there
@tparam[opt] table opts
@param[opt="666"] opts.mode permissions of a new file, less the umask
@treturn file or nil, message, code
*/
static int fs_open(lua_State *L)
{
    static const char *const options[] = {"mode", NULL};
    const char *path = ml_check_path(L, 1), *mode = luaL_optstring(L, 2, "r");
    int flags = flags_of(mode);
    luaL_argcheck(L, flags >= 0, 2, "invalid mode");
    ml_check_options(L, 3, options);
    mode_t permissions = ml_mode_option(L, 3, "mode", 0666);
    lua_settop(L, 1);
    struct ml_file *file = ml_push_object(L, ml_file_type, sizeof *file, 1);
    ml_file_init(file, &ml_lua_of(L)->io);
    ml_object_note_source_line(L, file);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    file->stream.name = path;
    ml_begin_quickly(L);
    ml_blocking_begin(L);
    struct ml_disks *disks = ml_to_object(L, lua_upvalueindex(1));
    int error = ml_blocking_end(L, ml_file_open(file, disks, path, flags, permissions));
    return error == 0 ? 1 : push_failure(L, file, error);
}

static const luaL_Reg file_methods[] = {{"read", file_read},
                                        {"read_some", file_read_some},
                                        {"read_exactly", file_read_exactly},
                                        {"read_line", file_read_line},
                                        {"read_until", file_read_until},
                                        {"read_all", file_read_all},
                                        {"lines", file_lines},
                                        {"chunks", file_chunks},
                                        {"write", file_write},
                                        {"seek", file_seek},
                                        {"size", file_size},
                                        {"sync", file_sync},
                                        {"truncate", file_truncate},
                                        {"lock", file_lock},
                                        {"close", file_close},
                                        {NULL, NULL}};

void ml_set_open_function(lua_State *L)
{
    static const luaL_Reg metamethods[] = {{"__gc", file_collect},
                                           {"__close", file_close},
                                           {"__tostring", file_tostring},
                                           {NULL, NULL}};
    static const luaL_Reg closing[] = {{"close", guard_close}, {NULL, NULL}};
    static const luaL_Reg of_guard[] = {{"__gc", guard_close},
                                        {"__close", guard_close},
                                        {"__tostring", guard_tostring},
                                        {NULL, NULL}};
    ml_open_object_type(L, ml_file_type, file_methods, metamethods);
    ml_open_object_type(L, guard_type, closing, of_guard);
    luaL_getmetatable(L, ml_file_type);
    lua_getfield(L, -1, "__index");
    lua_pushcclosure(L, file_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, fs_open, 1);
    lua_setfield(L, -2, "open");
    lua_pushcfunction(L, remove_on_close);
    lua_setfield(L, -2, "remove_on_close");
}
