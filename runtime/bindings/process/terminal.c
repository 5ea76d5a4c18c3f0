/*** @submodule moonlet.terminal */
/* Terminals of the program: size and raw mode. */
#include "bindings/process/terminal.h"

#include "bindings/core/failure.h"
#include "bindings/core/object.h"
#include "bindings/core/option.h"
#include "bindings/net/stream_object.h"
#include "system/file/file.h"
#include "system/process/raw_terminal.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char mode_type[] = "terminal.mode";

/* ---- files ---- */

/* Whether the value at `index` is a file, of io or of moonlet.fs, or a stream; *fd: its descriptor,
 * -1 if it has none. */
static bool read_descriptor(lua_State *L, int index, int *fd)
{
    luaL_Stream *file = luaL_testudata(L, index, LUA_FILEHANDLE);
    const struct ml_stream *stream =
        lua_isuserdata(L, index) ? ml_test_object(L, index, ml_stream_type) : NULL;
    const struct ml_file *opened =
        lua_isuserdata(L, index) ? ml_test_object(L, index, ml_file_type) : NULL;
    *fd = -1;
    if (file != NULL && file->closef != NULL)
        *fd = fileno(file->f);
    if (opened != NULL && opened->descriptor != NULL)
        *fd = opened->descriptor->fd;
    if (stream != NULL && ml_fd_is_open(&stream->fd))
        *fd = stream->fd.number;
    return file != NULL || stream != NULL || opened != NULL;
}

/* The descriptor of the argument; raises for what is neither a file nor a stream. */
static int check_descriptor(lua_State *L, int index)
{
    int fd;
    if (!read_descriptor(L, index, &fd))
        luaL_typeerror(L, index, "file or stream");
    return fd;
}

/* The same; without the argument the first standard file of `files` that is a terminal, else the
 * last of them. */
static int optional_descriptor(lua_State *L, int index, const int files[], int count)
{
    if (!lua_isnoneornil(L, index))
        return check_descriptor(L, index);
    int i = 0;
    while (i < count - 1 && !isatty(files[i]))
        i++;
    return files[i];
}

/***
Whether a file is a terminal. Never waits.
@function is
@tparam file|stream file
@treturn boolean false also for a closed file
*/
static int terminal_is(lua_State *L)
{
    int fd = check_descriptor(L, 1);
    lua_pushboolean(L, fd >= 0 && isatty(fd));
    return 1;
}

/***
Returns how large a terminal is. It may change at any time: then the signal WINCH comes
(moonlet.signal). Never waits.
@function size
@tparam[opt] file|stream file default: the first of standard output, error and input that is a
terminal
@treturn integer rows; or nil, message, code: "ENOTTY", or "ENODATA" if the terminal does not know
@treturn integer columns
*/
static int terminal_size(lua_State *L)
{
    static const int files[] = {STDOUT_FILENO, STDERR_FILENO, STDIN_FILENO};
    struct winsize size = {0};
    int fd = optional_descriptor(L, 1, files, 3);
    if (fd < 0 || ioctl(fd, TIOCGWINSZ, &size) != 0)
        return ml_push_failure(L, fd < 0 ? -EBADF : -errno);
    if (size.ws_row == 0 || size.ws_col == 0)
        return ml_push_failure(L, -ENODATA);
    lua_pushinteger(L, size.ws_row);
    lua_pushinteger(L, size.ws_col);
    return 2;
}

/* ---- raw mode ---- */

/***
A terminal in raw mode. `<close>` ends it. It also ends at the end of the program, however that
comes about, and before a signal ends the process; while the process is stopped (Ctrl-Z) the old
settings are in force.
@object mode
*/

/***
Puts a terminal into raw mode: each key is there at once, and nothing of it is shown. Never waits.
@function raw
@tparam[opt] file|stream file default: standard input
@tparam[opt] table opts
@tparam[opt=false] boolean opts.signals Ctrl-C, Ctrl-Z and Ctrl-\ still send signals, Return is
"\n", and what is printed is treated as before
@treturn mode or nil, message, code: "ENOTTY"
*/
static int terminal_raw(lua_State *L)
{
    static const char *const names[] = {"signals", NULL};
    static const int files[] = {STDIN_FILENO};
    int options = lua_istable(L, 1) ? 1 : 2;
    if (options == 1) {
        lua_pushnil(L);
        lua_insert(L, 1);
        options = 2;
    }
    lua_settop(L, 2);
    if (!lua_isnil(L, options)) {
        luaL_checktype(L, options, LUA_TTABLE);
        ml_check_option_names(L, options, names);
    }
    bool has_signals = ml_boolean_option(L, lua_isnil(L, options) ? 0 : options, "signals", false);
    int fd = optional_descriptor(L, 1, files, 1);
    struct ml_raw_terminal *raw = ml_push_object(L, mode_type, sizeof *raw, 0);
    ml_object_note_source_line(L, raw);
    int error = fd >= 0 ? ml_raw_terminal_open(raw, fd, has_signals) : -EBADF;
    return error == 0 ? 1 : ml_push_failure(L, error);
}

static struct ml_raw_terminal *check_mode(lua_State *L)
{
    return ml_check_object(L, 1, mode_type);
}

/***
Ends raw mode; if the terminal was put into it several times, the last one does. Idempotent, never
waits.
@function mode:close
*/
static int mode_close(lua_State *L)
{
    ml_raw_terminal_close(check_mode(L));
    lua_pushboolean(L, 1);
    return 1;
}

static int mode_tostring(lua_State *L)
{
    const struct ml_raw_terminal *raw = check_mode(L);
    lua_pushfstring(L, "terminal.mode raw (%s)", raw->process != 0 ? "open" : "closed");
    return 1;
}

static int mode_gc(lua_State *L)
{
    struct ml_raw_terminal *raw = check_mode(L);
    if (raw->process != 0)
        ml_warn_unclosed(L, raw);
    ml_raw_terminal_close(raw);
    return 0;
}

int ml_open_terminal(lua_State *L)
{
    static const luaL_Reg methods[] = {{"close", mode_close}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {
        {"__gc", mode_gc}, {"__close", mode_close}, {"__tostring", mode_tostring}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"is", terminal_is}, {"size", terminal_size}, {"raw", terminal_raw}, {NULL, NULL}};
    ml_open_object_type(L, mode_type, methods, metamethods);
    luaL_newlib(L, functions);
    return 1;
}
