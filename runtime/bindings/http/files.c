/* What stdlib/moonlet/http/files.lua is made of. */
#include "bindings/http/files.h"

#include "bindings/core/failure.h"
#include "bindings/core/object.h"
#include "bindings/file/file_call.h"
#include "bindings/http/saved_file.h"
#include "io/beneath.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char file_type[] = "serving.file", root_type[] = "serving.root";
static const char listing_type[] = "serving.listing";

struct descriptor {
    int number; /* -1: closed */
};

static void close_descriptor(struct descriptor *d)
{
    if (d->number >= 0)
        close(d->number);
    d->number = -1;
}

static int descriptor_close(lua_State *L)
{
    struct descriptor *d = ml_test_object(L, 1, root_type);
    close_descriptor(d != NULL ? d : ml_check_object(L, 1, file_type));
    return 0;
}

static struct descriptor *push_descriptor(lua_State *L, const char *type)
{
    struct descriptor *d = ml_push_object(L, type, sizeof *d, 0);
    d->number = -1;
    return d;
}

/* A path without zero bytes. */
static const char *check_path(lua_State *L, int index)
{
    size_t size;
    const char *path = luaL_checklstring(L, index, &size);
    luaL_argcheck(L, strlen(path) == size, index, "the path has a zero byte");
    return path;
}

/* ---- files to be read ---- */

int ml_http_file_number(lua_State *L, int index)
{
    const struct descriptor *d = ml_test_object(L, index, file_type);
    if (d != NULL)
        return d->number;
    luaL_Stream *file = luaL_checkudata(L, index, LUA_FILEHANDLE);
    return file->closef != NULL ? fileno(file->f) : -1;
}

void ml_http_file_close(lua_State *L, int index)
{
    struct descriptor *d = ml_test_object(L, index, file_type);
    if (d != NULL)
        close_descriptor(d);
}

/* The directory at 1 (nil: whatever the path leads to), a path at 2: a descriptor or an error. */
static int open_path(lua_State *L)
{
    const char *path = check_path(L, 2);
    if (lua_isnil(L, 1)) {
        int number = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        return number < 0 ? -errno : number;
    }
    const struct descriptor *root = ml_check_object(L, 1, root_type);
    if (root->number < 0)
        return -EBADF;
    return ml_beneath_open(root->number, path, lua_toboolean(L, 3));
}

/* -EISDIR for a directory, -EACCES for what is no file: FIFOs, devices. */
static int check_kind(const struct stat *stat)
{
    return S_ISREG(stat->st_mode) ? 0 : S_ISDIR(stat->st_mode) ? -EISDIR : -EACCES;
}

/*
 * open(root, path[, is_plain]) -> file, its size, when it was changed in seconds since 1970 and
 * nanoseconds, a number that no other file of the system has; or nil, message, code. Without a
 * root: any file.
 */
static int open_file(lua_State *L)
{
    struct stat stat;
    lua_settop(L, 3);
    struct descriptor *d = push_descriptor(L, file_type);
    int number = open_path(L);
    int error = number < 0 ? number : fstat(number, &stat) != 0 ? -errno : 0;
    d->number = number < 0 ? -1 : number;
    if (error == 0)
        error = check_kind(&stat);
    if (error != 0) {
        close_descriptor(d);
        return ml_push_failure(L, error);
    }
    lua_pushinteger(L, stat.st_size);
    lua_pushinteger(L, stat.st_mtim.tv_sec);
    lua_pushinteger(L, stat.st_mtim.tv_nsec);
    lua_pushinteger(L, (lua_Integer)((uint64_t)stat.st_ino ^ (uint64_t)stat.st_dev << 48));
    return 5;
}

/* root(path) -> root; or nil, message, code. */
static int open_root(lua_State *L)
{
    const char *path = check_path(L, 1);
    struct descriptor *d = push_descriptor(L, root_type);
    int number = ml_beneath_root(path);
    if (number < 0)
        return ml_push_failure(L, number);
    d->number = number;
    return 1;
}

/* ---- listings ---- */

struct listing {
    DIR *stream; /* NULL: closed */
};

static int listing_close(lua_State *L)
{
    struct listing *listing = ml_check_object(L, 1, listing_type);
    if (listing->stream != NULL)
        closedir(listing->stream);
    listing->stream = NULL;
    return 0;
}

static int begin_listing(struct listing *listing, int number)
{
    if (number < 0)
        return number;
    listing->stream = fdopendir(number);
    int error = listing->stream == NULL ? -errno : 0;
    if (error != 0)
        close(number);
    return error;
}

/* Directories end with a slash. What is neither file nor directory nor link is left out. */
static void read_listing(lua_State *L, struct listing *listing)
{
    const struct dirent *entry;
    lua_Integer count = 0;
    while ((entry = readdir(listing->stream)) != NULL) {
        bool is_directory = entry->d_type == DT_DIR;
        if (!is_directory && entry->d_type != DT_REG && entry->d_type != DT_LNK &&
            entry->d_type != DT_UNKNOWN)
            continue;
        lua_pushfstring(L, is_directory ? "%s/" : "%s", entry->d_name);
        lua_rawseti(L, -2, ++count);
    }
}

/* list(root, path[, is_plain]) -> names, without order; or nil, message, code. */
static int list(lua_State *L)
{
    lua_settop(L, 3);
    ml_check_object(L, 1, root_type);
    struct listing *listing = ml_push_object(L, listing_type, sizeof *listing, 0);
    lua_toclose(L, 4);
    lua_newtable(L);
    int error = begin_listing(listing, open_path(L));
    if (error != 0)
        return ml_push_failure(L, error);
    read_listing(L, listing);
    return 1;
}

int ml_open_http_files(lua_State *L)
{
    static const luaL_Reg functions[] = {{"open", open_file},
                                         {"root", open_root},
                                         {"list", list},
                                         {"create", ml_saved_file_create},
                                         {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg closing[] = {{"close", descriptor_close}, {NULL, NULL}};
    static const luaL_Reg of_descriptor[] = {
        {"__gc", descriptor_close}, {"__close", descriptor_close}, {NULL, NULL}};
    static const luaL_Reg of_listing[] = {
        {"__gc", listing_close}, {"__close", listing_close}, {NULL, NULL}};
    ml_open_object_type(L, file_type, closing, of_descriptor);
    ml_open_object_type(L, root_type, closing, of_descriptor);
    ml_open_object_type(L, listing_type, none, of_listing);
    ml_open_file_calls(L);
    ml_open_saved_files(L);
    luaL_newlib(L, functions);
    return 1;
}
