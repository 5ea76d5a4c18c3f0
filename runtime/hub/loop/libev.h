/*
 * libev, loaded for moonlet alone. Linked, it would offer its names to every library of the
 * process, also to those that mean another library's: libev.so exports many of libevent's
 * (event_add and the like). So its functions are called through a table, under their own names,
 * typed by libev's header.
 */
#ifndef ML_HUB_LOOP_LIBEV_H
#define ML_HUB_LOOP_LIBEV_H

#include <ev.h>

#define ML_LIBEV_FUNCTIONS(X)                                                                      \
    X(ev_async_send)                                                                               \
    X(ev_async_start)                                                                              \
    X(ev_async_stop)                                                                               \
    X(ev_backend)                                                                                  \
    X(ev_fork_start)                                                                               \
    X(ev_fork_stop)                                                                                \
    X(ev_io_start)                                                                                 \
    X(ev_io_stop)                                                                                  \
    X(ev_loop_destroy)                                                                             \
    X(ev_loop_new)                                                                                 \
    X(ev_now_update)                                                                               \
    X(ev_ref)                                                                                      \
    X(ev_run)                                                                                      \
    X(ev_timer_start)                                                                              \
    X(ev_timer_stop)                                                                               \
    X(ev_unref)

struct ml_libev {
#define ML_LIBEV_MEMBER(name) __typeof__(name) *(name);
    ML_LIBEV_FUNCTIONS(ML_LIBEV_MEMBER)
#undef ML_LIBEV_MEMBER
};

/* Written once, by the first ml_libev_load(); then it is a constant. */
extern struct ml_libev ml_libev;

/* Loads libev; to be called before anything else here, from any thread. 0; -ELIBACC: there is no
 * libev, or one without these functions. */
int ml_libev_load(void);

#ifndef ML_LIBEV_PLAIN /* keeps libev's own names, for the file that fills the table */
#define ev_async_send ml_libev.ev_async_send
#define ev_async_start ml_libev.ev_async_start
#define ev_async_stop ml_libev.ev_async_stop
#define ev_backend ml_libev.ev_backend
#define ev_fork_start ml_libev.ev_fork_start
#define ev_fork_stop ml_libev.ev_fork_stop
#define ev_io_start ml_libev.ev_io_start
#define ev_io_stop ml_libev.ev_io_stop
#define ev_loop_destroy ml_libev.ev_loop_destroy
#define ev_loop_new ml_libev.ev_loop_new
#define ev_now_update ml_libev.ev_now_update
#define ev_ref ml_libev.ev_ref
#define ev_run ml_libev.ev_run
#define ev_timer_start ml_libev.ev_timer_start
#define ev_timer_stop ml_libev.ev_timer_stop
#define ev_unref ml_libev.ev_unref
#endif

#endif
