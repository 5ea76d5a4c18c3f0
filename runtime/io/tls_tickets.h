/*
 * Session tickets of a server of TLS that other processes understand, too: their keys are made out
 * of secrets that the processes share and that change in time (io/io.h), and of the server's
 * certificate. Tickets are good for the same server in another process, and for no other server.
 */
#ifndef ML_IO_TLS_TICKETS_H
#define ML_IO_TLS_TICKETS_H

#include "io/openssl.h"
#include "io/tls_load.h"

#include <stdbool.h>

struct ml_io;
struct ml_tls_tickets;

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(3) */
typedef int ml_tls_ticket_function(SSL *ssl, unsigned char *name, unsigned char *iv,
                                   EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_new);

/* For a server with this certificate. The io outlives them. NULL: no memory. */
struct ml_tls_tickets *ml_tls_tickets_new(const struct ml_io *io, const struct ml_openssl *o,
                                          const struct ml_pem *certificate);

/* The answer of such a function. Without secrets there are no tickets. */
int ml_tls_tickets_answer(struct ml_tls_tickets *tickets, const SSL *ssl, unsigned char *name,
                          unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool is_new);

void ml_tls_tickets_free(struct ml_tls_tickets *tickets);

/* This server is the one that had `old`, also if its certificate is another one. */
void ml_tls_tickets_follow(struct ml_tls_tickets *tickets, const struct ml_tls_tickets *old);

#endif
