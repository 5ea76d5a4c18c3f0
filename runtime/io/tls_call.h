/*
 * One call of OpenSSL for a TLS stream: its way down to the transport below, the meaning of its
 * result, and the wait before the next try. Knows no single function of OpenSSL.
 *
 * A peer may send messages without data for ever: changes of keys, tickets, alerts, empty records,
 * messages in pieces of one byte. OpenSSL would go on as long as they come. So it gets the input
 * record by record, is called anew for each message, and after so many messages (io/tls_records.c),
 * or pieces of input (two for each record), others may run.
 */
#ifndef ML_IO_TLS_CALL_H
#define ML_IO_TLS_CALL_H

#include "io/tls_state.h"

/* Pieces of input that OpenSSL may get in one operation. */
enum { ML_TLS_PIECES_MOST = 64 };

/* To be called before a call of OpenSSL for the stream. Calls do not nest. */
void ml_tls_call_begin(struct ml_stream *s);

/* OpenSSL asks for the keys of a ticket of the stream for which it is called. */
ml_tls_ticket_function ml_tls_on_ticket;

/* The meaning of a result that is no success: 0 for the end of the input; -EAGAIN, with the event
 * to wait for in tls->wanted[event]; or an error. */
int ml_tls_call_outcome(struct ml_tls *tls, int result, enum ml_fd_event event);

/* After a call that must be repeated: waits below or, if the call stopped for the sake of other
 * tasks, lets them run. 0: call again; or an error of waits. */
int ml_tls_call_wait(struct ml_stream *s, enum ml_fd_event event, const struct ml_wait_kind *kind,
                     ml_time deadline);

/* Waits while another task uses the stream's TLS. 0, or an error of ml_wait(). */
int ml_tls_wait_crossing(struct ml_stream *s, ml_time deadline);

/* To be called after a call that succeeded. OpenSSL may have input left where the transport below
 * has none: then the next read must not wait. */
void ml_tls_note_pending(struct ml_stream *s);

/* The connection was cut without close_notify: nothing more can be read. Returns -ML_ETLS. */
int ml_tls_cut_off(struct ml_tls *tls);

/* The BIO that leads down, for all streams of a runtime. NULL: no memory. */
BIO_METHOD *ml_tls_new_method(const struct ml_openssl *o);

#endif
