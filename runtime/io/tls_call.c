#include "io/tls_call.h"

#include "base/check.h"
#include "base/error.h"
#include "hub/state/scope.h"
#include "hub/state/waiters.h"
#include "hub/wait/slice.h"
#include "hub/wait/wait.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Not external: the other task's own wait says whether an event can end it. */
static const struct ml_wait_kind crossing = {.text = "another task's TLS traffic"};

/* Bytes received at a time: a record with TLS's additions, and the beginning of the next. */
enum { INPUT_SIZE = ML_TLS_RECORD_SIZE + 1024 };

/* ---- the way down ---- */

/*
 * The stream for which OpenSSL is called. OpenSSL's callbacks have no context that could be read
 * without its own functions, whose table must be found first; and a finalizer closes streams when
 * no runtime is current, or another one is. A call never runs Lua, so calls do not nest.
 */
static _Thread_local struct ml_stream *calling;

void ml_tls_call_begin(struct ml_stream *s)
{
    calling = s;
    s->tls->error = 0;
    s->tls->must_wait = false;
    /* ERR_clear_error() is slow even on an empty queue; peek first. */
    if (s->tls->o->ERR_peek_error() != 0)
        s->tls->o->ERR_clear_error();
}

int ml_tls_on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int is_new)
{
    struct ml_tls_tickets *tickets = ml_tls_config_tickets(calling->tls->config);
    return ml_tls_tickets_answer(tickets, ssl, name, iv, cipher, mac, is_new != 0);
}

/* The result of a callback for the result of a transport. */
static int answer(struct ml_tls *tls, BIO *bio, ssize_t count, int flag)
{
    tls->o->BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
    if (count == -EAGAIN)
        tls->o->BIO_set_flags(bio, flag | BIO_FLAGS_SHOULD_RETRY);
    else if (count < 0) {
        tls->error = (int)count;
        errno = -tls->error; /* a peer that left without reading its tickets is no error to OpenSSL,
                                which checks errno */
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

BIO_METHOD *ml_tls_new_method(const struct ml_openssl *o)
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

/* Keeps the reason why the handshake or a record was refused, by us or by the peer. */
static void explain(struct ml_tls *tls)
{
    unsigned long code = tls->o->ERR_peek_last_error();
    int number = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
    long verdict = tls->o->SSL_get_verify_result(tls->ssl);
    const char *reason = tls->o->ERR_reason_error_string(code);
    tls->got_http = number == SSL_R_HTTP_REQUEST;
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

int ml_tls_cut_off(struct ml_tls *tls)
{
    say_why(tls, "TLS: the connection was cut without close_notify", "");
    tls->broken = -ML_ETLS;
    return -ML_ETLS;
}

/* The transport below has failed in the last call. Input may still be read when nothing can be
 * written. */
static int fail_below(struct ml_tls *tls, enum ml_fd_event event)
{
    if (event == ML_FD_READ)
        tls->broken = tls->error;
    return tls->error;
}

int ml_tls_call_outcome(struct ml_tls *tls, int result, enum ml_fd_event event)
{
    switch (tls->o->SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        tls->wanted[event] = ML_FD_READ;
        return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        tls->wanted[event] = ML_FD_WRITE;
        return -EAGAIN;
    /* After the peer's end OpenSSL gives this result for any failure below. */
    case SSL_ERROR_ZERO_RETURN:
        return tls->error != 0 ? fail_below(tls, event) : 0;
    case SSL_ERROR_SYSCALL:
        return tls->error != 0 ? fail_below(tls, event) : ml_tls_cut_off(tls);
    default:
        return refuse(tls);
    }
}

/* ---- waiting ---- */

/* The number shown in reports, 0: there is no descriptor. */
static uint32_t number_of(const struct ml_stream *s)
{
    return ml_fd_is_open(&s->fd) ? (uint32_t)s->fd.number : 0;
}

int ml_tls_wait_crossing(struct ml_stream *s, ml_time deadline)
{
    return ml_wait(s->io->hub, &crossing, number_of(s), &s->tls->waiters, deadline);
}

/* Waits below. If another task waits already for the same event (a reader that must write, a writer
 * that must read, which is rare), waits until that one has finished. An error if the stream was
 * closed meanwhile. */
static int wait_below(struct ml_stream *s, enum ml_fd_event wanted, const struct ml_wait_kind *kind,
                      ml_time deadline)
{
    int error = s->tls->below->wait(s, wanted, kind, deadline);
    if (ml_stream_is_open(s) && error == -EBUSY)
        error = ml_tls_wait_crossing(s, deadline);
    else if (ml_stream_is_open(s) && !s->tls->is_shaking)
        ml_wake_all(s->io->hub, &s->tls->waiters);
    return ml_stream_after_wait(s, error);
}

void ml_tls_note_pending(struct ml_stream *s)
{
    const struct ml_tls *tls = s->tls;
    s->is_drained =
        s->is_drained && ml_buffer_size(&tls->input) == 0 && tls->o->SSL_has_pending(tls->ssl) == 0;
}

/* There is input left to process: goes on, in the task's next slice if this one is used up. */
static int go_on(struct ml_stream *s, ml_time deadline)
{
    struct ml_hub *hub = s->io->hub;
    if (deadline != ML_FOREVER && ml_hub_now(hub) >= deadline)
        return -ETIMEDOUT;
    int error = ml_slice_is_over(hub) ? ml_slice_end(hub) : ml_cancel_point(hub);
    return ml_stream_after_wait(s, error);
}

int ml_tls_call_wait(struct ml_stream *s, enum ml_fd_event event, const struct ml_wait_kind *kind,
                     ml_time deadline)
{
    return s->tls->must_wait ? wait_below(s, s->tls->wanted[event], kind, deadline)
                             : go_on(s, deadline);
}
