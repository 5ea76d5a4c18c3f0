/*** @submodule moonlet.net */
/* The reading methods of a stream, and its iterators. */
#include "bindings/net/read.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/object.h"
#include "bindings/net/numeral.h"
#include "bindings/net/stream_object.h"
#include "io/stream.h"
#include "io/stream_state.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

/* The longest line, unless the script gives a limit. */
enum { LINE_MAX_DEFAULT = 64 * 1024 };

/* A count of bytes, at least `least`; absent: `otherwise`. */
static size_t check_size(lua_State *L, int index, lua_Integer least, size_t otherwise)
{
    if (lua_isnoneornil(L, index))
        return otherwise;
    lua_Integer size = luaL_checkinteger(L, index);
    luaL_argcheck(L, size >= least, index,
                  least > 0 ? "size must be positive" : "size must not be negative");
    return (size_t)size;
}

/* The most bytes that a read gathers if the script gives no limit: the stream's own limit, or
 * `otherwise`. */
static size_t limit_of(const struct ml_stream *s, size_t otherwise)
{
    return s->limit > 0 ? s->limit : otherwise;
}

/* One way to read, with its parameters. */
struct read_request {
    enum {
        READ_SOME,
        READ_EXACTLY,
        READ_UP_TO,
        READ_NOTHING, /* unless the stream has ended */
        READ_UNTIL,
        READ_LINE,
        READ_ALL,
        READ_NUMBER,
        PEEK
    } kind;
    size_t size; /* bytes, or the most of them */
    const char *delimiter;
    size_t delimiter_length;
    enum { KEEP_END, STRIP_LF, STRIP_CRLF } end;
};

static int push_read_failure(lua_State *L, const struct ml_stream *s, int error,
                             const struct read_request *request)
{
    ml_push_stream_failure(L, s, error);
    if (error == -EBUSY)
        ml_push_stream_message(L, s, "another task is reading this stream");
    else if (error == -EMSGSIZE)
        ml_push_stream_message(L, s,
                               request->kind == READ_LINE ? "line too long" : "input too long");
    else
        return 3;
    lua_replace(L, -3);
    return 3;
}

static int read_piece(struct ml_stream *s, const struct read_request *request,
                      struct ml_piece_of_input *piece)
{
    switch (request->kind) {
    case READ_SOME:
        return ml_stream_read_some(s, request->size, piece);
    case READ_EXACTLY:
        return ml_stream_read_exactly(s, request->size, false, piece);
    case READ_UP_TO:
    case READ_NOTHING:
    case PEEK:
        return ml_stream_read_exactly(s, request->size, true, piece);
    case READ_UNTIL:
        return ml_stream_read_until(s, request->delimiter, request->delimiter_length, request->size,
                                    false, piece);
    case READ_LINE:
        return ml_stream_read_until(s, "\n", 1, request->size, true, piece);
    case READ_ALL:
        return ml_stream_read_all(s, request->size, piece);
    case READ_NUMBER:
        break;
    }
    return -EINVAL;
}

/* Examines one byte after the other as long as they belong to a number: *taken of them. */
static int scan_numeral(struct ml_stream *s, size_t max, struct ml_numeral *numeral, size_t *taken)
{
    struct ml_piece_of_input piece;
    int result = ml_stream_read_exactly(s, 1, true, &piece);
    while (result == 0 && piece.size > *taken && ml_numeral_take(numeral, piece.data[*taken])) {
        ++*taken;
        result = *taken > max ? -EMSGSIZE : ml_stream_read_exactly(s, *taken + 1, true, &piece);
    }
    return result < 0 ? result : 0;
}

/* As find_read(). Text that is no number is taken, as io does, and the result is 1. */
static int find_number(lua_State *L, struct ml_stream *s, size_t max, size_t *taken)
{
    struct ml_numeral numeral = {0};
    ml_blocking_begin(L);
    int error = ml_blocking_end(L, scan_numeral(s, max, &numeral, taken));
    if (error != 0)
        return error;
    return lua_stringtonumber(L, numeral.text) > 0 ? 0 : 1;
}

static size_t size_without_end(const struct read_request *request,
                               const struct ml_piece_of_input *piece)
{
    size_t size = piece->size;
    if (request->end == KEEP_END || size == 0 || piece->data[size - 1] != '\n')
        return size;
    size--;
    if (request->end == STRIP_CRLF && size > 0 && piece->data[size - 1] == '\r')
        size--;
    return size;
}

/* Performs a read and pushes its result. 0; 1: there is none, as at the end of the stream; or a
 * negated error, nothing pushed. The bytes stay in the stream: the caller consumes *taken once all
 * is safe. */
static int find_read(lua_State *L, struct ml_stream *s, const struct read_request *request,
                     size_t *taken)
{
    struct ml_piece_of_input piece;
    *taken = 0;
    if (request->kind == READ_NUMBER)
        return find_number(L, s, request->size, taken);
    ml_blocking_begin(L);
    int result = ml_blocking_end(L, read_piece(s, request, &piece));
    if (result != 0)
        return result;
    if (request->kind == READ_NOTHING)
        piece.size = piece.taken = 0;
    *taken = request->kind == PEEK ? 0 : piece.taken;
    lua_pushlstring(L, piece.data, size_without_end(request, &piece));
    return 0;
}

static int perform_read(lua_State *L, struct ml_stream *s, const struct read_request *request)
{
    size_t taken;
    if (!s->is_reading)
        ml_stream_unhold(s);
    int result = find_read(L, s, request, &taken);
    if (result == 0)
        ml_stream_consume(s, taken);
    return result;
}

/* The usual results: the bytes, or nil at the end, or nil, message, code. */
static int return_read(lua_State *L, struct ml_stream *s, const struct read_request *request)
{
    int result = perform_read(L, s, request);
    if (result == 0)
        return 1;
    if (result < 0)
        return push_read_failure(L, s, result, request);
    lua_pushnil(L);
    return 1;
}

/***
Reads the bytes that are there, at least one. May wait.
@function stream:read_some
@tparam[opt=65536] integer max bytes at most
@treturn string or nil at the end of the stream; or nil, message, code
*/
int ml_net_stream_read_some(lua_State *L)
{
    struct ml_stream *s = ml_check_stream_or_file(L, 1);
    struct read_request request = {.kind = READ_SOME, .size = check_size(L, 2, 1, ML_IO_READ_SIZE)};
    return return_read(L, s, &request);
}

/***
The next n bytes, which stay for the next read; fewer only at the end. May wait.
@function stream:peek
@tparam[opt=1] integer n
@treturn string or nil at the end of the stream; or nil, message, code
*/
int ml_net_stream_peek(lua_State *L)
{
    struct ml_stream *s = ml_check_stream_or_file(L, 1);
    struct read_request request = {.kind = PEEK, .size = check_size(L, 2, 1, 1)};
    return return_read(L, s, &request);
}

/***
Reads n bytes. May wait.
@function stream:read_exactly
@tparam integer n
@treturn string or nil at the end; the end in the middle is nil, message, "EEOF", the bytes kept
*/
int ml_net_stream_read_exactly(lua_State *L)
{
    struct ml_stream *s = ml_check_stream_or_file(L, 1);
    luaL_checkinteger(L, 2);
    struct read_request request = {.kind = READ_EXACTLY, .size = check_size(L, 2, 0, 0)};
    return return_read(L, s, &request);
}

/***
Reads a line and strips its "\n" or "\r\n"; the last one may lack it. May wait.
@function stream:read_line
@tparam[opt=65536] integer max bytes, the end of the line included
@treturn string or nil at the end; a longer one is nil, "line too long", "EMSGSIZE", the bytes kept
*/
int ml_net_stream_read_line(lua_State *L)
{
    struct ml_stream *s = ml_check_stream_or_file(L, 1);
    struct read_request request = {.kind = READ_LINE,
                                   .size = check_size(L, 2, 1, limit_of(s, LINE_MAX_DEFAULT)),
                                   .end = STRIP_CRLF};
    return return_read(L, s, &request);
}

/***
Reads up to a delimiter. May wait.
@function stream:read_until
@tparam string delimiter
@tparam[opt=65536] integer max bytes, the delimiter included
@treturn string with the delimiter, or nil at the end; the end in the middle is nil, message,
"EEOF", more than max bytes without it nil, message, "EMSGSIZE", the bytes kept either way
*/
int ml_net_stream_read_until(lua_State *L)
{
    struct ml_stream *s = ml_check_stream_or_file(L, 1);
    struct read_request request = {.kind = READ_UNTIL,
                                   .size = check_size(L, 3, 1, limit_of(s, LINE_MAX_DEFAULT))};
    request.delimiter = luaL_checklstring(L, 2, &request.delimiter_length);
    luaL_argcheck(L, request.delimiter_length > 0, 2, "delimiter must not be empty");
    return return_read(L, s, &request);
}

/***
Reads all up to the end of the stream. May wait.
@function stream:read_all
@tparam[opt] integer max bytes
@treturn string "" at the end already; or nil, message, code
*/
int ml_net_stream_read_all(lua_State *L)
{
    struct ml_stream *s = ml_check_stream_or_file(L, 1);
    struct read_request request = {.kind = READ_ALL,
                                   .size = check_size(L, 2, 0, limit_of(s, SIZE_MAX))};
    return return_read(L, s, &request);
}

/* A format of io's read: a count, "n", "l", "L" or "a", with or without a star before it. */
static struct read_request read_format(lua_State *L, const struct ml_stream *s, int index)
{
    size_t max = limit_of(s, SIZE_MAX);
    if (lua_type(L, index) == LUA_TNUMBER) {
        size_t size = check_size(L, index, 0, 0);
        return size > 0 ? (struct read_request){.kind = READ_UP_TO, .size = size}
                        : (struct read_request){.kind = READ_NOTHING, .size = 1};
    }
    const char *format = luaL_optstring(L, index, "l");
    switch (format[format[0] == '*']) {
    case 'n':
        return (struct read_request){.kind = READ_NUMBER, .size = max};
    case 'l':
        return (struct read_request){.kind = READ_LINE, .size = max, .end = STRIP_LF};
    case 'L':
        return (struct read_request){.kind = READ_LINE, .size = max};
    case 'a':
        return (struct read_request){.kind = READ_ALL, .size = max};
    default:
        luaL_argerror(L, index, "invalid format");
    }
    return (struct read_request){0};
}

static void check_formats(lua_State *L, const struct ml_stream *s, int last)
{
    luaL_checkstack(L, last + LUA_MINSTACK, "too many formats");
    for (int i = 2; i <= last; i++)
        read_format(L, s, i);
}

/* Pushes the results of the formats at 2 to `last`, and nil for the first that finds nothing; the
 * count, or a negated error. Consumes nothing. */
static int find_formats(lua_State *L, struct ml_stream *s, int last, struct read_request *request)
{
    int result = 0;
    int count = 0;
    while (result == 0 && count < last - 1) {
        size_t taken;
        *request = read_format(L, s, count + 2);
        result = find_read(L, s, request, &taken);
        if (result >= 0)
            ml_stream_hold(s, taken);
        if (result == 1)
            luaL_pushfail(L);
        count++;
    }
    return result < 0 ? result : count;
}

/* The same, and consumes the bytes on success. *request: the last that was tried. */
static int perform_formats(lua_State *L, struct ml_stream *s, int last,
                           struct read_request *request)
{
    /* Gives back what an earlier, cancelled read held; not what another task holds now. */
    if (!s->is_reading)
        ml_stream_unhold(s);
    int count = find_formats(L, s, last, request);
    if (count >= 0)
        ml_stream_consume(s, 0);
    else if (count != -EBUSY)
        ml_stream_unhold(s);
    return count;
}

/***
Reads by formats, as io's files do. May wait.
@function stream:read
@param[opt="l"] ... a count of bytes (fewer only at the end; 0 gives "" unless the stream has
ended), "n" (a number), "l" (a line without its "\n"), "L" (with it), "a" (all)
@return for each format a string or number; the last is nil at the end, and where there is no
number. Or nil, message, code; then the next read finds the bytes that the formats before have read
*/
int ml_net_stream_read(lua_State *L)
{
    struct ml_stream *s = ml_check_stream_or_file(L, 1);
    struct read_request request;
    int last = lua_gettop(L);
    if (last == 1)
        lua_settop(L, ++last);
    check_formats(L, s, last);
    int count = perform_formats(L, s, last, &request);
    return count >= 0 ? count : push_read_failure(L, s, count, &request);
}

/* ---- iterators ---- */

/* After a step of an iterator failed: ends the loop, or raises. */
static int end_iteration(lua_State *L, const struct ml_stream *s, int error,
                         const struct read_request *request)
{
    if (error >= 0 || error == -ML_ECLOSED) {
        lua_pushnil(L);
        return 1;
    }
    push_read_failure(L, s, error, request);
    return ml_raise_failure(L);
}

/* Upvalue 1: the stream; upvalue 2: the request, as a userdata. */
static int next_read(lua_State *L)
{
    struct ml_stream *s = ml_to_object(L, lua_upvalueindex(1));
    const struct read_request *request = lua_touserdata(L, lua_upvalueindex(2));
    int result = perform_read(L, s, request);
    return result == 0 ? 1 : end_iteration(L, s, result, request);
}

static int push_iterator(lua_State *L, struct read_request request)
{
    lua_pushvalue(L, 1);
    *(struct read_request *)lua_newuserdatauv(L, sizeof request, 0) = request;
    lua_pushcclosure(L, next_read, 2);
    return 1;
}

/* Upvalue 1: the stream; 2: how many formats; then they. */
static int next_formats(lua_State *L)
{
    struct ml_stream *s = ml_to_object(L, lua_upvalueindex(1));
    int last = (int)lua_tointeger(L, lua_upvalueindex(2)) + 1;
    struct read_request request;
    lua_settop(L, 1);
    luaL_checkstack(L, last + LUA_MINSTACK, "too many formats");
    for (int i = 2; i <= last; i++)
        lua_pushvalue(L, lua_upvalueindex(i + 1));
    int count = perform_formats(L, s, last, &request);
    return count >= 0 ? count : end_iteration(L, s, count, &request);
}

static int push_format_iterator(lua_State *L, const struct ml_stream *s)
{
    enum { MOST = 250 };
    int last = lua_gettop(L);
    luaL_argcheck(L, last <= MOST, MOST, "too many formats");
    check_formats(L, s, last);
    lua_pushinteger(L, last - 1);
    lua_insert(L, 2);
    lua_pushcclosure(L, next_formats, last + 1);
    return 1;
}

/***
Iterates over the lines; ends at the end of the stream or when it is closed here. Waits as
read_line() does; other failures raise {message=, code=}.
@function stream:lines
@param[opt] ... formats of read(), each step gives their values, and the first nil ends the loop;
without one it gives lines as read_line() does
@treturn function():string an iterator
*/
int ml_net_stream_lines(lua_State *L)
{
    struct ml_stream *s = ml_check_stream_or_file(L, 1);
    if (!lua_isnoneornil(L, 2))
        return push_format_iterator(L, s);
    return push_iterator(L, (struct read_request){.kind = READ_LINE,
                                                  .size = limit_of(s, LINE_MAX_DEFAULT),
                                                  .end = STRIP_CRLF});
}

/***
Iterates over what arrives, as read_some() returns it. Otherwise like lines(). Waits as read_some()
does.
@function stream:chunks
@tparam[opt=65536] integer max bytes of each
@treturn function():string an iterator
*/
int ml_net_stream_chunks(lua_State *L)
{
    ml_check_stream_or_file(L, 1);
    struct read_request request = {.kind = READ_SOME, .size = check_size(L, 2, 1, ML_IO_READ_SIZE)};
    return push_iterator(L, request);
}
