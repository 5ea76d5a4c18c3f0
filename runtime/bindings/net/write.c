/*** @submodule moonlet.net */
/* The writing methods of a stream, and its two ways to end the output. */
#include "bindings/net/write.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/time_limit.h"
#include "bindings/net/stream_object.h"
#include "io/send_file.h"
#include "system/file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

/* ---- write ---- */

/* Replaces the list at `index` by a list of its elements as strings, which no other code can change
 * while the write waits. */
static void copy_list(lua_State *L, int index)
{
    lua_Integer count = luaL_len(L, index);
    lua_createtable(L, count > 0 && count < INT_MAX ? (int)count : 0, 0);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_geti(L, index, i);
        if (lua_tolstring(L, -1, NULL) == NULL)
            luaL_error(L, "bad argument #%d to 'write' (element %d of the list is a %s)", index - 1,
                       (int)i, luaL_typename(L, -1));
        lua_rawseti(L, -2, i);
    }
    lua_replace(L, index);
}

/* Checks the value at `index`, and turns it into a string or a list of strings; returns the number
 * of pieces. */
static size_t prepare(lua_State *L, int index)
{
    if (lua_istable(L, index)) {
        copy_list(L, index);
        return lua_rawlen(L, index);
    }
    if (lua_tolstring(L, index, NULL) == NULL)
        luaL_typeerror(L, index, "string, number or list of them");
    return 1;
}

static struct iovec piece_of(lua_State *L, int index)
{
    struct iovec piece;
    piece.iov_base = (void *)lua_tolstring(L, index, &piece.iov_len);
    return piece;
}

/* Adds the pieces of the prepared value at `index`; returns the place behind them. */
static struct iovec *add_pieces(lua_State *L, int index, struct iovec *pieces)
{
    if (!lua_istable(L, index)) {
        *pieces = piece_of(L, index);
        return pieces + 1;
    }
    size_t count = lua_rawlen(L, index);
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, index, (lua_Integer)i);
        *pieces++ = piece_of(L, -1);
        lua_pop(L, 1);
    }
    return pieces;
}

/* nil, message, code, bytes sent. */
static int push_write_failure(lua_State *L, const struct ml_stream *s, int error, uint64_t sent)
{
    ml_push_stream_failure(L, s, error);
    lua_pushinteger(L, (lua_Integer)sent);
    return 4;
}

/***
Writes all values without joining them first. They are contiguous in the stream, even if other tasks
write. May wait.
@function stream:write
@param ... strings, numbers, or lists of them
@treturn boolean true once the kernel has all; or nil, message, code, bytes sent
*/
int ml_net_stream_write(lua_State *L)
{
    enum { FEW = 8 };
    struct ml_stream *s = ml_check_stream_or_file(L, 1);
    int last = lua_gettop(L);
    size_t count = 0;
    for (int i = 2; i <= last; i++)
        count += prepare(L, i);
    luaL_argcheck(L, count < INT_MAX, 2, "too many pieces");
    struct iovec few[FEW];
    struct iovec *pieces = count <= FEW ? few : lua_newuserdatauv(L, count * sizeof *pieces, 0);
    struct iovec *end = pieces;
    for (int i = 2; i <= last; i++)
        end = add_pieces(L, i, end);
    size_t sent;
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, ml_stream_write(s, pieces, (int)count, &sent));
    if (error != 0)
        return push_write_failure(L, s, error, sent);
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- sendfile ---- */

/* The file to send. `handle` is io's, `opened` is moonlet.fs's, whose position moves on; NULL:
 * there is none. */
struct outgoing {
    int fd;
    off_t offset;
    luaL_Stream *handle;
    struct ml_file *opened;
};

/* A descriptor of our own: the script may close the handle while the task waits. */
static int open_handle(struct outgoing *file, luaL_Stream *handle, lua_Integer offset)
{
    off_t position = offset;
    if (fflush(handle->f) != 0 && errno != EBADF)
        return -errno;
    if (offset < 0) {
        position = ftello(handle->f);
        file->handle = handle;
    }
    if (position < 0)
        return -errno;
    file->offset = position;
    file->fd = fcntl(fileno(handle->f), F_DUPFD_CLOEXEC, 3);
    return file->fd >= 0 ? 0 : -errno;
}

/* The same for a file of moonlet.fs. -ESPIPE: a FIFO or a terminal; -EBUSY: a task is reading. */
static int open_opened(struct outgoing *file, struct ml_file *opened, lua_Integer offset)
{
    int error = offset < 0 ? ml_file_settle(opened) : 0;
    if (error == 0 && !opened->is_disk)
        error = -ESPIPE;
    if (error != 0)
        return error;
    file->offset = offset < 0 ? opened->at : offset;
    file->opened = offset < 0 ? opened : NULL;
    file->fd = fcntl(opened->descriptor->fd, F_DUPFD_CLOEXEC, 3);
    return file->fd >= 0 ? 0 : -errno;
}

/* A FIFO is opened without waiting for its other end; its first read fails. */
static int open_path(struct outgoing *file, const char *path, lua_Integer offset)
{
    file->offset = offset < 0 ? 0 : offset;
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return file->fd >= 0 ? 0 : -errno;
}

static int send_outgoing(struct ml_stream *s, const struct outgoing *file, uint64_t count,
                         uint64_t *sent)
{
    int error = ml_stream_send_file(s, file->fd, file->offset, count, sent);
    close(file->fd);
    if (file->handle != NULL && file->handle->closef != NULL)
        fseeko(file->handle->f, file->offset + (off_t)*sent, SEEK_SET);
    if (file->opened != NULL)
        ml_file_go_to(file->opened, file->offset + (off_t)*sent);
    return error;
}

/* The arguments that say which file: one of the three is not NULL. */
struct named_file {
    luaL_Stream *handle;
    struct ml_file *opened;
    const char *path;
};

static struct named_file check_named_file(lua_State *L, int index)
{
    struct named_file named = {.handle = luaL_testudata(L, index, LUA_FILEHANDLE)};
    if (named.handle == NULL && lua_isuserdata(L, index))
        named.opened = ml_test_object(L, index, ml_file_type);
    bool is_closed = (named.handle != NULL && named.handle->closef == NULL) ||
                     (named.opened != NULL && named.opened->descriptor == NULL);
    luaL_argcheck(L, !is_closed, index, "attempt to use a closed file");
    if (named.handle == NULL && named.opened == NULL)
        named.path = luaL_checkstring(L, index);
    return named;
}

static int open_named(struct outgoing *file, const struct named_file *named, lua_Integer offset)
{
    if (named->opened != NULL)
        return open_opened(file, named->opened, offset);
    return named->handle != NULL ? open_handle(file, named->handle, offset)
                                 : open_path(file, named->path, offset);
}

/* A number of bytes, -1 if it is absent. */
static lua_Integer check_bytes(lua_State *L, int index)
{
    if (lua_isnoneornil(L, index))
        return -1;
    lua_Integer bytes = luaL_checkinteger(L, index);
    luaL_argcheck(L, bytes >= 0, index, "must not be negative");
    return bytes;
}

/***
Writes a file's content, contiguous in the stream; the kernel moves the bytes where it can. May
wait, also for a disk: other tasks run meanwhile.
@function stream:sendfile
@param file one of io's, flushed before, one of moonlet.fs's, or a path. It must be readable at any
offset, as a pipe is not
@tparam[opt] integer offset where in the file to begin. Without one an open file is sent from its
position, which moves past the bytes sent; with one the position stays. A path begins at 0
@tparam[opt] integer count bytes at most; without it all up to the end of the file
@treturn boolean true once the kernel has all; or nil, message, code, bytes sent
@treturn integer bytes sent
*/
int ml_net_stream_send_file(lua_State *L)
{
    struct ml_stream *s = ml_check_stream(L, 1);
    struct named_file named = check_named_file(L, 2);
    lua_Integer offset = check_bytes(L, 3);
    uint64_t count = (uint64_t)check_bytes(L, 4); /* -1: as many as possible */
    struct outgoing file = {0};
    uint64_t sent = 0;
    ml_blocking_begin(L);
    int error = open_named(&file, &named, offset);
    bool is_open = error == 0;
    if (is_open)
        error = send_outgoing(s, &file, count, &sent);
    ml_blocking_end(L, error);
    if (error != 0) {
        push_write_failure(L, s, error, sent);
        if (!is_open && named.path != NULL) {
            lua_pushfstring(L, "%s: %s", named.path, ml_error_text(error));
            lua_replace(L, -4);
        }
        return 4;
    }
    lua_pushboolean(L, 1);
    lua_pushinteger(L, (lua_Integer)sent);
    return 2;
}

/* ---- the end ---- */

static int push_ended(lua_State *L, const struct ml_stream *s, int error)
{
    if (error != 0)
        return ml_push_stream_failure(L, s, error);
    lua_pushboolean(L, 1);
    return 1;
}

/***
Ends the output: the peer reads the end of the stream, and may still write. May wait for writers.
@function stream:shutdown
@tparam[opt="write"] string how only "write"
@treturn boolean true; or nil, message, code
*/
int ml_net_stream_shutdown(lua_State *L)
{
    struct ml_stream *s = ml_check_stream(L, 1);
    luaL_argcheck(L, strcmp(luaL_optstring(L, 2, "write"), "write") == 0, 2,
                  "only \"write\" can be shut down");
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, ml_stream_shutdown_write(s));
    return push_ended(L, s, error);
}

/***
Ends the output, drops further input, waits for the end of the peer's output and closes. So the peer
gets everything; close() with input unread could cut it off. Closes in any case, unless another task
reads ("EBUSY"). May wait.
@function stream:finish
@tparam[opt] number s seconds for the whole call
@tparam[opt=16777216] integer max bytes to drop; a peer that sends more is "EMSGSIZE"
@treturn boolean true once the peer has ended, too; or nil, message, code
*/
int ml_net_stream_finish(lua_State *L)
{
    enum { DROP_MAX_DEFAULT = 16 * 1024 * 1024 };
    struct ml_stream *s = ml_check_stream(L, 1);
    ml_time deadline = ml_check_deadline(L, 2);
    lua_Integer max = check_bytes(L, 3);
    ml_blocking_begin(L);
    int error = ml_stream_finish(s, max < 0 ? DROP_MAX_DEFAULT : (size_t)max, deadline);
    error = ml_blocking_end(L, error);
    int results = push_ended(L, s, error);
    if (error == -EMSGSIZE || error == -EBUSY) {
        lua_pushstring(L, error == -EBUSY ? "another task is reading this stream"
                                          : "the peer does not stop sending");
        lua_replace(L, -3);
    }
    if (error == -ML_ETLS)
        ml_stream_close(s);
    return results;
}
