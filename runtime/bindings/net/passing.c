/*** @submodule moonlet.net */
#include "bindings/net/passing.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/object.h"
#include "bindings/core/time_limit.h"
#include "bindings/net/datagram.h"
#include "bindings/net/listener.h"
#include "bindings/net/stream_object.h"
#include "io/listener.h"
#include "io/local_socket.h"
#include "io/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <lualib.h>
#include <stdio.h>
#include <unistd.h>

/* 0, or the reason why the stream cannot pass descriptors. */
static int require_local(const struct ml_stream *s)
{
    return ml_stream_is_local(s) ? 0 : ml_stream_is_open(s) ? -EOPNOTSUPP : -ML_ECLOSED;
}

static int push_passing_failure(lua_State *L, int error)
{
    const char *text = NULL;
    ml_push_failure(L, error);
    if (error == -EOPNOTSUPP)
        text = "not a plain stream of the Unix domain";
    else if (error == -EMSGSIZE)
        text = "too much input before a descriptor";
    else if (error == -EBUSY)
        text = "another task is reading this stream";
    if (text != NULL) {
        lua_pushstring(L, text);
        lua_replace(L, -3);
    }
    return 3;
}

/***
Returns the identity of the process at the other end of a stream of the Unix domain, as it was when
it connected or listened. Never waits.
@function stream:credentials
@treturn table `{pid=, uid=, gid=}`; or nil, message, code
*/
int ml_net_stream_credentials(lua_State *L)
{
    struct ucred who;
    struct ml_stream *s = ml_check_stream(L, 1);
    int error = require_local(s);
    if (error == 0)
        error = ml_local_socket_credentials(s, &who);
    if (error != 0)
        return push_passing_failure(L, error);
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, who.pid);
    lua_setfield(L, -2, "pid");
    lua_pushinteger(L, who.uid);
    lua_setfield(L, -2, "uid");
    lua_pushinteger(L, who.gid);
    lua_setfield(L, -2, "gid");
    return 1;
}

/* ---- sending ---- */

/* The object to pass. */
struct parcel {
    int fd;                     /* or a negated error */
    struct ml_local_path *path; /* goes to the receiver of the descriptor; NULL: none */
};

static struct parcel parcel_of_stream(lua_State *L, int index, struct ml_stream *s)
{
    bool is_plain = s->transport == &ml_socket_transport || ml_stream_is_local(s);
    if (ml_stream_is_open(s) && !is_plain)
        luaL_argerror(L, index, "only a plain stream over a socket can be passed");
    return (struct parcel){.fd = ml_stream_is_open(s) ? s->fd.number : -ML_ECLOSED,
                           .path = ml_stream_is_local(s) ? ml_local_socket_path(s) : NULL};
}

static struct parcel parcel_of_fd(const struct ml_fd *fd, struct ml_local_path *path)
{
    return (struct parcel){.fd = ml_fd_is_open(fd) ? fd->number : -ML_ECLOSED, .path = path};
}

static struct parcel check_parcel(lua_State *L, int index)
{
    struct ml_stream *s = ml_test_object(L, index, ml_stream_type);
    struct ml_listener *listener = ml_test_object(L, index, ml_listener_type);
    struct ml_datagram *d = ml_test_udp(L, index);
    luaL_Stream *file = luaL_testudata(L, index, LUA_FILEHANDLE);
    if (s != NULL)
        return parcel_of_stream(L, index, s);
    if (listener != NULL)
        return parcel_of_fd(&listener->fd, &listener->path);
    if (d != NULL)
        return parcel_of_fd(&d->fd, &d->path);
    if (file != NULL)
        return (struct parcel){.fd = file->closef != NULL ? fileno(file->f) : -ML_ECLOSED};
    if (!lua_isinteger(L, index))
        luaL_typeerror(L, index, "stream, listener, udp, file or integer");
    lua_Integer number = lua_tointeger(L, index);
    return (struct parcel){.fd = number >= 0 && number <= INT32_MAX ? (int)number : -EBADF};
}

bool ml_net_is_passable(lua_State *L, int index)
{
    return ml_test_object(L, index, ml_stream_type) != NULL ||
           ml_test_object(L, index, ml_listener_type) != NULL || ml_test_udp(L, index) != NULL ||
           luaL_testudata(L, index, LUA_FILEHANDLE) != NULL;
}

int ml_net_double_passed(lua_State *L, int index)
{
    struct parcel parcel = check_parcel(L, index);
    int fd = parcel.fd < 0 ? parcel.fd : fcntl(parcel.fd, F_DUPFD_CLOEXEC, 0);
    if (parcel.fd >= 0 && fd < 0)
        return -errno;
    if (fd >= 0 && parcel.path != NULL)
        ml_local_keep(parcel.path);
    return fd;
}

/***
Passes an open descriptor to the process at the other end of a stream of the Unix domain. It stays
open here, but a path to which it was bound is no longer removed when it is closed. Bytes of a file
or a stream that are buffered here do not go along. May wait.
@function stream:send_fd
@tparam stream|listener|udp|file*|integer what a stream, listener, udp, io file, or the number of a
descriptor
@tparam[opt] string data at least one byte, that goes along and is read by the other side as usual.
Without it a mark goes along that only recv_fd recognises and removes: give data if the other side
is not moonlet
@treturn boolean true; or nil, message, code
*/
int ml_net_stream_send_fd(lua_State *L)
{
    size_t size = 0, sent;
    struct ml_stream *s = ml_check_stream(L, 1);
    struct parcel parcel = check_parcel(L, 2);
    const char *data = luaL_optlstring(L, 3, NULL, &size);
    luaL_argcheck(L, data == NULL || size > 0, 3, "data must have at least one byte");
    int error = parcel.fd < 0 ? parcel.fd : require_local(s);
    if (error != 0)
        return push_passing_failure(L, error);
    ml_blocking_begin(L);
    error = ml_blocking_end(L, ml_local_socket_send_descriptor(s, parcel.fd, data, size, &sent));
    if (error != 0)
        return push_passing_failure(L, error);
    if (parcel.path != NULL)
        ml_local_keep(parcel.path);
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- receiving ---- */

static void set_nonblocking(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* Each pushes a closed object and then gives it the descriptor, so that this always has one owner.
 * 0 or an error. */

static int push_passed_stream(lua_State *L, struct ml_stream *from)
{
    struct ml_stream *s = ml_push_stream(L);
    int fd = ml_local_socket_take_descriptor(from);
    if (fd < 0)
        return fd;
    set_nonblocking(fd);
    return ml_socket_open_family(s, fd, ml_socket_option(fd, SO_DOMAIN, AF_UNSPEC));
}

static int push_passed_listener(lua_State *L, struct ml_stream *from)
{
    static const struct ml_socket_options plain;
    struct ml_listener *listener = ml_push_listener(L);
    int fd = ml_local_socket_take_descriptor(from);
    if (fd < 0)
        return fd;
    int error = ml_listener_adopt(listener, fd, &plain);
    if (error != 0)
        close(fd);
    return error;
}

static int push_passed_udp(lua_State *L, struct ml_stream *from)
{
    struct ml_datagram *d = ml_push_udp(L);
    int fd = ml_local_socket_take_descriptor(from);
    if (fd < 0)
        return fd;
    set_nonblocking(fd);
    ml_datagram_adopt(d, fd);
    return 0;
}

static int close_file(lua_State *L)
{
    luaL_Stream *file = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    return luaL_fileresult(L, fclose(file->f) == 0, NULL);
}

static const char *mode_of(int fd)
{
    int access = fcntl(fd, F_GETFL) & O_ACCMODE;
    return access == O_RDONLY ? "r" : access == O_WRONLY ? "w" : "r+";
}

static int push_passed_file(lua_State *L, struct ml_stream *from)
{
    luaL_Stream *file = lua_newuserdatauv(L, sizeof *file, 0);
    file->closef = NULL;
    luaL_setmetatable(L, LUA_FILEHANDLE);
    int fd = ml_local_socket_take_descriptor(from);
    if (fd < 0)
        return fd;
    file->f = fdopen(fd, mode_of(fd));
    if (file->f == NULL) {
        int error = -errno;
        close(fd);
        return error;
    }
    file->closef = close_file;
    return 0;
}

static int push_passed(lua_State *L, struct ml_stream *from)
{
    int fd = ml_local_socket_descriptor(from);
    switch (ml_socket_option(fd, SO_TYPE, -1)) {
    case SOCK_STREAM:
        return ml_socket_option(fd, SO_ACCEPTCONN, 0) ? push_passed_listener(L, from)
                                                      : push_passed_stream(L, from);
    case SOCK_DGRAM:
        return push_passed_udp(L, from);
    default:
        return push_passed_file(L, from);
    }
}

/***
Waits for a descriptor that the other side passes. Bytes that came before it stay, to be read as
usual. A descriptor that comes while the input behind it is read is closed, unless recv_fd is called
right after the read that met it. May wait.
@function stream:recv_fd
@tparam[opt] number timeout seconds; without it the time limit of reads
@return a stream, a listener, a udp or else an io file; nil at the end of the stream; or nil,
message, code
*/
int ml_net_stream_recv_fd(lua_State *L)
{
    struct ml_stream *s = ml_check_stream(L, 1);
    ml_time deadline = lua_isnoneornil(L, 2) ? ml_stream_read_deadline(s) : ml_check_deadline(L, 2);
    int result = require_local(s);
    if (result != 0)
        return push_passing_failure(L, result);
    ml_blocking_begin(L);
    result = ml_blocking_end(L, ml_local_socket_await_descriptor(s, deadline));
    if (result == 0)
        result = push_passed(L, s);
    if (result == 0)
        return 1;
    if (result < 0)
        return push_passing_failure(L, result);
    lua_pushnil(L);
    return 1;
}
