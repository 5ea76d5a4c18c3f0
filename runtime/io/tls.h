/*
 * TLS over the transport of a stream, which becomes the transport below. Uses a configuration
 * (io/tls_config.h) of any origin, and knows no Lua.
 *
 * The handshake happens at the first use, or in ml_tls_handshake(). Two tasks may read and write at
 * the same time. OpenSSL itself never waits here: it calls the transport below, which returns
 * -EAGAIN, and is called again after a wait.
 */
#ifndef ML_IO_TLS_H
#define ML_IO_TLS_H

#include "io/stream.h"
#include "io/tls_config.h"

/*
 * Puts TLS over an open stream, whose input must be empty. server_name: the name that a client asks
 * for and verifies; NULL: none. Takes a reference to the configuration. 0; or -ENOMEM, for a client
 * also -EMFILE or -ENFILE (ml_tls_config_read_roots()), and the stream is as before.
 */
int ml_tls_open(struct ml_stream *s, struct ml_tls_config *config, bool is_server,
                const char *server_name);

/* Makes the handshake, unless that is done. 0; -ML_ETLS (see ml_tls_error_text()), an error of the
 * transport below, -ML_ECLOSED, -ETIMEDOUT, -ECANCELED. */
int ml_tls_handshake(struct ml_stream *s, ml_time deadline);

/* Whether the handshake of a server failed, as its peer sends a request of HTTP without TLS. */
bool ml_tls_got_http(const struct ml_stream *s);

/* Takes TLS off again after such a handshake, for an answer that the peer can read. What has come
 * is lost; no other task may use the stream. */
void ml_tls_remove(struct ml_stream *s);

/* OpenSSL's state of the connection, to be read. NULL: the stream has no TLS, or the handshake is
 * not done. */
SSL *ml_tls_connection(const struct ml_stream *s);
const struct ml_openssl *ml_tls_openssl(const struct ml_stream *s);

/* Whether a request for this authority (a host, and maybe a port) came to a server of TLS over a
 * connection that shows the certificate of another name. False without TLS, without further names,
 * and where the client asked for none (a client that knows a number alone does). */
bool ml_tls_is_misdirected(const struct ml_stream *s, const char *authority, size_t size);

/* One sentence for an error of the stream; for -ML_ETLS its reason. Valid until the stream is
 * closed. */
const char *ml_tls_error_text(const struct ml_stream *s, int error);

/* Frees the shared parts of a runtime's TLS streams; no stream is left. */
void ml_tls_release(struct ml_io *io);

#endif
