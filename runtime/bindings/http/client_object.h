/* The object behind an exchange of an HTTP client. */
#ifndef ML_BINDINGS_HTTP_CLIENT_OBJECT_H
#define ML_BINDINGS_HTTP_CLIENT_OBJECT_H

#include "base/buffer.h"
#include "bindings/core/object.h"
#include "http/client_exchange.h"
#include "http/decoder.h"
#include "http/http2_request.h"

extern const char ml_client_exchange_type[];

/* User values. ML_CLIENT_STREAM: the stream, or the connection of HTTP/2. */
enum { ML_CLIENT_STREAM = 1, ML_CLIENT_TRAILERS = 2 };

/* Sizes of the pieces in which a body is handled, in bytes. */
enum { ML_CLIENT_PIECE = 64 * 1024, ML_CLIENT_DECODED_PIECE = 16 * 1024 };

struct ml_lua_client_exchange {
    struct ml_http_client_exchange *x; /* lies behind this struct, in the same block */
    struct ml_decoder *decoder;        /* NULL: the body is not decoded */
    struct ml_buffer body;             /* the bytes that read_all() has so far */
    struct ml_buffer rest;             /* input that the decoder has not taken yet */
    bool is_full;                      /* the decoder may have more output without more input */
    bool has_content;                  /* a byte of the body has come */
    bool is_http2;
};

struct ml_lua_http1_exchange {
    struct ml_lua_client_exchange base;
    struct ml_http_client_exchange x;
};

struct ml_lua_http2_exchange {
    struct ml_lua_client_exchange base;
    struct ml_http2_request request;
};

/* The exchange at 1; raises for anything else. */
struct ml_lua_client_exchange *ml_check_client_exchange(lua_State *L);

/* Frees the decoder, if there is one, and forgets what it has not taken. */
void ml_client_drop_decoder(struct ml_lua_client_exchange *e);

/* Pushes nil, message, code, and whether a byte of a response has come: returns 4. */
int ml_client_push_problem(lua_State *L, const struct ml_lua_client_exchange *e, int error);

#endif
