/*
 * The reasons why bytes are not HTTP/1.x, and the answer to each. Knows nothing of the parsers that
 * find them.
 */
#ifndef ML_HTTP_ERROR_H
#define ML_HTTP_ERROR_H

/* X(name, HTTP status of a server's answer, sentence). For a client each is EPROTO, or EMSGSIZE if
 * ml_http_error_is_limit(). */
#define ML_HTTP_ERRORS(X)                                                                          \
    X(BAD_LINE, 400, "the first line is not one of HTTP/1.1")                                      \
    X(BAD_METHOD, 400, "the method is not a token")                                                \
    X(BAD_TARGET, 400, "the request target is malformed")                                          \
    X(BAD_NAME, 400, "a field name is malformed, or a space stands before its colon")              \
    X(BAD_FOLD, 400, "a field line starts with white space")                                       \
    X(BAD_VALUE, 400, "a field value contains a control character")                                \
    X(BAD_END, 400, "a line does not end with CR LF")                                              \
    X(BAD_HOST, 400, "the Host field is malformed")                                                \
    X(NO_HOST, 400, "the Host field is missing")                                                   \
    X(TWO_HOSTS, 400, "there are several Host fields")                                             \
    X(BAD_LENGTH, 400, "the Content-Length field is not one decimal number")                       \
    X(TWO_LENGTHS, 400, "there are several Content-Length fields")                                 \
    X(LENGTH_AND_CODING, 400, "Content-Length and Transfer-Encoding exclude each other")           \
    X(BAD_CODING, 400, "Transfer-Encoding is malformed, or does not end with one chunked")         \
    X(OLD_CODING, 400, "Transfer-Encoding does not exist in HTTP/1.0")                             \
    X(BAD_CHUNK, 400, "a chunk's size or end is malformed")                                        \
    X(BAD_EXTENSION, 400, "a chunk extension is malformed")                                        \
    X(BAD_TRAILER, 400, "a trailer field would change how the message is framed")                  \
    X(CHUNK_TOO_LARGE, 400, "a chunk's size is too large a number")                                \
    X(LONG_EXTENSIONS, 400, "the chunk extensions are too long")                                   \
    X(TARGET_TOO_LONG, 414, "the request target is too long")                                      \
    X(HEAD_TOO_LONG, 431, "the head is too long")                                                  \
    X(TOO_MANY_FIELDS, 431, "the head has too many fields")                                        \
    X(METHOD_TOO_LONG, 501, "the method is longer than any that is known")                         \
    X(UNKNOWN_CODING, 501, "the transfer coding is not known")                                     \
    X(BAD_VERSION, 505, "the version is not one of HTTP/1")

#define ML_HTTP_ERROR_PLACE(name, status, text) ML_HTTP_PLACE_##name,
enum { ML_HTTP_NO_ERROR, ML_HTTP_ERRORS(ML_HTTP_ERROR_PLACE) ML_HTTP_ERROR_COUNT };
#undef ML_HTTP_ERROR_PLACE

/* Negative: parsers return these. */
#define ML_HTTP_ERROR_NAME(name, status, text) ML_HTTP_##name = -(int)ML_HTTP_PLACE_##name,
enum ml_http_error { ML_HTTP_ERRORS(ML_HTTP_ERROR_NAME) };
#undef ML_HTTP_ERROR_NAME

/* The status of the answer: 400, 414, 431, 501 or 505. The server then closes the connection. */
int ml_http_error_status(int error);

/* A sentence without its full stop. Static. */
const char *ml_http_error_text(int error);

#endif
