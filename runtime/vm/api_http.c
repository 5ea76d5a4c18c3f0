/* The public functions for handlers of HTTP that are written in C. */
#include "moonlet.h"

#include "base/error.h"
#include "bindings/core/failure.h"
#include "bindings/http/request.h"
#include "bindings/http/request_object.h"
#include "bindings/http/types.h"
#include "http/answer.h"
#include "vm/moonlet_state.h"
#include "vm/runtimes.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

enum { MOST_FIELDS = 64 };

struct moonlet_request {
    struct moonlet *m;
    struct ml_http_exchange *x;
    struct ml_lua_request *object;
};

struct handler {
    moonlet_handler *function;
    void *context;
};

/* ---- calling ---- */

static int end_answer(struct moonlet_request *r)
{
    struct ml_http_exchange *x = r->x;
    if (x->phase != ML_HTTP_HEADED)
        return x->phase == ML_HTTP_UNSENT ? -ENODATA : 0;
    int error = ml_runtime_begin_wait(r->m);
    return error == 0 ? ml_runtime_end_wait(r->m, x->carrier->end(x, NULL, 0)) : error;
}

/* Upvalue: a handler. Called as (req, res). */
static int call_handler(lua_State *L)
{
    const struct handler *handler = lua_touserdata(L, lua_upvalueindex(1));
    struct ml_lua_request *object = ml_check_request(L, 1);
    if (object->x == NULL)
        return ml_push_exchange_over(L);
    struct moonlet_request r = {moonlet_of(L), object->x, object};
    int result = handler->function(&r, handler->context);
    if (result == 0)
        result = end_answer(&r);
    if (result == -ENODATA)
        return luaL_error(L, "the handler has not answered");
    if (result >= 0 || result == -ECANCELED)
        return 0; /* a cancellation is raised as this function returns */
    lua_pushstring(L, ml_error_text(result));
    lua_pushstring(L, ml_error_name(result));
    return ml_raise_failure(L);
}

/* Protected: pushes the handler at 1, a light userdata, as a function. */
static int make_function(lua_State *L)
{
    const struct handler *handler = lua_touserdata(L, 1);
    *(struct handler *)lua_newuserdatauv(L, sizeof *handler, 0) = *handler;
    lua_pushcclosure(L, call_handler, 1);
    return 1;
}

int moonlet_push_handler(struct moonlet *m, struct lua_State *L, moonlet_handler *function,
                         void *context)
{
    int error = ml_runtime_check(m);
    if (error != 0)
        return error;
    if (L == NULL || function == NULL || moonlet_of(L) != m)
        return -EINVAL;
    struct handler handler = {function, context};
    if (!lua_checkstack(L, 2))
        return -ENOMEM;
    lua_pushcfunction(L, make_function);
    lua_pushlightuserdata(L, &handler);
    bool is_done = lua_pcall(L, 1, 1, 0) == LUA_OK;
    if (!is_done)
        lua_pop(L, 1);
    return is_done ? 0 : -ENOMEM;
}

/* ---- the request ---- */

static struct ml_http_slice part_of(const struct ml_http_head *head, int part)
{
    switch (part) {
    case MOONLET_METHOD:
        return head->method;
    case MOONLET_TARGET:
        return head->target;
    case MOONLET_PATH:
        return head->path;
    case MOONLET_QUERY:
        return head->query;
    case MOONLET_HOST:
        return head->authority;
    }
    return (struct ml_http_slice){0};
}

static const char *bytes_of(const struct ml_http_head *head, struct ml_http_slice slice,
                            size_t *size)
{
    *size = slice.size;
    return slice.size > 0 ? ml_http_at(head, slice) : NULL;
}

const char *moonlet_request_part(const struct moonlet_request *r, int part, size_t *size)
{
    if (r == NULL || size == NULL)
        return NULL;
    return bytes_of(&r->x->head, part_of(&r->x->head, part), size);
}

const char *moonlet_request_field(const struct moonlet_request *r, const char *name, size_t *size)
{
    if (r == NULL || name == NULL || size == NULL)
        return NULL;
    const struct ml_http_head *head = &r->x->head;
    const struct ml_http_field *field = ml_http_find_name(head, name, strlen(name), NULL);
    *size = field != NULL ? field->value.size : 0;
    return field != NULL ? ml_http_at(head, field->value) : NULL;
}

bool moonlet_request_gone(const struct moonlet_request *r)
{
    return r == NULL || r->x->carrier->gone(r->x);
}

/* ---- the body ---- */

static int read_piece(struct ml_http_exchange *x, void *buffer, size_t size)
{
    struct ml_piece_of_input piece;
    int result = x->carrier->read_body(x, size < INT_MAX ? size : INT_MAX, &piece);
    if (result < 0)
        return result;
    if (result == 1)
        return 0;
    memcpy(buffer, piece.data, piece.size);
    x->carrier->consume(x, &piece);
    return (int)piece.size;
}

int moonlet_request_read(struct moonlet_request *r, void *buffer, size_t size)
{
    if (r == NULL || buffer == NULL || size == 0)
        return -EINVAL;
    int error = ml_runtime_begin_wait(r->m);
    if (error != 0)
        return error;
    r->object->use = ML_BODY_STREAMED;
    int result = read_piece(r->x, buffer, size);
    ml_runtime_end_wait(r->m, result < 0 ? result : 0);
    return result;
}

/* ---- the answer ---- */

/* 0, or -EINVAL: they cannot be sent. */
static int take_fields(const struct moonlet_field *fields, int count, struct ml_http_pair *pairs)
{
    if (count < 0 || count > MOST_FIELDS || (count > 0 && fields == NULL))
        return -EINVAL;
    for (int i = 0; i < count; i++) {
        if (fields[i].name == NULL || fields[i].value == NULL)
            return -EINVAL;
        size_t name_size = strlen(fields[i].name), value_size = strlen(fields[i].value);
        pairs[i] = (struct ml_http_pair){fields[i].name, fields[i].value, (uint32_t)name_size,
                                         (uint32_t)value_size};
        if (name_size > UINT16_MAX || value_size > INT32_MAX || !ml_http_pair_is_valid(&pairs[i]))
            return -EINVAL;
    }
    return 0;
}

/* What speaks against a head of that status; 0: nothing. */
static int check_head(const struct moonlet_request *r, int status)
{
    if (r == NULL || status < 200 || status > 599)
        return -EINVAL;
    return r->x->phase == ML_HTTP_UNSENT ? 0 : -EALREADY;
}

int moonlet_request_answer(struct moonlet_request *r, int status,
                           const struct moonlet_field *fields, int count, const void *body,
                           size_t size)
{
    struct ml_http_pair pairs[MOST_FIELDS];
    struct iovec piece = {.iov_base = (void *)body, .iov_len = size};
    int error = check_head(r, status);
    if (error == 0)
        error = take_fields(fields, count, pairs);
    if (error == 0 && size > 0 && (body == NULL || ml_http_status_is_bare(status)))
        error = -EINVAL;
    if (error == 0)
        error = ml_runtime_begin_wait(r->m);
    if (error != 0)
        return error;
    struct ml_http_answer answer = {status, pairs, count, (int64_t)size};
    return ml_runtime_end_wait(r->m, r->x->carrier->send_whole(r->x, &answer, &piece, 1));
}

int moonlet_request_begin(struct moonlet_request *r, int status, const struct moonlet_field *fields,
                          int count)
{
    struct ml_http_pair pairs[MOST_FIELDS];
    int error = check_head(r, status);
    if (error == 0)
        error = take_fields(fields, count, pairs);
    if (error == 0 && ml_http_status_is_bare(status))
        error = -EINVAL;
    if (error == 0)
        error = ml_runtime_begin_wait(r->m);
    if (error != 0)
        return error;
    struct ml_http_answer answer = {status, pairs, count, -1};
    return ml_runtime_end_wait(r->m, r->x->carrier->send_head(r->x, &answer));
}

int moonlet_request_write(struct moonlet_request *r, const void *data, size_t size)
{
    struct iovec piece = {.iov_base = (void *)data, .iov_len = size};
    if (r == NULL || (data == NULL && size > 0))
        return -EINVAL;
    if (r->x->phase != ML_HTTP_HEADED)
        return -EPIPE;
    int error = ml_runtime_begin_wait(r->m);
    if (error != 0 || size == 0)
        return error == 0 ? ml_runtime_end_wait(r->m, 0) : error;
    return ml_runtime_end_wait(r->m, r->x->carrier->send_body(r->x, &piece, 1));
}
