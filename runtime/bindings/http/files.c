/* What stdlib/moonlet/http/files.lua is made of. */
#include "bindings/http/files.h"

#include "bindings/core/failure.h"
#include "bindings/core/lua_runtime.h"
#include "bindings/core/object.h"
#include "bindings/file/file_call.h"
#include "bindings/file/whole.h"
#include "bindings/http/saved_file.h"
#include "system/file/served.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char file_type[] = "serving.file", root_type[] = "serving.root";

struct descriptor {
    int number;      /* -1: closed */
    uint64_t recent; /* of the file as it was opened, for struct ml_stream; 0: none */
};

static void close_descriptor(int *number)
{
    if (*number >= 0)
        close(*number);
    *number = -1;
}

static int descriptor_close(lua_State *L)
{
    struct descriptor *d = ml_check_object(L, 1, file_type);
    close_descriptor(&d->number);
    return 0;
}

static int root_close(lua_State *L)
{
    struct ml_served_root *root = ml_check_object(L, 1, root_type);
    close_descriptor(&root->fd);
    return 0;
}

/* What is known of the disks. */
static struct ml_disks *disks_of(lua_State *L)
{
    return ml_to_object(L, lua_upvalueindex(1));
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

uint64_t ml_http_file_recent(lua_State *L, int index)
{
    const struct descriptor *d = ml_test_object(L, index, file_type);
    return d != NULL ? d->recent : 0;
}

void ml_http_file_close(lua_State *L, int index)
{
    struct descriptor *d = ml_test_object(L, index, file_type);
    if (d != NULL)
        close_descriptor(&d->number);
}

/* ---- calls of workers ---- */

/* Makes the call whose owner is on top of the stack; without a task, as while a host sets up a
 * server, on this thread. A result, or an error. */
static int make(lua_State *L, struct ml_file_call *call)
{
    bool has_task = ml_lua_of(L)->hub.current != NULL;
    int result = has_task ? ml_make_file_call(L) : call->make(call);
    if (result >= 0 && call->fd >= 0)
        ml_disks_learn(disks_of(L), &call->status, result == 1);
    return result;
}

/* Pushes a call for the path at 2, below the root at 1, plainly if 3 is true. The worker has a
 * descriptor of its own: the root may be closed meanwhile. 0 or an error. */
static int push_call(lua_State *L, int (*function)(struct ml_file_call *),
                     struct ml_file_call **call)
{
    const struct ml_served_root *root = lua_isnil(L, 1) ? NULL : ml_check_object(L, 1, root_type);
    *call = ml_push_file_call(L, function, false, lua_tostring(L, 2), NULL, NULL, 0);
    (*call)->flags = (unsigned)lua_toboolean(L, 3);
    if (root == NULL)
        return 0;
    (*call)->fd = fcntl(root->fd, F_DUPFD_CLOEXEC, 3);
    return (*call)->fd < 0 ? -errno : 0;
}

/* Opens the file. A descriptor, or an error. */
static int open_by_worker(lua_State *L, struct statx *status)
{
    struct ml_file_call *call;
    int number = push_call(L, ml_served_make_open, &call);
    if (number == 0)
        number = make(L, call);
    if (number >= 0) {
        number = call->fd;
        *status = call->status;
        call->fd = -1;
    }
    ml_free_file_call(L, -1);
    return number;
}

/* -EAGAIN: a worker has to. */
static int open_at_once(lua_State *L, const char *path, struct statx *status)
{
    const struct ml_served_root *root = lua_isnil(L, 1) ? NULL : ml_check_object(L, 1, root_type);
    if (lua_toboolean(L, 3))
        return -EAGAIN;
    return root == NULL ? ml_quick_open(disks_of(L), path, status)
                        : ml_served_open(root, path, status);
}

/* -EISDIR for a directory, -EACCES for what is no file: FIFOs, devices. */
static int check_kind(const struct statx *status)
{
    return S_ISREG(status->stx_mode) ? 0 : S_ISDIR(status->stx_mode) ? -EISDIR : -EACCES;
}

/* A number that no other file of the system has. */
static lua_Integer identity_of(const struct statx *status)
{
    uint64_t disk = (uint64_t)status->stx_dev_major << 20 | status->stx_dev_minor;
    return (lua_Integer)(status->stx_ino ^ disk << 48);
}

/* The number of a file as it is now: of one that has changed it is another. */
static uint64_t recent_of(const struct statx *status)
{
    uint64_t changed = (uint64_t)status->stx_mtime.tv_sec << 30 ^ status->stx_mtime.tv_nsec;
    return ml_recent_part((uint64_t)identity_of(status), changed, status->stx_size);
}

/*
 * open(root, path[, is_plain]) -> file, its size, when it was changed in seconds since 1970 and
 * nanoseconds, a number that no other file of the system has; or nil, message, code. Without a
 * root: any file. May wait.
 */
static int open_file(lua_State *L)
{
    struct statx status;
    const char *path = check_path(L, 2);
    lua_settop(L, 3);
    struct descriptor *d = ml_push_object(L, file_type, sizeof *d, 0);
    d->number = -1;
    d->number = open_at_once(L, path, &status);
    d->recent = d->number >= 0 ? recent_of(&status) : 0; /* only of disks that ask no server */
    if (d->number == -EAGAIN)
        d->number = open_by_worker(L, &status);
    int error = d->number < 0 ? d->number : check_kind(&status);
    if (error != 0) {
        close_descriptor(&d->number);
        return ml_push_failure(L, error);
    }
    lua_settop(L, 4);
    lua_pushinteger(L, (lua_Integer)status.stx_size);
    lua_pushinteger(L, status.stx_mtime.tv_sec);
    lua_pushinteger(L, status.stx_mtime.tv_nsec);
    lua_pushinteger(L, identity_of(&status));
    return 5;
}

static int open_root_by_worker(lua_State *L, struct ml_served_root *root, const char *path)
{
    struct ml_file_call *call =
        ml_push_file_call(L, ml_served_make_root, false, path, NULL, NULL, 0);
    int result = make(L, call);
    if (result >= 0) {
        *root = (struct ml_served_root){.fd = call->fd};
        ml_served_root_describe(root, &call->status, result == 1);
        call->fd = -1;
    }
    ml_free_file_call(L, -1);
    return result < 0 ? result : 0;
}

/* root(path[, former]) -> root; or nil, message, code. May wait. `former`, a root of the same path,
 * comes back if it still is what the path leads to. */
static int open_root(lua_State *L)
{
    const char *path = check_path(L, 1);
    lua_settop(L, 2);
    const struct ml_served_root *former = ml_test_object(L, 2, root_type);
    if (former != NULL && ml_served_root_is_current(former, path))
        return 1;
    lua_settop(L, 1);
    struct ml_served_root *root = ml_push_object(L, root_type, sizeof *root, 0);
    root->fd = -1;
    int error = ml_served_root_open(root, disks_of(L), path);
    if (error == -EAGAIN)
        error = open_root_by_worker(L, root, path);
    lua_settop(L, 2);
    return error == 0 ? 1 : ml_push_failure(L, error);
}

/* ---- listings ---- */

static void push_names(lua_State *L, const struct ml_file_call *call)
{
    lua_Integer count = 0;
    lua_newtable(L);
    for (size_t at = 0; at < call->size; at += strlen(call->data + at) + 1) {
        lua_pushstring(L, call->data + at);
        lua_rawseti(L, -2, ++count);
    }
}

/* list(root, path[, is_plain]) -> names, without order; or nil, message, code. May wait. */
static int list(lua_State *L)
{
    check_path(L, 2);
    lua_settop(L, 3);
    ml_check_object(L, 1, root_type);
    struct ml_file_call *call;
    int error = push_call(L, ml_served_make_list, &call);
    if (error == 0)
        error = make(L, call);
    if (error == 0)
        push_names(L, call);
    ml_free_file_call(L, 4);
    return error == 0 ? 1 : ml_push_failure(L, error);
}

int ml_open_http_files(lua_State *L)
{
    static const luaL_Reg functions[] = {{"open", open_file},
                                         {"root", open_root},
                                         {"list", list},
                                         {"create", ml_saved_file_create},
                                         {NULL, NULL}};
    static const luaL_Reg closing[] = {{"close", descriptor_close}, {NULL, NULL}};
    static const luaL_Reg closing_root[] = {{"close", root_close}, {NULL, NULL}};
    static const luaL_Reg of_descriptor[] = {
        {"__gc", descriptor_close}, {"__close", descriptor_close}, {NULL, NULL}};
    static const luaL_Reg of_root[] = {{"__gc", root_close}, {"__close", root_close}, {NULL, NULL}};
    ml_open_object_type(L, file_type, closing, of_descriptor);
    ml_open_object_type(L, root_type, closing_root, of_root);
    ml_open_file_calls(L);
    ml_open_saved_files(L);
    luaL_newlibtable(L, functions);
    ml_push_disks(L);
    luaL_setfuncs(L, functions, 1);
    return 1;
}
