/*
 * TLS over the transport of a stream, which becomes the transport below. Knows its configuration
 * (io/tls_config.h) but not who made it, and no Lua.
 *
 * The handshake happens at the first use, or in ml_tls_handshake(). Reading and writing may go on
 * at the same time in two tasks. OpenSSL itself never waits here: it calls the transport below,
 * which says -EAGAIN, and is called again after a wait.
 */
#ifndef ML_IO_TLS_H
#define ML_IO_TLS_H

#include "io/stream.h"
#include "io/tls_config.h"

/*
 * Puts TLS over an open stream, from here on; of the stream's input nothing may be left over.
 * server_name: of a client, whom to ask for and verify, NULL: nobody. Takes a reference to the
 * configuration. 0; or -ENOMEM, of a client also -EMFILE or -ENFILE (ml_tls_config_read_roots()),
 * and the stream is as before.
 */
int ml_tls_open(struct ml_stream *s, struct ml_tls_config *config, bool is_server,
                const char *server_name);

/* Shakes hands unless that is done. 0; -ML_ETLS (see ml_tls_error_text()), an error of the
 * transport below, -ML_ECLOSED, -ETIMEDOUT, -ECANCELED. */
int ml_tls_handshake(struct ml_stream *s, ml_time deadline);

/* The connection's state for questions, NULL: the stream has no TLS, or has not shaken hands. */
SSL *ml_tls_connection(const struct ml_stream *s);
const struct ml_openssl *ml_tls_openssl(const struct ml_stream *s);

/* One sentence for an error of the stream: for -ML_ETLS what it was about. Valid until the stream
 * is closed. */
const char *ml_tls_error_text(const struct ml_stream *s, int error);

/* Frees what the TLS streams of a runtime shared; none is left. */
void ml_tls_release(struct ml_io *io);

#endif
