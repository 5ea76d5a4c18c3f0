/*
 * Shared by the blocking operations of one runtime: its hub, a spare read buffer, its resolver,
 * OpenSSL. Knows no Lua.
 */
#ifndef ML_IO_IO_H
#define ML_IO_IO_H

#include "hub/state/hub.h"
#include "io/recent_files.h"

struct bio_method_st;
struct ml_balance;
struct ml_nghttp2;
struct ml_codecs;
struct ml_departures;
struct ml_openssl;
struct ml_resolver;

/* What has happened so far. */
struct ml_io_counters {
    uint64_t dns_questions; /* sent to name servers */
    uint64_t dns_absent;    /* answered: there is no such name, or no such record */
    uint64_t dns_failed;    /* not answered, or with an error */
    uint64_t tls_accepted;  /* handshakes as a server that came to their end */
    uint64_t tls_connected; /* the same as a client */
    uint64_t tls_resumed;   /* those of both that resumed an earlier connection */
    uint64_t tls_failed;    /* handshakes of both that did not, timeouts and cancellations aside */
};

struct ml_io {
    struct ml_hub *hub;
    struct ml_io_counters counters;
    char *spare;                  /* the block that ml_io_borrow() lends; NULL: lent or not made */
    struct ml_resolver *resolver; /* the default resolver; NULL until it is first used */
    struct ml_link resolvers;     /* all of them */
    struct ml_openssl *openssl;   /* NULL until the first use of TLS */
    const struct ml_ticket_secrets *tickets; /* NULL: each config of TLS has its own */
    struct ml_balance *balance;       /* of connections over processes; NULL: this one is alone */
    struct bio_method_st *tls_bio;    /* how OpenSSL calls transports: io/tls.c */
    struct ml_nghttp2 *nghttp2;       /* NULL until the first use of HTTP/2: http/nghttp2.h */
    struct ml_codecs *codecs;         /* NULL until the first use: http/codecs.h */
    struct ml_departures *departures; /* NULL: nobody watches: io/departure.c */
    struct ml_link lingering;         /* sockets that were closed: io/linger.c */
    unsigned lingering_count;
    struct ml_link locked_files;   /* system/file/file_lock.c */
    struct ml_recent_files recent; /* sent a moment ago: io/send_file.c */
};

/* Secrets from which the keys of tickets of TLS are made that other processes understand, too. The
 * first one encrypts; the others decrypt only: the one before it, and the one that comes after it,
 * which another process may have taken for the first one already. */
enum { ML_TICKET_SECRET = 32, ML_TICKET_SECRETS = 3 };

struct ml_ticket_secrets {
    uint64_t number; /* grows with each change */
    unsigned char bytes[ML_TICKET_SECRETS][ML_TICKET_SECRET];
};

/* Bytes asked for in one read. */
enum { ML_IO_READ_SIZE = 64 * 1024 };

/* A block of ML_IO_READ_SIZE bytes to receive into; a new one while the shared one is lent. To be
 * given back before the task may be switched away. NULL: no memory. */
char *ml_io_borrow(struct ml_io *io);
void ml_io_give_back(struct ml_io *io, char *block);

#endif
