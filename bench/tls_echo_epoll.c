/*
 * The yardstick for TLS: an echo server as plain C over level-triggered epoll and OpenSSL, TLS 1.3,
 * one thread. A message costs one epoll_wait(), one recv(), one SSL_read(), one SSL_write() and one
 * send(). Idle connections hold no buffers of OpenSSL's.
 *
 * Usage: tls_echo_epoll CERT_FILE KEY_FILE [PORT]    (0 or nothing: any free port; prints
 * "listening PORT")
 */
#include "common/loopback.h"
#include "common/server.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { RECORD_BYTES = 16 * 1024 };

/* Bytes that a peer was too slow to take. While a connection has some, nothing more is read from
 * it. */
struct rest {
    size_t start, end;
    char bytes[];
};

struct connection {
    SSL *ssl;
    struct rest *rest; /* NULL nearly always */
    bool is_shaken;
    uint32_t watched; /* what epoll waits for */
};

static SSL_CTX *tls;
static struct connection *connections; /* by descriptor */
static char buffer[RECORD_BYTES];

static void drop(int fd)
{
    struct connection *connection = &connections[fd];
    SSL_free(connection->ssl);
    free(connection->rest);
    *connection = (struct connection){0};
    close(fd);
}

static void watch(struct server *server, int fd, uint32_t events)
{
    if (connections[fd].watched != events)
        server_watch(server, fd, events);
    connections[fd].watched = events;
}

/* After a call that was no success: waits for what it wants, or drops the connection. */
static void await_or_drop(struct server *server, int fd, int result)
{
    SSL *ssl = connections[fd].ssl;
    int error = SSL_get_error(ssl, result);
    ERR_clear_error();
    if (error == SSL_ERROR_WANT_READ) {
        watch(server, fd, EPOLLIN);
    } else if (error == SSL_ERROR_WANT_WRITE) {
        watch(server, fd, EPOLLOUT);
    } else {
        if (error == SSL_ERROR_ZERO_RETURN)
            SSL_shutdown(ssl);
        ERR_clear_error();
        drop(fd);
    }
}

static void keep_rest(struct connection *connection, const char *bytes, size_t count)
{
    struct rest *rest = malloc(sizeof *rest + count);
    if (rest == NULL)
        die("malloc");
    rest->start = 0;
    rest->end = count;
    memcpy(rest->bytes, bytes, count);
    connection->rest = rest;
}

static bool flush(struct server *server, int fd)
{
    struct connection *connection = &connections[fd];
    struct rest *rest = connection->rest;
    while (rest->start < rest->end) {
        int sent =
            SSL_write(connection->ssl, rest->bytes + rest->start, (int)(rest->end - rest->start));
        if (sent <= 0) {
            await_or_drop(server, fd, sent);
            return false;
        }
        rest->start += (size_t)sent;
    }
    free(rest);
    connection->rest = NULL;
    watch(server, fd, EPOLLIN);
    return true;
}

/* False: there is something to wait for, or no connection any more. */
static bool echo_once(struct server *server, int fd)
{
    SSL *ssl = connections[fd].ssl;
    int received = SSL_read(ssl, buffer, sizeof buffer);
    if (received <= 0) {
        await_or_drop(server, fd, received);
        return false;
    }
    int sent = SSL_write(ssl, buffer, received);
    if (sent == received)
        return true;
    size_t gone = sent > 0 ? (size_t)sent : 0;
    keep_rest(&connections[fd], buffer + gone, (size_t)received - gone);
    if (sent > 0)
        return flush(server, fd);
    await_or_drop(server, fd, sent);
    return false;
}

static bool shake(struct server *server, int fd)
{
    int result = SSL_do_handshake(connections[fd].ssl);
    connections[fd].is_shaken = result == 1;
    if (result == 1)
        watch(server, fd, EPOLLIN);
    else
        await_or_drop(server, fd, result);
    return result == 1;
}

static void on_event(struct server *server, int fd, uint32_t events)
{
    struct connection *connection = &connections[fd];
    (void)events;
    if (!connection->is_shaken) {
        if (!shake(server, fd) || !SSL_has_pending(connection->ssl))
            return;
    } else if (connection->rest != NULL && !flush(server, fd)) {
        return;
    }
    while (echo_once(server, fd) && SSL_has_pending(connection->ssl))
        ;
}

static void on_accept(struct server *server, int fd)
{
    (void)server;
    SSL *ssl = SSL_new(tls);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
        die("SSL_new");
    SSL_set_accept_state(ssl);
    connections[fd] = (struct connection){.ssl = ssl, .watched = EPOLLIN};
}

static SSL_CTX *new_tls(const char *cert_file, const char *key_file)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL || SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1) {
        ERR_print_errors_fp(stderr);
        exit(1);
    }
    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(ctx, 1);
    /* Tickets alone: no table of sessions that grows. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL);
    return ctx;
}

int main(int argc, char **argv)
{
    struct server server = {.on_accept = on_accept, .on_event = on_event};
    if (argc < 3) {
        fputs("usage: tls_echo_epoll CERT_FILE KEY_FILE [PORT]\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    tls = new_tls(argv[1], argv[2]);
    server_open(&server, argc > 3 ? atoi(argv[3]) : 0);
    connections = calloc(server.descriptors, sizeof *connections);
    if (connections == NULL)
        die("calloc");
    server_run(&server);
}
