#include "http/http2.h"

#include "base/check.h"
#include "base/error.h"
#include "http/http2_callbacks.h"
#include "http/http2_handlers.h"
#include "hub/state/scope.h"
#include "hub/state/waiters.h"
#include "hub/switch/switch.h"
#include "hub/wait/wait.h"
#include "io/tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of a connection that may come before they are confirmed: handlers read at their own pace,
 * each stream within its own window. */
enum { CONNECTION_WINDOW = 1024 * 1024 };

static const struct ml_wait_kind end_kind = {.text = "the handlers of a connection"};

static int submit_settings(struct ml_http2_connection *c)
{
    struct ml_http2_session *session = &c->peer.session;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, ML_HTTP2_STREAMS},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, ML_HTTP2_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, c->peer.server->limits.head_size},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
    };
    int error = session->n->nghttp2_submit_settings(session->session, NGHTTP2_FLAG_NONE, settings,
                                                    sizeof settings / sizeof *settings);
    if (error == 0)
        error = session->n->nghttp2_session_set_local_window_size(
            session->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW);
    return error == 0 ? 0 : -ENOMEM;
}

static void run_sender(void *context, void *argument)
{
    (void)context;
    ml_http2_session_send(argument);
}

static void drop_sender(void *argument)
{
    ml_http2_session_forgo_send(argument);
}

static const struct ml_http_job sender = {run_sender, drop_sender};

static int start(struct ml_http2_connection *c)
{
    struct ml_http_server *server = c->peer.server;
    int error = ml_http2_new_session(c);
    if (error == 0)
        error = submit_settings(c);
    if (error != 0)
        return error;
    c->peer.session.is_sending = true;
    c->peer.session.has_output = true;
    error = server->spawn(server, &sender, &c->peer.session);
    c->peer.session.is_sending = error == 0;
    return error;
}

/* ---- which version is spoken ---- */

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/* The protocol that the TLS handshake has chosen. */
static bool has_chosen_http2(struct ml_stream *stream)
{
    const unsigned char *name = NULL;
    unsigned size = 0;
    SSL *ssl = ml_tls_connection(stream);
    if (ssl != NULL)
        ml_tls_openssl(stream)->SSL_get0_alpn_selected(ssl, &name, &size);
    return size == 2 && memcmp(name, "h2", 2) == 0;
}

int ml_http2_is_spoken(struct ml_stream *stream, ml_time deadline)
{
    const size_t whole = sizeof preface - 1;
    int error = 0;
    if (stream->tls != NULL)
        return has_chosen_http2(stream);
    while (error == 0) {
        size_t size = ml_buffer_size(&stream->in);
        size_t common = size < whole ? size : whole;
        if (size > 0 && memcmp(ml_buffer_data(&stream->in), preface, common) != 0)
            return 0;
        if (size >= whole)
            return 1;
        error = ml_stream_receive_more(stream, deadline);
    }
    return error < 0 ? error : 0;
}

/* ---- the life of a connection ---- */

/* No new streams: those there are go on. */
static void say_goodbye(struct ml_http2_connection *c)
{
    struct ml_http2_session *session = &c->peer.session;
    if (c->has_said_goodbye || session->session == NULL)
        return;
    c->has_said_goodbye = true;
    session->n->nghttp2_submit_goaway(
        session->session, NGHTTP2_FLAG_NONE,
        session->n->nghttp2_session_get_last_proc_stream_id(session->session), NGHTTP2_NO_ERROR,
        NULL, 0);
    ml_http2_session_kick(session);
}

static void on_stop(struct ml_http_connection_link *link)
{
    struct ml_http2_connection *c = ml_container_of(link, struct ml_http2_connection, link);
    say_goodbye(c);
    if (ml_list_is_empty(&c->peer.streams))
        ml_http2_session_finish(&c->peer.session);
}

/* An idle connection ends after a while; so does one that takes none of the answers it has asked
 * for. Everything else has deadlines of its own. */
static ml_time receive_deadline(const struct ml_http2_connection *c)
{
    const struct ml_http_timeouts *timeouts = &c->peer.server->timeouts;
    ml_time now = ml_hub_now(ml_http2_hub(c));
    ml_time deadline = c->head_deadline;
    if (ml_list_is_empty(&c->peer.streams))
        deadline = ml_time_earlier(deadline, ml_time_after(now, timeouts->keep_alive));
    if (c->peer.session.draining > 0)
        deadline = ml_time_earlier(deadline, ml_time_after(now, timeouts->write));
    return deadline;
}

static bool is_finished(const struct ml_http2_connection *c)
{
    const struct ml_http2_session *session = &c->peer.session;
    bool is_idle = ml_list_is_empty(&c->peer.streams);
    bool wants_nothing = !session->n->nghttp2_session_want_read(session->session) &&
                         !session->n->nghttp2_session_want_write(session->session);
    return session->error != 0 || wants_nothing || (c->has_said_goodbye && is_idle);
}

/* Between heads a connection keeps no memory for the next. */
static void forget_head(struct ml_http2_connection *c)
{
    ml_http2_head_release(&c->coming);
    ml_buffer_release(&c->text);
    free(c->fields);
    c->fields = NULL;
}

static int receive_all(struct ml_http2_connection *c)
{
    struct ml_http_server *server = c->peer.server;
    int result = 0;
    while (result == 0 && !is_finished(c)) {
        bool is_old = ml_hub_now(ml_http2_hub(c)) - c->began > server->timeouts.age;
        if (server->is_leaving || is_old)
            say_goodbye(c);
        result = ml_http2_session_receive(&c->peer.session, receive_deadline(c));
        if (!c->is_in_head)
            forget_head(c);
    }
    return result;
}

/* The peer is gone, or is told to go: what its handlers wait for will not come. The last bytes of
 * answers that are complete may still be sent. */
static void close_streams(struct ml_http2_connection *c, bool is_cancelled)
{
    struct ml_link *link = c->peer.streams.next;
    while (link != &c->peer.streams) {
        struct ml_http2_stream *s = ml_container_of(link, struct ml_http2_stream, link);
        link = link->next;
        if (!s->flow.is_closed && !s->is_counted)
            continue;
        if (!s->flow.is_closed) {
            ml_http2_flow_reset(&s->flow,
                                NGHTTP2_CANCEL); /* what of it waits to be sent goes, too */
            ml_http2_stream_closed(s);
        }
        if (is_cancelled && s->scope != NULL)
            ml_scope_cancel_if_open(s->scope, s->scope_serial);
        ml_http2_release_if_over(s);
    }
}

/* Handlers may run though their streams are over, such as that of a WebSocket that was closed. 0,
 * or -ECANCELED: they are to end. */
static int await_handlers(struct ml_http2_connection *c)
{
    struct ml_http2_session *session = &c->peer.session;
    int error = 0;
    while (error == 0 && c->peer.tasks > 0)
        error = ml_wait(ml_http2_hub(c), &end_kind, 0, &session->ends, ML_FOREVER);
    return error == -ECANCELED ? error : 0;
}

static void await_end(struct ml_http2_connection *c)
{
    struct ml_http2_session *session = &c->peer.session;
    struct ml_hub *hub = ml_http2_hub(c);
    struct ml_scope *shield = ml_scope_open(hub, ML_SCOPE_SHIELD, ML_FOREVER);
    while (c->peer.tasks > 0 || session->is_sending)
        if (shield == NULL || ml_wait(hub, &end_kind, 0, &session->ends, ML_FOREVER) != 0)
            ml_pass(hub);
    if (shield != NULL)
        ml_scope_close(hub, shield);
}

static int finish(struct ml_http2_connection *c, int result)
{
    struct ml_http2_session *session = &c->peer.session;
    bool is_broken = result < 0 && result != -ETIMEDOUT && result != -EPROTO;
    if (result == -ETIMEDOUT)
        session->n->nghttp2_session_terminate_session(session->session, NGHTTP2_NO_ERROR);
    session->has_read_all = true;
    close_streams(c, result == -ECANCELED);
    if (is_broken)
        ml_stream_close(session->stream);
    ml_http2_session_finish(session);
    if (result != -ECANCELED && await_handlers(c) == -ECANCELED) {
        close_streams(c, true);
        result = -ECANCELED;
    }
    await_end(c);
    return result == 1 || result == -ETIMEDOUT ? 0 : result;
}

int ml_http2_open(struct ml_http_server *server, struct ml_stream *stream,
                  struct ml_http2_connection **connection)
{
    const struct ml_nghttp2 *n = ml_nghttp2_get(server->io);
    struct ml_http2_connection *c = n != NULL ? calloc(1, sizeof *c) : NULL;
    *connection = c;
    if (c == NULL)
        return n == NULL ? -EOPNOTSUPP : -ENOMEM;
    c->peer.server = server;
    c->began = ml_hub_now(server->io->hub);
    c->head_deadline = ML_FOREVER;
    c->link.stop = on_stop;
    ml_list_init(&c->peer.streams);
    ml_list_init(&c->peer.pending);
    ml_http2_session_init(&c->peer.session, n, stream);
    ml_list_insert(&server->connections, &c->link.link);
    server->counters.connections++;
    server->counters.open++;
    stream->write_timeout = server->timeouts.write;
    stream->is_patient = true;
    return 0;
}

void ml_http2_release(struct ml_http2_connection *c)
{
    ml_list_remove(&c->link.link);
    c->peer.server->counters.open--;
    while (!ml_list_is_empty(&c->peer.streams))
        ml_http2_stream_free(ml_container_of(c->peer.streams.next, struct ml_http2_stream, link));
    ml_http2_session_release(&c->peer.session);
    forget_head(c);
    free(c);
}

int ml_http2_run(struct ml_http2_connection *c)
{
    int result = start(c);
    if (result == 0)
        result = receive_all(c);
    result = finish(c, result);
    ml_stream_close(c->peer.session.stream);
    return result;
}
