/*
 * What the files of the HTTP server share: the userdata behind requests and responses, and how they
 * lead to the exchange. After the handler both lead nowhere.
 */
#ifndef ML_BINDINGS_HTTP_TYPES_H
#define ML_BINDINGS_HTTP_TYPES_H

#include "bindings/core/blocking.h"
#include "bindings/core/lua_runtime.h"
#include "bindings/core/object.h"
#include "http/connection.h"

struct ml_http2_connection;

extern const char ml_http_server_type[], ml_http_connection_type[];
extern const char ml_http_request_type[], ml_http_response_type[];

/* How the body of a request is read. */
enum ml_body_use { ML_BODY_UNREAD, ML_BODY_KEPT, ML_BODY_STREAMED };

struct ml_lua_request {
    struct ml_http_exchange *x; /* NULL: it is over */
    uint32_t kept;              /* bits: fields that stand in user value 1 */
    enum ml_body_use use;
    int blamed; /* the last status that core.blame() told of; 0: the body is not wrong */
};

/* User values: a table of what was made of it so far, or nil; the connection, which keeps the
 * exchange's memory alive; the route of a router, or nil. */
enum {
    ML_REQUEST_KEPT = 1,
    ML_REQUEST_CONNECTION = 2,
    ML_REQUEST_ROUTE = 3,
    ML_REQUEST_VALUES = 3
};

/* The kind of body that an answer is going to have. */
enum ml_body_kind {
    ML_BODY_UNSAID,
    ML_BODY_TEXT, /* user value ML_RESPONSE_BODY: a string */
    ML_BODY_FILE  /* the same: a file, of which `length` bytes from `offset` on */
};

struct ml_lua_response {
    struct ml_http_exchange *x; /* NULL: it is over */
    int status;                 /* 0: not set */
    enum ml_body_kind kind;
    const char *type; /* that of the body unless the headers say otherwise; NULL: not known */
    bool has_headers, has_trailers;
    bool holds;             /* ML_RESPONSE_HELD is to be closed */
    bool is_coded;          /* its body goes through ML_RESPONSE_ENCODER */
    int64_t offset, length; /* of a file */
};

#define ML_RESPONSE_TEXT "text/plain; charset=utf-8"
#define ML_RESPONSE_JSON "application/json"

enum {
    ML_RESPONSE_REQUEST = 1,
    ML_RESPONSE_HEADERS = 2,
    ML_RESPONSE_BODY = 3,
    ML_RESPONSE_TRAILERS = 4,
    ML_RESPONSE_PARTS =
        5, /* of a body that is a file: a list, bindings/http/response_body.c; or nil */
    ML_RESPONSE_HELD = 6, /* something with close() */
    ML_RESPONSE_ENCODER = 7,
    ML_RESPONSE_VALUES = 7
};

/* A connection at the server. What its tasks hold is freed here, too, if they were dropped where
 * they stood. */
struct ml_lua_connection {
    struct ml_http_connection http1;
    struct ml_http2_connection *http2; /* NULL: it is none */
};

/* User values of a connection. */
enum { ML_CONNECTION_STREAM = 1, ML_CONNECTION_SERVER = 2, ML_CONNECTION_VALUES = 2 };

/* User values of a server: the functions that stdlib gives, connections of HTTP/2 by their stream,
 * the metatables of requests and responses, the connections that are served. */
enum {
    ML_SERVER_HANDLER = 1, /* (req, res) */
    ML_SERVER_SETTLE = 2,  /* (req, res, {error, traceback}): what a handler's failure answers */
    ML_SERVER_CLIENT = 3,  /* (peer, scheme, host, headers): what proxies tell of these three */
    ML_SERVER_LOG = 4,     /* (req, status, bytes, seconds) */
    ML_SERVER_STREAMS = 5,
    ML_SERVER_REQUESTS = 6,
    ML_SERVER_RESPONSES = 7,
    ML_SERVER_OPEN = 8, /* connection -> the task that serves it */
    ML_SERVER_IDLE = 9, /* (): the last of them is over */
    ML_SERVER_VALUES = 9
};

struct ml_lua_server {
    struct ml_http_server http;
    struct ml_lua_server *next; /* in lua->http.servers */
    bool trusts;                /* ML_SERVER_CLIENT tells of some peers for whom they ask */
    bool logs;                  /* ML_SERVER_LOG is to be told */
    bool is_http1;              /* HTTP/2 is not spoken */
    bool compresses;            /* answers get a content coding */
    int http2_count;            /* connections of it */
};

/* Around a call of the exchange's carrier: the frame of ml_blocking_begin() and ml_blocking_end(),
 * and the exchange stays until it has ended. */
static inline void ml_carrier_begin(lua_State *L, struct ml_http_exchange *x)
{
    ml_blocking_begin(L);
    ml_http_exchange_enter(x);
}

static inline int ml_carrier_end(lua_State *L, struct ml_http_exchange *x, int error)
{
    ml_http_exchange_leave(x);
    return ml_blocking_end(L, error);
}

/* The object at `index`, in a method of requests, or of responses; raises for anything else. */
static inline struct ml_lua_request *ml_check_request(lua_State *L, int index)
{
    return ml_check_object(L, index, ml_http_request_type);
}

static inline struct ml_lua_response *ml_check_response(lua_State *L, int index)
{
    return ml_check_object(L, index, ml_http_response_type);
}

#endif
