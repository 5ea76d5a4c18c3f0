#include "io/tls.h"

#include "base/error.h"
#include "hub/state/scope.h"
#include "hub/state/waiters.h"
#include "hub/wait/slice.h"
#include "hub/wait/wait.h"
#include "io/linger.h"
#include "io/socket.h"
#include "io/tls_call.h"
#include "io/tls_records.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct ml_wait_kind shaking = {
    .text = "the TLS handshake of descriptor", .target = ML_TARGET_DESCRIPTOR, .external = true};
static const struct ml_wait_kind ending = {.text = "room for the end of TLS on descriptor",
                                           .target = ML_TARGET_DESCRIPTOR,
                                           .external = true};

/* ---- the handshake ---- */

/* One step of the handshake: 0 when it is done, -EAGAIN, or an error. */
static int shake_once(struct ml_stream *s)
{
    struct ml_tls *tls = s->tls;
    ml_tls_call_begin(s);
    tls->pieces_left = ML_TLS_PIECES_MOST;
    ml_slice_spend_call(s->io->hub, 0);
    int result = tls->o->SSL_do_handshake(tls->ssl);
    if (result == 1) {
        tls->is_ready = true;
        ml_tls_note_pending(s);
        return 0;
    }
    int error = ml_tls_call_outcome(tls, result, ML_FD_READ);
    return error != 0 ? error : ml_tls_cut_off(tls);
}

static void count(struct ml_io_counters *counters, const struct ml_tls *tls)
{
    bool is_server = tls->o->SSL_is_server(tls->ssl) == 1;
    counters->tls_accepted += is_server;
    counters->tls_connected += !is_server;
    counters->tls_resumed += tls->o->SSL_session_reused(tls->ssl) == 1;
}

/* The handshake, which no other task is in. Tasks that wait for it are woken when it is done, or
 * given up. */
static int shake(struct ml_stream *s, ml_time deadline)
{
    struct ml_tls *tls = s->tls;
    tls->is_shaking = true;
    int error = shake_once(s);
    while (error == -EAGAIN) {
        error = ml_tls_call_wait(s, ML_FD_READ, &shaking, deadline);
        if (error == 0)
            error = shake_once(s);
    }
    if (error == 0)
        count(&s->io->counters, tls);
    s->io->counters.tls_failed += error != 0 && error != -ETIMEDOUT && error != -ECANCELED;
    if (ml_stream_is_open(s)) {
        tls->is_shaking = false;
        ml_wake_all(s->io->hub, &tls->waiters);
    }
    return error;
}

int ml_tls_handshake(struct ml_stream *s, ml_time deadline)
{
    int error = ml_cancel_point_until(s->io->hub, deadline);
    /* A task that never waits gets no news of input: it has to look. */
    if (deadline == ML_NEVER_WAIT)
        s->is_drained = false;
    while (error == 0) {
        if (!ml_stream_is_open(s))
            return -ML_ECLOSED;
        if (s->tls->is_ready)
            return 0;
        if (s->tls->broken != 0)
            return s->tls->broken;
        error = s->tls->is_shaking ? ml_tls_wait_crossing(s, deadline) : shake(s, deadline);
    }
    return error;
}

/* ---- waiting ---- */

static int tls_wait(struct ml_stream *s, enum ml_fd_event event, const struct ml_wait_kind *kind,
                    ml_time deadline)
{
    if (!s->tls->is_ready)
        return ml_tls_handshake(s, deadline);
    return ml_tls_call_wait(s, event, kind, deadline);
}

/* Waiters learn when another task is done here. */
static int tls_watch(struct ml_stream *s, enum ml_fd_event event, struct ml_waiter *waiter,
                     ml_time *again)
{
    struct ml_tls *tls = s->tls;
    int error = tls->is_shaking ? -EBUSY : tls->below->watch(s, tls->wanted[event], waiter, again);
    if (error == -EBUSY)
        ml_list_insert(&tls->waiters, &waiter->link);
    return error == -EBUSY ? 0 : error;
}

/* ---- the end ---- */

/* One step of sending close_notify. */
static int say_end(struct ml_stream *s, ml_time deadline)
{
    struct ml_tls *tls = s->tls;
    ml_tls_call_begin(s);
    tls->has_ended = true;
    int result = tls->o->SSL_shutdown(tls->ssl);
    tls->has_said_end = result >= 0;
    if (tls->has_said_end)
        return 0;
    int error = ml_tls_call_outcome(tls, result, ML_FD_WRITE);
    if (error == -EAGAIN)
        return ml_tls_call_wait(s, ML_FD_WRITE, &ending, deadline);
    return error != 0 ? error : -EPIPE;
}

/* After a write that broke off there is no end: the peer would take what came for the whole. */
static int tls_shutdown(struct ml_stream *s, ml_time deadline)
{
    int error = ml_tls_handshake(s, deadline);
    if (error == 0)
        error = s->is_torn || s->write_broken ? -EPIPE : s->tls->broken;
    while (error == 0 && !s->tls->has_said_end)
        error = say_end(s, deadline);
    return error;
}

static void free_tls(struct ml_tls *tls)
{
    tls->o->SSL_free(tls->ssl);
    ml_buffer_release(&tls->input);
    ml_tls_config_unref(tls->config);
    free(tls->server_name);
    free(tls->message);
    free(tls);
}

/* Takes the input, over TCP. -EAGAIN: messages that are no data, and more may come; otherwise as
 * ml_tls_receive(). */
static ssize_t take_messages(struct ml_stream *s)
{
    char byte;
    s->is_drained = false;
    ssize_t result = ml_tls_receive(s, &byte, 1);
    return result == -EAGAIN && !s->tls->must_wait ? -EMSGSIZE : result;
}

/* Whether the socket should live on for messages that the peer may still send and that are not
 * read. Not with unread data: the peer should know that they were not read, and the kernel resets
 * the connection. */
static bool awaits_messages(struct ml_stream *s)
{
    bool has_unread = ml_socket_has_unread(s->fd.number);
    ssize_t result = take_messages(s);
    if (result > 0 && has_unread)
        ml_socket_reset_on_close(s->fd.number);
    return result == -EAGAIN;
}

/* Sends close_notify if that is possible at once. Whether the peer's own is still to come. In a
 * forked process the connection is still the parent's, which goes on with it. */
static bool say_goodbye(struct ml_stream *s)
{
    struct ml_tls *tls = s->tls;
    if (!tls->is_ready || tls->broken != 0 || s->io->hub->life.is_forked)
        return false;
    if (!tls->has_said_end && !s->is_torn && !s->write_broken) {
        ml_tls_call_begin(s);
        tls->has_said_end = tls->o->SSL_shutdown(tls->ssl) >= 0;
    }
    bool awaits_end = tls->has_said_end && tls->below == &ml_socket_transport && awaits_messages(s);
    ml_tls_keep_session(tls);
    return awaits_end;
}

/* Tickets that a client has not read, or the peer's end, would make the kernel reset the
 * connection. */
static void tls_close(struct ml_stream *s)
{
    struct ml_tls *tls = s->tls;
    bool awaits_end = say_goodbye(s);
    ml_wake_all(s->io->hub, &tls->waiters);
    const struct ml_transport *below = tls->below;
    s->tls = NULL;
    free_tls(tls);
    if (awaits_end)
        ml_linger(s->io, ml_fd_detach(&s->fd));
    else
        below->close(s);
}

bool ml_tls_got_http(const struct ml_stream *s)
{
    return ml_stream_is_open(s) && s->tls != NULL && s->tls->got_http;
}

void ml_tls_remove(struct ml_stream *s)
{
    struct ml_tls *tls = s->tls;
    ml_wake_all(s->io->hub, &tls->waiters);
    s->transport = tls->below;
    s->tls = NULL;
    s->is_drained = false;
    free_tls(tls);
}

static const struct ml_transport tls_transport = {
    .receive = ml_tls_receive,
    .transmit = ml_tls_transmit,
    .wait = tls_wait,
    .watch = tls_watch,
    .shutdown = tls_shutdown,
    .close = tls_close,
};

/* ---- opening ---- */

/* RFC 6066, section 3: a client asks without the dot that ends a name ("example.com.");
 * certificates have none. */
static size_t size_without_dot(const char *name)
{
    size_t size = strlen(name);
    return size > 1 && name[size - 1] == '.' ? size - 1 : size;
}

static struct ml_tls *new_tls(struct ml_io *io, struct ml_tls_config *config,
                              const char *server_name)
{
    struct ml_tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL)
        return NULL;
    tls->o = ml_tls_config_openssl(config);
    tls->config = config;
    ml_tls_config_ref(config);
    ml_list_init(&tls->waiters);
    if (io->tls_bio == NULL)
        io->tls_bio = ml_tls_new_method(tls->o);
    if (server_name != NULL)
        tls->server_name = strndup(server_name, size_without_dot(server_name));
    return tls;
}

/* Makes the connection and its way down. False: no memory. */
static bool connect_below(struct ml_io *io, struct ml_tls *tls, bool is_server)
{
    if (io->tls_bio == NULL)
        return false;
    tls->ssl = ml_tls_config_connection(tls->config, is_server, tls->server_name, ml_tls_on_ticket);
    BIO *bio = tls->ssl != NULL ? tls->o->BIO_new(io->tls_bio) : NULL;
    if (bio == NULL)
        return false;
    tls->o->BIO_set_init(bio, 1);
    tls->o->SSL_set_bio(tls->ssl, bio, bio);
    return true;
}

int ml_tls_open(struct ml_stream *s, struct ml_tls_config *config, bool is_server,
                const char *server_name)
{
    int error = is_server ? 0 : ml_tls_config_read_roots(config);
    if (error != 0)
        return error;
    struct ml_tls *tls = new_tls(s->io, config, server_name);
    if (tls == NULL)
        return -ENOMEM;
    bool has_name = server_name == NULL || tls->server_name != NULL;
    if (!has_name || !connect_below(s->io, tls, is_server)) {
        free_tls(tls);
        return -ENOMEM;
    }
    tls->below = s->transport;
    s->tls = tls;
    s->transport = &tls_transport;
    return 0;
}

/* ---- properties ---- */

SSL *ml_tls_connection(const struct ml_stream *s)
{
    return s->tls != NULL && s->tls->is_ready ? s->tls->ssl : NULL;
}

const struct ml_openssl *ml_tls_openssl(const struct ml_stream *s)
{
    return s->tls->o;
}

/* The host of an authority, without its port and the dot that may end a name. 0: it is too long
 * for a name. Of numbers in brackets it makes something that no name is. */
static size_t copy_host(char host[256], const char *authority, size_t size)
{
    const char *colon = memchr(authority, ':', size);
    if (colon != NULL)
        size = (size_t)(colon - authority);
    if (size > 0 && authority[size - 1] == '.')
        size--;
    if (size > 255)
        return 0;
    memcpy(host, authority, size);
    host[size] = '\0';
    return size;
}

bool ml_tls_is_misdirected(const struct ml_stream *s, const char *authority, size_t size)
{
    char host[256];
    SSL *ssl = ml_tls_connection(s);
    if (ssl == NULL || !ml_tls_config_has_names(s->tls->config))
        return false;
    return copy_host(host, authority, size) > 0 &&
           ml_tls_config_is_misdirected(s->tls->config, ssl, host);
}

const char *ml_tls_error_text(const struct ml_stream *s, int error)
{
    bool is_told = error == -ML_ETLS && s->tls != NULL && s->tls->message != NULL;
    return is_told ? s->tls->message : ml_error_text(error);
}

void ml_tls_release(struct ml_io *io)
{
    if (io->tls_bio != NULL)
        io->openssl->BIO_meth_free(io->tls_bio);
    io->tls_bio = NULL;
    ml_openssl_release(io);
}
