#include "bindings/http/tracing.h"

#include "bindings/core/lua_task.h"
#include "bindings/core/object.h"
#include "bindings/http/request_object.h"
#include "hub/state/trace.h"

enum { MOST_TEXT = 98 };

/* The address of an exchange is its number, while it is there. */
static void add(lua_State *L, const struct ml_http_exchange *x, enum ml_trace_event event)
{
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    struct ml_trace_record record = {.event = (uint8_t)event,
                                     .detail = ml_lua_task_of(hub->current)->L != L,
                                     .task = hub->current->waiter.slot,
                                     .argument = (uint32_t)((uintptr_t)x >> 4)};
    if (event == ML_TRACE_HTTP_END)
        record.more = (uint16_t)x->status;
    ml_trace_add(hub->trace, record);
}

void ml_http_trace_begin(lua_State *L, const struct ml_http_exchange *x)
{
    char text[MOST_TEXT + 1];
    const struct ml_http_head *head = &x->head;
    size_t size = 0;
    add(L, x, ML_TRACE_HTTP_BEGIN);
    for (size_t i = 0; i < head->method.size && size < MOST_TEXT; i++)
        text[size++] = ml_http_at(head, head->method)[i];
    if (size < MOST_TEXT)
        text[size++] = ' ';
    for (size_t i = 0; i < head->target.size && size < MOST_TEXT; i++)
        text[size++] = ml_http_at(head, head->target)[i];
    ml_trace_add_text(ml_lua_of(L)->hub.trace, text, size, MOST_TEXT);
}

/* Pushes the pattern of the request's route, or another value. */
static void push_route(lua_State *L, int request)
{
    enum { PATTERN = 2 }; /* bindings/http/routes.c */
    const struct ml_lua_request *req = ml_to_object(L, request);
    bool is_kept = (req->kept & 1u << ML_REQUEST_ROUTE_FIELD) != 0;
    lua_getiuservalue(L, request, is_kept ? ML_REQUEST_KEPT : ML_REQUEST_ROUTE);
    if (lua_istable(L, -1))
        lua_rawgeti(L, -1, is_kept ? ML_REQUEST_ROUTE_FIELD + 1 : PATTERN);
}

void ml_http_trace_end(lua_State *L, const struct ml_http_exchange *x, int request)
{
    int top = lua_gettop(L);
    add(L, x, ML_TRACE_HTTP_END);
    if (lua_checkstack(L, 2))
        push_route(L, request);
    size_t size = 0;
    const char *route =
        lua_type(L, -1) == LUA_TSTRING && lua_gettop(L) > top ? lua_tolstring(L, -1, &size) : NULL;
    if (route != NULL)
        ml_trace_add_text(ml_lua_of(L)->hub.trace, route, size, MOST_TEXT);
    lua_settop(L, top);
}
