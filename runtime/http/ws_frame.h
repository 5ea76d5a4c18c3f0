/*
 * Frames of WebSocket (RFC 6455, 5): reads and writes heads, masks payloads, checks codes of
 * closing. Knows no connection and no memory.
 */
#ifndef ML_HTTP_WS_FRAME_H
#define ML_HTTP_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ml_ws_opcode {
    ML_WS_CONTINUATION = 0,
    ML_WS_TEXT = 1,
    ML_WS_BINARY = 2,
    ML_WS_CLOSE = 8,
    ML_WS_PING = 9,
    ML_WS_PONG = 10
};

enum { ML_WS_HEAD_MAX = 14, ML_WS_CONTROL_MAX = 125, ML_WS_KEY_SIZE = 4 };

/* Codes that an end sends, or that stand for a missing code. */
enum ml_ws_code {
    ML_WS_NORMAL = 1000,
    ML_WS_GOING_AWAY = 1001,
    ML_WS_PROTOCOL_ERROR = 1002,
    ML_WS_NO_CODE = 1005,  /* the peer closed without a code; never sent */
    ML_WS_ABNORMAL = 1006, /* the connection broke; never sent */
    ML_WS_NOT_UTF8 = 1007,
    ML_WS_TOO_BIG = 1009,
    ML_WS_INTERNAL_ERROR = 1011
};

struct ml_ws_head {
    uint64_t size; /* of the payload */
    uint8_t opcode;
    bool is_final;
    bool is_compressed; /* RSV1 */
    bool is_masked;
    unsigned char key[ML_WS_KEY_SIZE];
};

/* The state that decides which frames may come next. */
struct ml_ws_rules {
    bool is_from_client; /* frames must be masked; otherwise they must not */
    bool may_be_compressed;
    bool is_in_message; /* a message has begun: the next data frame must continue it */
};

/*
 * Reads a head from its first byte.
 *
 * - its size;
 * - 0: the head is incomplete, call again with more bytes;
 * - -EPROTO: a byte is wrong; *why says so in words.
 */
int ml_ws_parse_head(struct ml_ws_head *head, const struct ml_ws_rules *rules, const char *bytes,
                     size_t size, const char **why);

/* Writes a head, at most ML_WS_HEAD_MAX bytes. Returns its size. */
size_t ml_ws_write_head(char *bytes, const struct ml_ws_head *head);

/* Masks or unmasks bytes of a payload in place; `offset`: their place in the payload. */
void ml_ws_mask(char *data, size_t size, const unsigned char key[ML_WS_KEY_SIZE], uint64_t offset);

/* Whether an end may send that code. */
bool ml_ws_code_is_valid(unsigned code);

#endif
