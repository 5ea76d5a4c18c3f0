/*
 * The settings that TLS connections share: certificates, trusted roots, protocols, sessions to
 * resume. Made once for many connections; knows none of them, and no Lua.
 */
#ifndef ML_IO_TLS_CONFIG_H
#define ML_IO_TLS_CONFIG_H

#include "io/tls_load.h"
#include "io/tls_tickets.h"

#include <stdbool.h>
#include <stddef.h>

struct ml_io;

enum ml_tls_verify {
    ML_TLS_VERIFY_DEFAULT,
    ML_TLS_VERIFY_NO,
    ML_TLS_VERIFY_OPTIONAL,
    ML_TLS_VERIFY_YES
};

struct ml_tls_options {
    struct ml_tls_credentials own;
    struct ml_pem ca;    /* trusted certificates; with neither this nor ca_path the system's
                            roots */
    const char *ca_path; /* directory of hashed certificates, as for c_rehash */
    struct ml_pem crl;   /* certificates revoked by those trusted */
    /* Whether to verify the peer. By default a client verifies its server, and a server does not
     * ask for a certificate; OPTIONAL: a server asks, and verifies the one it gets. */
    enum ml_tls_verify verify;
    const char *server_name; /* the name that a client asks for and verifies, instead of the host
                                connected to */
    bool names_nobody;       /* for a client: any trusted certificate will do */
    const unsigned char
        *alpn; /* protocols in the form of RFC 7301: each with its length before it */
    size_t alpn_size;
    int min_version; /* TLS1_2_VERSION or TLS1_3_VERSION; 0: the first */
};

struct ml_tls_config;

/* NULL with *failure set. The caller's reference is the first. */
struct ml_tls_config *ml_tls_config_new(struct ml_io *io, const struct ml_tls_options *options,
                                        struct ml_tls_failure *failure);

void ml_tls_config_ref(struct ml_tls_config *config);
void ml_tls_config_unref(struct ml_tls_config *config); /* NULL is allowed */

/* Adds a certificate for clients that ask for `host`, which may begin with "*." 0, or -1 with
 * *failure set. */
int ml_tls_config_add_name(struct ml_tls_config *config, const char *host,
                           const struct ml_tls_credentials *credentials,
                           struct ml_tls_failure *failure);

/* Whether a server can use it: it has a certificate, of its own or for some name. */
bool ml_tls_config_can_serve(const struct ml_tls_config *config);

/* Whether there are certificates for further names. */
bool ml_tls_config_has_names(const struct ml_tls_config *config);

/* Whether `host`, asked for over a connection whose client asked for the certificate of another
 * name, is one of the names that have a certificate of their own. A client that asked for none may
 * ask for any host. */
bool ml_tls_config_is_misdirected(const struct ml_tls_config *config, SSL *ssl, const char *host);

/* The name from the options, NULL without. */
const char *ml_tls_config_server_name(const struct ml_tls_config *config);

/* To be called before a client's connection: the first call reads the system's roots. 0; or
 * -EMFILE, -ENFILE, -ENOMEM, and the next one tries again. */
int ml_tls_config_read_roots(struct ml_tls_config *config);
/* Whether the options say that no name is asked for, and whether a client verifies its server. */
bool ml_tls_config_names_nobody(const struct ml_tls_config *config);
bool ml_tls_config_verifies_servers(const struct ml_tls_config *config);

/*
 * A new connection's state, not connected to anything; NULL: no memory. server_name: the name or
 * number that a client asks for and verifies, NULL: none. The last session with that server is
 * offered again. on_ticket: asked for the keys if the config has tickets.
 */
SSL *ml_tls_config_connection(struct ml_tls_config *config, bool is_server, const char *server_name,
                              ml_tls_ticket_function *on_ticket);

/* Keeps the session of a client's connection, if it can be resumed, for the next one to the same
 * name. */
void ml_tls_config_keep_session(struct ml_tls_config *config, SSL *ssl, const char *server_name);

/*
 * Lets `config` resume the sessions of `old`, which it replaces in a server. Not if one of them
 * asks clients for a certificate: a client that resumes is not verified again, and the trusted or
 * revoked certificates may have changed.
 */
void ml_tls_config_keep_tickets(struct ml_tls_config *config, const struct ml_tls_config *old);

/* NULL: OpenSSL makes the tickets of its servers. */
struct ml_tls_tickets *ml_tls_config_tickets(const struct ml_tls_config *config);

/* OpenSSL's table, for the connection's other calls. */
const struct ml_openssl *ml_tls_config_openssl(const struct ml_tls_config *config);

#endif
