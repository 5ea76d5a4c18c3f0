/*
 * The client's end of a connection to a server on the loopback interface, plain or TLS 1.3, which
 * never waits. Knows nothing of what is spoken over it. TLS verifies nobody and resumes nothing.
 */
#ifndef BENCH_LINK_H
#define BENCH_LINK_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/types.h>

struct link {
    int fd;         /* -1: not open */
    SSL *ssl;       /* NULL: plain */
    bool is_shaken; /* the TLS handshake is done */
};

/* What all TLS links of a program share. */
SSL_CTX *link_new_tls(void);

/* Begins to connect a socket of the type; `tls` NULL: plain. False: that failed. */
bool link_open(struct link *link, int port, int type, SSL_CTX *tls);

/* The error of a connect() that has ended, or 0. */
int link_connect_error(const struct link *link);

/* Shakes hands, over a plain link by doing nothing: 0 when it is done, -EAGAIN: to be called again
 * at the next event, or another negated error. */
int link_shake(struct link *link);

/* Bytes sent or received; -EAGAIN or another negated error. 0 received: the end. */
ssize_t link_send(struct link *link, const void *bytes, size_t count);
ssize_t link_receive(struct link *link, void *bytes, size_t room);

/* Ends the output; the input goes on. */
void link_finish(struct link *link);

/* At once, without a word to the peer. */
void link_close(struct link *link);

#endif
