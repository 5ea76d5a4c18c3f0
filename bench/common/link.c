#include "common/link.h"

#include "common/loopback.h"

#include <errno.h>
#include <openssl/err.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

SSL_CTX *link_new_tls(void)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    if (tls == NULL)
        die("SSL_CTX_new");
    SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
    SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(tls, 1);
    return tls;
}

static void start_tls(struct link *link, SSL_CTX *tls)
{
    link->ssl = SSL_new(tls);
    if (link->ssl == NULL || SSL_set_fd(link->ssl, link->fd) != 1)
        die("SSL_new");
    SSL_set_connect_state(link->ssl);
}

bool link_open(struct link *link, int port, int type, SSL_CTX *tls)
{
    *link = (struct link){.fd = loopback_connect(port, type)};
    if (link->fd >= 0 && tls != NULL)
        start_tls(link, tls);
    return link->fd >= 0;
}

int link_connect_error(const struct link *link)
{
    int error = 0;
    getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error});
    return error;
}

/* The link's answer for a result of OpenSSL's that is no success. */
static int tls_error(struct link *link, int result)
{
    int error = SSL_get_error(link->ssl, result);
    ERR_clear_error();
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return -EAGAIN;
    return error == SSL_ERROR_ZERO_RETURN ? 0 : -EPROTO;
}

int link_shake(struct link *link)
{
    if (link->ssl == NULL || link->is_shaken)
        return 0;
    int result = SSL_do_handshake(link->ssl);
    link->is_shaken = result == 1;
    if (result == 1)
        return 0;
    int error = tls_error(link, result);
    return error != 0 ? error : -ECONNRESET;
}

ssize_t link_send(struct link *link, const void *bytes, size_t count)
{
    if (link->ssl == NULL) {
        ssize_t sent = send(link->fd, bytes, count, MSG_NOSIGNAL);
        return sent >= 0 ? sent : -errno;
    }
    int sent = SSL_write(link->ssl, bytes, (int)count);
    if (sent > 0)
        return sent;
    int error = tls_error(link, sent);
    return error != 0 ? error : -EPIPE;
}

ssize_t link_receive(struct link *link, void *bytes, size_t room)
{
    if (link->ssl == NULL) {
        ssize_t count = recv(link->fd, bytes, room, 0);
        return count >= 0 ? count : -errno;
    }
    int count = SSL_read(link->ssl, bytes, (int)room);
    return count > 0 ? count : tls_error(link, count);
}

void link_finish(struct link *link)
{
    if (link->ssl != NULL)
        SSL_shutdown(link->ssl);
    shutdown(link->fd, SHUT_WR);
}

void link_close(struct link *link)
{
    SSL_free(link->ssl);
    close(link->fd);
    *link = (struct link){.fd = -1};
}
