/*
 * One call of OpenSSL's for a TLS stream: its way down to the transport below, what its result
 * means, and the wait before it is tried again. Knows not what is called.
 *
 * A peer may send for ever what is no data: messages that change keys, tickets, alerts, empty
 * records, messages in pieces of one byte. OpenSSL would go on to the end of it. So it gets the
 * input record by record, is called for each message anew, and after so many messages
 * (io/tls_records.c), or pieces of input (two for each record), others may run.
 */
#ifndef ML_IO_TLS_CALL_H
#define ML_IO_TLS_CALL_H

#include "io/tls_state.h"

/* Pieces of input that OpenSSL may be given by one operation. */
enum { ML_TLS_PIECES_MOST = 64 };

/* Before a call of OpenSSL's for the stream. Calls do not nest. */
void ml_tls_call_begin(struct ml_stream *s);

/* What follows from a result of the call that is no success: 0 for the end of the input; -EAGAIN,
 * with what to wait for in tls->wanted[event]; or an error. */
int ml_tls_call_outcome(struct ml_tls *tls, int result, enum ml_fd_event event);

/* After a call that came to no end: waits below, or lets others run where it stopped for these. 0:
 * call again; or an error of waits. */
int ml_tls_call_wait(struct ml_stream *s, enum ml_fd_event event, const struct ml_wait_kind *kind,
                     ml_time deadline);

/* Waits for what another task does with the stream's TLS. 0, or an error of ml_wait(). */
int ml_tls_wait_crossing(struct ml_stream *s, ml_time deadline);

/* After a call that succeeded. Where the transport below has no input left there may be some here:
 * then the next read must not wait. */
void ml_tls_note_pending(struct ml_stream *s);

/* The connection was cut without close_notify: nothing more can be read. Returns -ML_ETLS. */
int ml_tls_cut_off(struct ml_tls *tls);

/* The way down, for all streams of a runtime. NULL: no memory. */
BIO_METHOD *ml_tls_new_method(const struct ml_openssl *o);

#endif
