#include "io/tls_records.h"

#include "hub/wait/slice.h"
#include "io/tls_call.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* Messages without data, after which others may run. */
enum { MESSAGES_MOST = 16 };

void ml_tls_keep_session(struct ml_tls *tls)
{
    if (!tls->has_kept_session)
        ml_tls_config_keep_session(tls->config, tls->ssl, tls->server_name);
    tls->has_kept_session = true;
}

/* Data, or the outcome of one message. */
static ssize_t read_once(struct ml_stream *s, char *memory, size_t room)
{
    struct ml_tls *tls = s->tls;
    ml_tls_call_begin(s);
    int count = tls->o->SSL_read(tls->ssl, memory, room < INT_MAX ? (int)room : INT_MAX);
    if (count <= 0)
        return ml_tls_call_outcome(tls, count, ML_FD_READ);
    ml_tls_note_pending(s);
    ml_tls_keep_session(tls);
    return count;
}

ssize_t ml_tls_receive(struct ml_stream *s, char *memory, size_t room)
{
    struct ml_tls *tls = s->tls;
    if (tls->broken != 0)
        return tls->broken;
    if (!tls->is_ready)
        return -EAGAIN;
    tls->pieces_left = ML_TLS_PIECES_MOST;
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
    for (int i = 0; i < count && size < ML_TLS_RECORD_SIZE; i++) {
        size_t room = ML_TLS_RECORD_SIZE - size;
        size_t taken = pieces[i].iov_len < room ? pieces[i].iov_len : room;
        memcpy(scratch + size, pieces[i].iov_base, taken);
        size += taken;
    }
    return (struct iovec){.iov_base = scratch, .iov_len = size};
}

/* A record that was begun must be sent to its end. Until then, and for ever if the transport below
 * fails, it is torn. */
static ssize_t encrypt(struct ml_stream *s, struct iovec piece)
{
    struct ml_tls *tls = s->tls;
    ml_tls_call_begin(s);
    int size = piece.iov_len < INT_MAX ? (int)piece.iov_len : INT_MAX;
    int sent = tls->o->SSL_write(tls->ssl, piece.iov_base, size);
    s->is_torn = sent <= 0;
    if (sent > 0)
        return sent;
    int error = ml_tls_call_outcome(tls, sent, ML_FD_WRITE);
    return error != 0 ? error : -EPIPE;
}

/* Few bytes in several pieces become one record. They are not gathered on the C stack, whose pages
 * would stay in memory. */
ssize_t ml_tls_transmit(struct ml_stream *s, const struct iovec *pieces, int count)
{
    struct ml_tls *tls = s->tls;
    if (tls->broken != 0 || tls->has_ended)
        return tls->broken != 0 ? tls->broken : -EPIPE;
    if (!tls->is_ready)
        return -EAGAIN;
    if (count == 1 || pieces->iov_len >= ML_TLS_RECORD_SIZE)
        return encrypt(s, *pieces);
    char *scratch = ml_io_borrow(s->io);
    if (scratch == NULL)
        return -ENOMEM;
    ssize_t result = encrypt(s, gather(pieces, count, scratch));
    ml_io_give_back(s->io, scratch);
    return result;
}
