/*
 * A TLS 1.3 peer that says much and means nothing: COUNT messages that are no data, sent at once,
 * then "end\n". tls_flood update|request PORT COUNT       connects; changes its keys so often, and
 * asks for the same tls_flood ticket CERTIFICATE KEY COUNT    listens, on the port that it prints;
 * sends so many session tickets
 */
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void check(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "tls_flood: %s failed\n", what);
    exit(1);
}

static int connect_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((unsigned short)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    check(connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "connect");
    return fd;
}

static int accept_one(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    check(bind(listener, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    check(listen(listener, 1) == 0, "listen");
    check(getsockname(listener, (struct sockaddr *)&address, &size) == 0, "getsockname");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return accept(listener, NULL, NULL);
}

static SSL *shake_hands(SSL_CTX *ctx, int fd, int is_server)
{
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, fd);
    check((is_server ? SSL_accept(ssl) : SSL_connect(ssl)) == 1, "handshake");
    return ssl;
}

static int say(SSL *ssl, const char *kind)
{
    if (strcmp(kind, "ticket") == 0)
        return SSL_new_session_ticket(ssl);
    int is_request = strcmp(kind, "request") == 0;
    return SSL_key_update(ssl,
                          is_request ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
}

/* All is written to memory first, so that the other end never has to wait for it. */
static void flood(SSL *ssl, int fd, const char *kind, int count)
{
    BIO *memory = BIO_new(BIO_s_mem());
    char *data;
    SSL_set0_wbio(ssl, memory);
    for (int i = 0; i < count; i++)
        check(say(ssl, kind) == 1 && SSL_do_handshake(ssl) == 1, kind);
    check(SSL_write(ssl, "end\n", 4) == 4, "SSL_write");
    SSL_shutdown(ssl);
    long size = BIO_get_mem_data(memory, &data);
    for (ssize_t sent; size > 0; data += sent, size -= sent)
        check((sent = send(fd, data, (size_t)size, MSG_NOSIGNAL)) > 0, "send");
}

int main(int count, char **words)
{
    char byte;
    check(count >= 4, "usage");
    int is_server = strcmp(words[1], "ticket") == 0;
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    if (is_server) {
        check(SSL_CTX_use_certificate_chain_file(ctx, words[2]) == 1, words[2]);
        check(SSL_CTX_use_PrivateKey_file(ctx, words[3], SSL_FILETYPE_PEM) == 1, words[3]);
    }
    int fd = is_server ? accept_one() : connect_to(atoi(words[2]));
    flood(shake_hands(ctx, fd, is_server), fd, words[1], atoi(words[count - 1]));
    while (recv(fd, &byte, 1, 0) > 0)
        continue;
    return 0;
}
