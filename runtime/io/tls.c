#include "io/tls.h"

#include "base/check.h"
#include "base/error.h"
#include "hub/state/scope.h"
#include "hub/state/waiters.h"
#include "hub/wait/slice.h"
#include "hub/wait/wait.h"
#include "io/linger.h"
#include "io/socket.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct ml_wait_kind shaking = {.text = "the TLS handshake of descriptor",
                                            .external = true};
static const struct ml_wait_kind ending = {.text = "room for the end of TLS on descriptor",
                                           .external = true};
/* The other task says whether the world can end the wait. */
static const struct ml_wait_kind crossing = {.text = "another task's TLS traffic"};

/* As much as one record holds: a part of what ml_io_borrow() lends. */
enum { RECORD_SIZE = 16 * 1024 };

/* What is received at a time: a record with what TLS adds to it, and the beginning of the next. */
enum { INPUT_SIZE = RECORD_SIZE + 1024 };

/*
 * A peer may send for ever what is no data: messages that change keys, tickets, alerts, empty
 * records, messages in pieces of one byte. OpenSSL would go on to the end of it. So it gets the
 * input record by record, is called for each message anew, and after so many messages, or pieces of
 * input (two for each record), others may run.
 */
enum { MESSAGES_MOST = 16, PIECES_MOST = 64 };

struct ml_tls {
    const struct ml_openssl *o;
    struct ml_tls_config *config;
    const struct ml_transport *below;
    SSL *ssl;
    char *server_name;
    struct ml_buffer input;     /* received, and not given to OpenSSL yet */
    int pieces_left;            /* of input, which it may still be given by this operation */
    bool must_wait;             /* the last call stopped since the transport below was not ready */
    struct ml_link waiters;     /* tasks that wait for what another one does here */
    enum ml_fd_event wanted[2]; /* what the last receive() and transmit() waited for below */
    int error;                  /* of the transport below in the last call of OpenSSL */
    int broken;                 /* why nothing more can be read; 0: something can */
    bool is_shaking;            /* a task is in the handshake */
    bool is_ready;              /* the handshake is done */
    bool has_kept_session;
    bool has_ended;    /* the output: nothing more may be written */
    bool has_said_end; /* close_notify was sent */
    char *message;     /* what an error was about; NULL: there was none, or no memory to say it */
};

/* ---- the way down ---- */

/*
 * The stream for which OpenSSL is called. Its callbacks bring no context that could be read without
 * its own functions, whose table is what we look for; and a finalizer closes streams when no
 * runtime is current, or another one is. A call never runs Lua, so calls do not nest.
 */
static _Thread_local struct ml_stream *calling;

static void begin_call(struct ml_stream *s)
{
    calling = s;
    s->tls->error = 0;
    s->tls->must_wait = false;
    /* Clearing costs as much when there is nothing to clear. */
    if (s->tls->o->ERR_peek_error() != 0)
        s->tls->o->ERR_clear_error();
}

/* What a callback returns for the result of a transport. */
static int answer(struct ml_tls *tls, BIO *bio, ssize_t count, int flag)
{
    tls->o->BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
    if (count == -EAGAIN)
        tls->o->BIO_set_flags(bio, flag | BIO_FLAGS_SHOULD_RETRY);
    else if (count < 0) {
        tls->error = (int)count;
        errno = -tls->error; /* who is gone without its tickets is no error to OpenSSL, which looks
                                here */
    }
    return count >= 0 ? (int)count : -1;
}

/* Result of a transport's call. */
static ssize_t receive_below(struct ml_stream *s)
{
    struct ml_tls *tls = s->tls;
    if (ml_buffer_reserve(&tls->input, INPUT_SIZE) != 0)
        return -ENOMEM;
    ssize_t count = tls->below->receive(s, ml_buffer_end(&tls->input), INPUT_SIZE);
    if (count > 0)
        ml_buffer_commit(&tls->input, (size_t)count);
    else
        ml_buffer_release(&tls->input);
    return count;
}

/* OpenSSL asks for the head of a record, then for its body. */
static int on_read(BIO *bio, char *memory, int room)
{
    struct ml_stream *s = calling;
    struct ml_tls *tls = s->tls;
    bool may_go_on = tls->pieces_left-- > 0;
    ssize_t count = !may_go_on ? -EAGAIN : 1;
    if (may_go_on && ml_buffer_size(&tls->input) == 0)
        count = receive_below(s);
    tls->must_wait = may_go_on && count == -EAGAIN;
    if (count > 0) {
        size_t size = ml_buffer_size(&tls->input);
        count = (size_t)room < size ? room : (ssize_t)size;
        memcpy(memory, ml_buffer_data(&tls->input), (size_t)count);
        ml_buffer_consume(&tls->input, (size_t)count);
        if (ml_buffer_size(&tls->input) == 0)
            ml_buffer_release(&tls->input);
    }
    return answer(tls, bio, count, BIO_FLAGS_READ);
}

static int on_write(BIO *bio, const char *data, int size)
{
    struct ml_stream *s = calling;
    struct iovec piece = {.iov_base = (void *)data, .iov_len = (size_t)size};
    ssize_t count = s->tls->below->transmit(s, &piece, 1);
    s->tls->must_wait = count == -EAGAIN;
    return answer(s->tls, bio, count, BIO_FLAGS_WRITE);
}

static long on_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *new_method(const struct ml_openssl *o)
{
    BIO_METHOD *method = o->BIO_meth_new(BIO_TYPE_SOURCE_SINK, "moonlet transport");
    if (method == NULL)
        return NULL;
    o->BIO_meth_set_read(method, on_read);
    o->BIO_meth_set_write(method, on_write);
    o->BIO_meth_set_ctrl(method, on_control);
    return method;
}

/* ---- errors ---- */

static void say_why(struct ml_tls *tls, const char *what, const char *why)
{
    free(tls->message);
    if (asprintf(&tls->message, "%s%s", what, why) < 0)
        tls->message = NULL;
}

/* Why the handshake or a record was refused, by us or by the peer. */
static void explain(struct ml_tls *tls)
{
    unsigned long code = tls->o->ERR_peek_last_error();
    int number = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
    long verdict = tls->o->SSL_get_verify_result(tls->ssl);
    const char *reason = tls->o->ERR_reason_error_string(code);
    if (number == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        say_why(tls, "TLS: the connection was cut without close_notify", "");
    else if (number == SSL_R_CERTIFICATE_VERIFY_FAILED)
        say_why(tls, "TLS: certificate refused: ", tls->o->X509_verify_cert_error_string(verdict));
    else
        say_why(tls, "TLS: ", reason != NULL ? reason : "protocol error");
}

static int refuse(struct ml_tls *tls)
{
    explain(tls);
    tls->broken = -ML_ETLS;
    return -ML_ETLS;
}

static int cut_off(struct ml_tls *tls)
{
    say_why(tls, "TLS: the connection was cut without close_notify", "");
    tls->broken = -ML_ETLS;
    return -ML_ETLS;
}

/* The transport below has failed in the last call. What has come may still be read when nothing can
 * be written. */
static int fail_below(struct ml_tls *tls, enum ml_fd_event event)
{
    if (event == ML_FD_READ)
        tls->broken = tls->error;
    return tls->error;
}

/* What follows from a result of OpenSSL's that is no success: 0 for the end of the input; -EAGAIN,
 * with what to wait for in tls->wanted[event]; or an error. */
static int outcome(struct ml_tls *tls, int result, enum ml_fd_event event)
{
    switch (tls->o->SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        tls->wanted[event] = ML_FD_READ;
        return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        tls->wanted[event] = ML_FD_WRITE;
        return -EAGAIN;
    /* After the peer's end this is what OpenSSL says of any failure below. */
    case SSL_ERROR_ZERO_RETURN:
        return tls->error != 0 ? fail_below(tls, event) : 0;
    case SSL_ERROR_SYSCALL:
        return tls->error != 0 ? fail_below(tls, event) : cut_off(tls);
    default:
        return refuse(tls);
    }
}

/* ---- waiting ---- */

/* The number that is shown to people, 0: there is no descriptor. */
static uint32_t number_of(const struct ml_stream *s)
{
    return ml_fd_is_open(&s->fd) ? (uint32_t)s->fd.number : 0;
}

/* Waits for what another task does here. */
static int wait_crossing(struct ml_stream *s, ml_time deadline)
{
    return ml_wait(s->io->hub, &crossing, number_of(s), &s->tls->waiters, deadline);
}

/* Waits below. Where another task waits already for the same (a reader that must write, a writer
 * that must read, which is rare), waits until that one has. An error if the stream was closed
 * meanwhile. */
static int wait_below(struct ml_stream *s, enum ml_fd_event wanted, const struct ml_wait_kind *kind,
                      ml_time deadline)
{
    int error = s->tls->below->wait(s, wanted, kind, deadline);
    if (ml_stream_is_open(s) && error == -EBUSY)
        error = wait_crossing(s, deadline);
    else if (ml_stream_is_open(s) && !s->tls->is_shaking)
        ml_wake_all(s->io->hub, &s->tls->waiters);
    return error == 0 && !ml_stream_is_open(s) ? -ML_ECLOSED : error;
}

/* Where the transport below has no input left there may be some here: the next read must not wait.
 */
static void note_pending(struct ml_stream *s)
{
    const struct ml_tls *tls = s->tls;
    s->is_drained =
        s->is_drained && ml_buffer_size(&tls->input) == 0 && tls->o->SSL_has_pending(tls->ssl) == 0;
}

/* Not all that has come is processed: goes on, in the task's next slice if this one is used up. */
static int go_on(struct ml_stream *s, ml_time deadline)
{
    struct ml_hub *hub = s->io->hub;
    if (deadline != ML_FOREVER && ml_hub_now(hub) >= deadline)
        return -ETIMEDOUT;
    int error = ml_slice_is_over(hub) ? ml_slice_end(hub) : ml_cancel_point(hub);
    return error == 0 && !ml_stream_is_open(s) ? -ML_ECLOSED : error;
}

/* After a call of OpenSSL's that came to no end. */
static int wait_or_go_on(struct ml_stream *s, enum ml_fd_event event,
                         const struct ml_wait_kind *kind, ml_time deadline)
{
    return s->tls->must_wait ? wait_below(s, s->tls->wanted[event], kind, deadline)
                             : go_on(s, deadline);
}

/* One step of the handshake: 0 when it is done, -EAGAIN, or an error. */
static int shake_once(struct ml_stream *s)
{
    struct ml_tls *tls = s->tls;
    begin_call(s);
    tls->pieces_left = PIECES_MOST;
    ml_slice_spend_call(s->io->hub, 0);
    int result = tls->o->SSL_do_handshake(tls->ssl);
    if (result == 1) {
        tls->is_ready = true;
        note_pending(s);
        return 0;
    }
    int error = outcome(tls, result, ML_FD_READ);
    return error != 0 ? error : cut_off(tls);
}

/* The handshake, which no other task is in. Who waits for it is woken when it is done, or given up.
 */
static int shake(struct ml_stream *s, ml_time deadline)
{
    struct ml_tls *tls = s->tls;
    tls->is_shaking = true;
    int error = shake_once(s);
    while (error == -EAGAIN) {
        error = wait_or_go_on(s, ML_FD_READ, &shaking, deadline);
        if (error == 0)
            error = shake_once(s);
    }
    if (ml_stream_is_open(s)) {
        tls->is_shaking = false;
        ml_wake_all(s->io->hub, &tls->waiters);
    }
    return error;
}

int ml_tls_handshake(struct ml_stream *s, ml_time deadline)
{
    int error = deadline == ML_NEVER_WAIT ? 0 : ml_cancel_point(s->io->hub);
    /* Who never waits is not told of new input: it looks. */
    if (deadline == ML_NEVER_WAIT)
        s->is_drained = false;
    while (error == 0) {
        if (!ml_stream_is_open(s))
            return -ML_ECLOSED;
        if (s->tls->is_ready)
            return 0;
        if (s->tls->broken != 0)
            return s->tls->broken;
        error = s->tls->is_shaking ? wait_crossing(s, deadline) : shake(s, deadline);
    }
    return error;
}

static int tls_wait(struct ml_stream *s, enum ml_fd_event event, const struct ml_wait_kind *kind,
                    ml_time deadline)
{
    if (!s->tls->is_ready)
        return ml_tls_handshake(s, deadline);
    return wait_or_go_on(s, event, kind, deadline);
}

/* What another task does here is told to those who wait for it. */
static int tls_watch(struct ml_stream *s, enum ml_fd_event event, struct ml_waiter *waiter,
                     ml_time *again)
{
    struct ml_tls *tls = s->tls;
    int error = tls->is_shaking ? -EBUSY : tls->below->watch(s, tls->wanted[event], waiter, again);
    if (error == -EBUSY)
        ml_list_insert(&tls->waiters, &waiter->link);
    return error == -EBUSY ? 0 : error;
}

/* ---- reading and writing ---- */

/* A server's tickets come with the first data. */
static void keep_session(struct ml_tls *tls)
{
    if (!tls->has_kept_session)
        ml_tls_config_keep_session(tls->config, tls->ssl, tls->server_name);
    tls->has_kept_session = true;
}

/* Data, or what one message comes to. */
static ssize_t read_once(struct ml_stream *s, char *memory, size_t room)
{
    struct ml_tls *tls = s->tls;
    begin_call(s);
    int count = tls->o->SSL_read(tls->ssl, memory, room < INT_MAX ? (int)room : INT_MAX);
    if (count <= 0)
        return outcome(tls, count, ML_FD_READ);
    note_pending(s);
    keep_session(tls);
    return count;
}

static ssize_t tls_receive(struct ml_stream *s, char *memory, size_t room)
{
    struct ml_tls *tls = s->tls;
    if (tls->broken != 0)
        return tls->broken;
    if (!tls->is_ready)
        return -EAGAIN;
    tls->pieces_left = PIECES_MOST;
    ssize_t result = read_once(s, memory, room);
    for (int i = 1; i < MESSAGES_MOST && result == -EAGAIN && !tls->must_wait; i++) {
        ml_slice_spend(s->io->hub, ML_SLICE_CALL);
        result = read_once(s, memory, room);
    }
    return result;
}

/* As much of the pieces as fills a record, in `scratch`. */
static struct iovec gather(const struct iovec *pieces, int count, char *scratch)
{
    size_t size = 0;
    for (int i = 0; i < count && size < RECORD_SIZE; i++) {
        size_t room = RECORD_SIZE - size;
        size_t taken = pieces[i].iov_len < room ? pieces[i].iov_len : room;
        memcpy(scratch + size, pieces[i].iov_base, taken);
        size += taken;
    }
    return (struct iovec){.iov_base = scratch, .iov_len = size};
}

/* A record that was begun must be sent to its end: it is torn until then, for ever if the transport
 * below fails. */
static ssize_t encrypt(struct ml_stream *s, struct iovec piece)
{
    struct ml_tls *tls = s->tls;
    begin_call(s);
    int size = piece.iov_len < INT_MAX ? (int)piece.iov_len : INT_MAX;
    int sent = tls->o->SSL_write(tls->ssl, piece.iov_base, size);
    s->is_torn = sent <= 0;
    if (sent > 0)
        return sent;
    int error = outcome(tls, sent, ML_FD_WRITE);
    return error != 0 ? error : -EPIPE;
}

/* Few bytes in several pieces become one record; not on the C stack, whose pages would stay in
 * memory. */
static ssize_t tls_transmit(struct ml_stream *s, const struct iovec *pieces, int count)
{
    struct ml_tls *tls = s->tls;
    if (tls->broken != 0 || tls->has_ended)
        return tls->broken != 0 ? tls->broken : -EPIPE;
    if (!tls->is_ready)
        return -EAGAIN;
    if (count == 1 || pieces->iov_len >= RECORD_SIZE)
        return encrypt(s, *pieces);
    char *scratch = ml_io_borrow(s->io);
    if (scratch == NULL)
        return -ENOMEM;
    ssize_t result = encrypt(s, gather(pieces, count, scratch));
    ml_io_give_back(s->io, scratch);
    return result;
}

/* ---- the end ---- */

/* One step of sending close_notify. */
static int say_end(struct ml_stream *s, ml_time deadline)
{
    struct ml_tls *tls = s->tls;
    begin_call(s);
    tls->has_ended = true;
    int result = tls->o->SSL_shutdown(tls->ssl);
    tls->has_said_end = result >= 0;
    if (tls->has_said_end)
        return 0;
    int error = outcome(tls, result, ML_FD_WRITE);
    if (error == -EAGAIN)
        return wait_or_go_on(s, ML_FD_WRITE, &ending, deadline);
    return error != 0 ? error : -EPIPE;
}

/* After a write that broke off there is no end: what came would be taken for whole. */
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

/* Takes what has come, over TCP: -EAGAIN: messages that are no data, and more may come; otherwise
 * as tls_receive(). */
static ssize_t take_messages(struct ml_stream *s)
{
    char byte;
    s->is_drained = false;
    ssize_t result = tls_receive(s, &byte, 1);
    return result == -EAGAIN && !s->tls->must_wait ? -EMSGSIZE : result;
}

/* Whether the socket should live on for what the peer may still send that nobody reads. Data that
 * is unread is the peer's to know: the kernel would have made a reset of it. */
static bool awaits_messages(struct ml_stream *s)
{
    bool has_unread = ml_socket_has_unread(s->fd.number);
    ssize_t result = take_messages(s);
    if (result > 0 && has_unread)
        ml_socket_reset_on_close(s->fd.number);
    return result == -EAGAIN;
}

/* The peer is told of the end if that can be done at once. Whether its own end is still to come. In
 * a process that was forked the connection is still the parent's, which goes on with it. */
static bool say_goodbye(struct ml_stream *s)
{
    struct ml_tls *tls = s->tls;
    if (!tls->is_ready || tls->broken != 0 || s->io->hub->is_forked)
        return false;
    if (!tls->has_said_end && !s->is_torn && !s->write_broken) {
        begin_call(s);
        tls->has_said_end = tls->o->SSL_shutdown(tls->ssl) >= 0;
    }
    bool awaits_end = tls->has_said_end && tls->below == &ml_socket_transport && awaits_messages(s);
    keep_session(tls);
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

static const struct ml_transport tls_transport = {
    .receive = tls_receive,
    .transmit = tls_transmit,
    .wait = tls_wait,
    .watch = tls_watch,
    .shutdown = tls_shutdown,
    .close = tls_close,
};

/* ---- opening ---- */

/* RFC 6066, section 3: a server is asked for without the dot that ends a name ("example.com.");
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
        io->tls_bio = new_method(tls->o);
    if (server_name != NULL)
        tls->server_name = strndup(server_name, size_without_dot(server_name));
    return tls;
}

/* Makes the connection and its way down. False: no memory. */
static bool connect_below(struct ml_io *io, struct ml_tls *tls, bool is_server)
{
    if (io->tls_bio == NULL)
        return false;
    tls->ssl = ml_tls_config_connection(tls->config, is_server, tls->server_name);
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

/* ---- questions ---- */

SSL *ml_tls_connection(const struct ml_stream *s)
{
    return s->tls != NULL && s->tls->is_ready ? s->tls->ssl : NULL;
}

const struct ml_openssl *ml_tls_openssl(const struct ml_stream *s)
{
    return s->tls->o;
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
