/*
 * The field names that HTTP programs use most, as small numbers. Knows nothing of heads.
 */
#ifndef ML_HTTP_NAMES_H
#define ML_HTTP_NAMES_H

#include <stddef.h>
#include <stdint.h>

/*
 * X(identifier, name in lower case, place). place: the result of hash_of() in names.c; no two are
 * alike. At most 63 names, so that a set of them is one 64-bit word. The first eight names frame a
 * message or control a connection.
 */
/* clang-format off */
#define ML_HTTP_NAMES(X)                                                                           \
    X(HOST, "host", 116)                                                                           \
    X(CONTENT_LENGTH, "content-length", 24)                                                        \
    X(TRANSFER_ENCODING, "transfer-encoding", 190)                                                 \
    X(CONNECTION, "connection", 234)                                                               \
    X(EXPECT, "expect", 72)                                                                        \
    X(UPGRADE, "upgrade", 56)                                                                      \
    X(TRAILER, "trailer", 67)                                                                      \
    X(TE, "te", 87)                                                                                \
    X(ACCEPT, "accept", 80)                                                                        \
    X(ACCEPT_CHARSET, "accept-charset", 208)                                                       \
    X(ACCEPT_ENCODING, "accept-encoding", 206)                                                     \
    X(ACCEPT_LANGUAGE, "accept-language", 48)                                                      \
    X(ACCEPT_RANGES, "accept-ranges", 36)                                                          \
    X(AGE, "age", 144)                                                                             \
    X(ALLOW, "allow", 196)                                                                         \
    X(AUTHORIZATION, "authorization", 231)                                                         \
    X(CACHE_CONTROL, "cache-control", 137)                                                         \
    X(CONTENT_DISPOSITION, "content-disposition", 69)                                              \
    X(CONTENT_ENCODING, "content-encoding", 197)                                                   \
    X(CONTENT_LANGUAGE, "content-language", 39)                                                    \
    X(CONTENT_LOCATION, "content-location", 88)                                                    \
    X(CONTENT_RANGE, "content-range", 22)                                                          \
    X(CONTENT_TYPE, "content-type", 155)                                                           \
    X(COOKIE, "cookie", 45)                                                                        \
    X(DATE, "date", 1)                                                                             \
    X(ETAG, "etag", 205)                                                                           \
    X(EXPIRES, "expires", 138)                                                                     \
    X(FORWARDED, "forwarded", 183)                                                                 \
    X(FROM, "from", 233)                                                                           \
    X(IF_MATCH, "if-match", 154)                                                                   \
    X(IF_MODIFIED_SINCE, "if-modified-since", 146)                                                 \
    X(IF_NONE_MATCH, "if-none-match", 177)                                                         \
    X(IF_RANGE, "if-range", 223)                                                                   \
    X(IF_UNMODIFIED_SINCE, "if-unmodified-since", 4)                                               \
    X(KEEP_ALIVE, "keep-alive", 81)                                                                \
    X(LAST_MODIFIED, "last-modified", 127)                                                         \
    X(LINK, "link", 95)                                                                            \
    X(LOCATION, "location", 14)                                                                    \
    X(MAX_FORWARDS, "max-forwards", 109)                                                           \
    X(ORIGIN, "origin", 150)                                                                       \
    X(PROXY_AUTHENTICATE, "proxy-authenticate", 147)                                               \
    X(PROXY_AUTHORIZATION, "proxy-authorization", 63)                                              \
    X(PROXY_CONNECTION, "proxy-connection", 214)                                                   \
    X(RANGE, "range", 216)                                                                         \
    X(REFERER, "referer", 23)                                                                      \
    X(RETRY_AFTER, "retry-after", 99)                                                              \
    X(SERVER, "server", 198)                                                                       \
    X(SET_COOKIE, "set-cookie", 169)                                                               \
    X(STRICT_TRANSPORT_SECURITY, "strict-transport-security", 62)                                  \
    X(SEC_WEBSOCKET_ACCEPT, "sec-websocket-accept", 110)                                           \
    X(SEC_WEBSOCKET_EXTENSIONS, "sec-websocket-extensions", 253)                                   \
    X(SEC_WEBSOCKET_KEY, "sec-websocket-key", 58)                                                  \
    X(SEC_WEBSOCKET_PROTOCOL, "sec-websocket-protocol", 20)                                        \
    X(SEC_WEBSOCKET_VERSION, "sec-websocket-version", 115)                                         \
    X(USER_AGENT, "user-agent", 100)                                                               \
    X(VARY, "vary", 57)                                                                            \
    X(VIA, "via", 90)                                                                              \
    X(WWW_AUTHENTICATE, "www-authenticate", 203)                                                   \
    X(X_FORWARDED_FOR, "x-forwarded-for", 159)                                                     \
    X(X_FORWARDED_HOST, "x-forwarded-host", 132)                                                   \
    X(X_FORWARDED_PROTO, "x-forwarded-proto", 114)                                                 \
    X(HTTP2_SETTINGS, "http2-settings", 241)                                                       \
    X(LAST_EVENT_ID, "last-event-id", 179)
/* clang-format on */

#define ML_HTTP_NAME_ID(id, name, place) ML_HTTP_##id,
enum ml_http_name { ML_HTTP_OTHER, ML_HTTP_NAMES(ML_HTTP_NAME_ID) ML_HTTP_NAME_COUNT };
#undef ML_HTTP_NAME_ID

struct ml_http_known {
    const char *text; /* lower case, zero-terminated */
    size_t size;
};

/* The name of each; { "", 0 } for ML_HTTP_OTHER. */
extern const struct ml_http_known ml_http_known_names[ML_HTTP_NAME_COUNT];

/* The number of a name, which is a token in any case; ML_HTTP_OTHER: it is not in the list. About 4
 * ns. */
enum ml_http_name ml_http_name_of(const char *name, size_t size);

#endif
