#include "bindings/file/arguments.h"

#include "base/error.h"
#include "bindings/core/option.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

const char *ml_check_path(lua_State *L, int index)
{
    size_t size;
    luaL_checktype(L, index, LUA_TSTRING);
    const char *path = lua_tolstring(L, index, &size);
    luaL_argcheck(L, strlen(path) == size, index, "the path has a zero byte");
    return path;
}

int ml_push_path_failure(lua_State *L, int error, int path, int other)
{
    path = lua_absindex(L, path);
    luaL_pushfail(L);
    lua_pushvalue(L, path);
    if (other != 0) {
        lua_pushliteral(L, " -> ");
        lua_pushvalue(L, other);
    }
    lua_pushliteral(L, ": ");
    lua_pushstring(L, ml_error_text(error));
    lua_concat(L, other != 0 ? 5 : 3);
    lua_pushstring(L, ml_error_name(error));
    return 3;
}

int ml_push_path_outcome(lua_State *L, int result, int path, int other)
{
    if (result < 0)
        return ml_push_path_failure(L, result, path, other);
    lua_pushboolean(L, 1);
    return 1;
}

const char *ml_file_type_name(mode_t mode)
{
    static const char *const names[16] = {
        [S_IFREG >> 12] = "file",  [S_IFDIR >> 12] = "directory", [S_IFLNK >> 12] = "link",
        [S_IFIFO >> 12] = "fifo",  [S_IFSOCK >> 12] = "socket",   [S_IFCHR >> 12] = "char",
        [S_IFBLK >> 12] = "block",
    };
    const char *name = names[(mode & S_IFMT) >> 12];
    return name != NULL ? name : "unknown";
}

static void set_integer(lua_State *L, const char *name, uint64_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, name);
}

static void set_time(lua_State *L, const char *name, const char *exact,
                     const struct statx_timestamp *time)
{
    lua_pushnumber(L, (lua_Number)time->tv_sec + time->tv_nsec / 1e9);
    lua_setfield(L, -2, name);
    set_integer(L, exact, (uint64_t)time->tv_sec * 1000000000 + time->tv_nsec);
}

static uint64_t device(unsigned major, unsigned minor)
{
    return (uint64_t)major << 32 | minor;
}

void ml_push_status(lua_State *L, const struct statx *s)
{
    lua_createtable(L, 0, 16);
    lua_pushstring(L, ml_file_type_name(s->stx_mode));
    lua_setfield(L, -2, "type");
    set_integer(L, "size", s->stx_size);
    set_integer(L, "mode", s->stx_mode & 07777);
    set_integer(L, "uid", s->stx_uid);
    set_integer(L, "gid", s->stx_gid);
    set_integer(L, "ino", s->stx_ino);
    set_integer(L, "dev", device(s->stx_dev_major, s->stx_dev_minor));
    set_integer(L, "nlink", s->stx_nlink);
    set_integer(L, "blocks", s->stx_blocks);
    set_time(L, "mtime", "mtime_ns", &s->stx_mtime);
    set_time(L, "atime", "atime_ns", &s->stx_atime);
    set_time(L, "ctime", "ctime_ns", &s->stx_ctime);
}

/* Permissions as an integer, or as the octal digits of chmod(1); -1: the value is none. */
static long to_mode(lua_State *L, int index)
{
    int is_integer = 1;
    lua_Integer mode = -1;
    const char *text = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : NULL;
    if (text == NULL)
        mode = lua_tointegerx(L, index, &is_integer);
    else if (*text != '\0' && strlen(text) <= 4 && strspn(text, "01234567") == strlen(text))
        mode = strtol(text, NULL, 8);
    return is_integer && mode >= 0 && mode <= 07777 ? (long)mode : -1;
}

mode_t ml_check_mode(lua_State *L, int index)
{
    long mode = to_mode(L, index);
    luaL_argcheck(L, mode >= 0, index, "permissions expected, such as \"644\"");
    return (mode_t)mode;
}

mode_t ml_mode_option(lua_State *L, int options, const char *name, mode_t otherwise)
{
    if (lua_isnoneornil(L, options))
        return otherwise;
    long mode = lua_getfield(L, options, name) == LUA_TNIL ? (long)otherwise : to_mode(L, -1);
    if (mode < 0)
        luaL_argerror(L, options,
                      lua_pushfstring(L, "option '%s' must be permissions, such as \"644\"", name));
    lua_pop(L, 1);
    return (mode_t)mode;
}

bool ml_check_options(lua_State *L, int index, const char *const names[])
{
    if (lua_isnoneornil(L, index))
        return false;
    luaL_checktype(L, index, LUA_TTABLE);
    ml_check_option_names(L, index, names);
    return true;
}
