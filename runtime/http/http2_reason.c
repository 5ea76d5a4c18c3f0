#include "http/http2_reason.h"

#include <stddef.h>

/* In the order of their numbers, from 0. */
#define CODES(X)                                                                                   \
    X(NO_ERROR)                                                                                    \
    X(PROTOCOL_ERROR)                                                                              \
    X(INTERNAL_ERROR)                                                                              \
    X(FLOW_CONTROL_ERROR)                                                                          \
    X(SETTINGS_TIMEOUT)                                                                            \
    X(STREAM_CLOSED)                                                                               \
    X(FRAME_SIZE_ERROR)                                                                            \
    X(REFUSED_STREAM)                                                                              \
    X(CANCEL)                                                                                      \
    X(COMPRESSION_ERROR)                                                                           \
    X(CONNECT_ERROR)                                                                               \
    X(ENHANCE_YOUR_CALM)                                                                           \
    X(INADEQUATE_SECURITY)                                                                         \
    X(HTTP_1_1_REQUIRED)

#define RESET(name) "the server reset the stream: " #name,
#define GOODBYE(name) "the server ended the connection: " #name,
#define BREACH(name) "the server broke the rules of HTTP/2: " #name,

const char *ml_http2_reason(enum ml_http2_event event, uint32_t code)
{
    static const char *const texts[][14] = {{CODES(RESET)}, {CODES(GOODBYE)}, {CODES(BREACH)}};
    static const char *const unknown[] = {"the server reset the stream, for no known reason",
                                          "the server ended the connection, for no known reason",
                                          "the server broke the rules of HTTP/2"};
    size_t count = sizeof texts[0] / sizeof *texts[0];
    return code < count ? texts[event][code] : unknown[event];
}
