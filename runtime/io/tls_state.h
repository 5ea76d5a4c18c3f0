/*
 * The TLS state of one stream, for the files that work on it: io/tls.c (opening, handshake, end),
 * io/tls_call.c (calls of OpenSSL), io/tls_records.c (data).
 */
#ifndef ML_IO_TLS_STATE_H
#define ML_IO_TLS_STATE_H

#include "base/buffer.h"
#include "io/stream_state.h"
#include "io/tls_config.h"

/* Bytes of the largest record: a part of the block of ml_io_borrow(). */
enum { ML_TLS_RECORD_SIZE = 16 * 1024 };

struct ml_tls {
    const struct ml_openssl *o;
    struct ml_tls_config *config;
    const struct ml_transport *below;
    SSL *ssl;
    char *server_name;
    struct ml_buffer input;     /* received, and not given to OpenSSL yet */
    int pieces_left;            /* how many more pieces of input OpenSSL may get in this
                                   operation */
    bool must_wait;             /* the last call stopped because the transport below was not
                                   ready */
    struct ml_link waiters;     /* tasks that wait until another one is done here */
    enum ml_fd_event wanted[2]; /* what the last receive() and transmit() waited for below */
    int error;                  /* of the transport below in the last call of OpenSSL */
    int broken;                 /* why nothing more can be read; 0: something can */
    bool is_shaking;            /* a task is in the handshake */
    bool is_ready;              /* the handshake is done */
    bool got_http;              /* it failed, as the peer sends HTTP without TLS */
    bool has_kept_session;
    bool has_ended;    /* the output: nothing more may be written */
    bool has_said_end; /* close_notify was sent */
    char *message;     /* the reason of an error; NULL: there was none, or no memory for it */
};

#endif
