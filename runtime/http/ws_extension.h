/*
 * The agreement of two ends of a WebSocket on compression: reads and writes the field
 * Sec-WebSocket-Extensions with permessage-deflate (RFC 7692). Knows no connection, no memory and
 * no zlib.
 */
#ifndef ML_HTTP_WS_EXTENSION_H
#define ML_HTTP_WS_EXTENSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ML_WS_WINDOW_MIN = 8, ML_WS_WINDOW_MAX = 15 };

/* The settings of one end. */
struct ml_ws_compression {
    uint8_t level;       /* zlib's, 1 to 9 */
    uint8_t window_bits; /* of both directions, 9 to 15 */
    bool no_takeover;    /* every message is compressed on its own, in both directions */
    uint32_t min_size;   /* smaller messages are sent uncompressed */
};

/* measured: a compressor with these settings takes 38 KB, a decompressor 12 KB; with 15 bits 268
 * and 40. */
#define ML_WS_COMPRESSION_DEFAULTS ((struct ml_ws_compression){6, 12, false, 128})

/* The parameters of one offer, or of the answer. */
struct ml_ws_terms {
    bool server_no_takeover, client_no_takeover;
    bool has_client_bits; /* an offer may name the parameter without a number */
    uint8_t server_bits;  /* 0: absent, which means 15 */
    uint8_t client_bits;  /* the same */
};

/*
 * Chooses the first acceptable offer in the field of a request ("" is allowed).
 *
 * - 1: *terms is the answer;
 * - 0: no offer is acceptable;
 * - -EPROTO: the field is not a list of extensions.
 */
int ml_ws_accept_offer(const struct ml_ws_compression *ours, const char *field, size_t size,
                       struct ml_ws_terms *terms);

/* Reads the field that answers our offer. 0; -EPROTO: it is not a valid answer. */
int ml_ws_read_answer(const struct ml_ws_compression *ours, const char *field, size_t size,
                      struct ml_ws_terms *terms);

/* Reads the field of an answer that is known to be valid. 0 or -EPROTO. */
int ml_ws_read_terms(const char *field, size_t size, struct ml_ws_terms *terms);

/* The offer of a client. */
struct ml_ws_terms ml_ws_offer(const struct ml_ws_compression *ours);

enum { ML_WS_TERMS_SIZE = 160 };

/* Writes the field's value with a zero at its end. Returns its size. */
size_t ml_ws_write_terms(char text[ML_WS_TERMS_SIZE], const struct ml_ws_terms *terms);

#endif
