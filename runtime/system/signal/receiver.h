/*
 * The one handler of this process for the signals that parts of it receive, and its receivers. The
 * action that was in force before stays: it is called after the receivers if it is a function, and
 * it is put back, exactly, when the last receiver of the signal leaves. Knows no task.
 */
#ifndef ML_SYSTEM_SIGNAL_RECEIVER_H
#define ML_SYSTEM_SIGNAL_RECEIVER_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The signals have the numbers 1 to ML_SIGNALS_END - 1. */
enum { ML_SIGNALS_END = 65 };

/* The set with that signal alone. */
static inline uint64_t ml_signal_bit(int number)
{
    return UINT64_C(1) << (number - 1);
}

enum ml_signal_phase {
    ML_SIGNAL_ARRIVED,
    ML_SIGNAL_DEFAULT, /* its default action comes next: the process stops, or ends */
    ML_SIGNAL_OVER     /* ... and the process goes on */
};

struct ml_signal_receiver {
    struct ml_signal_receiver *_Atomic next;
    _Atomic uint64_t signals; /* the set that it receives */
    bool takes;               /* a signal of its set has no default action */
    /* Called in a signal handler, on any thread, also several times at once. Has to leave errno and
     * the stack as they were. */
    void (*arrived)(struct ml_signal_receiver *receiver, int number, const siginfo_t *info,
                    enum ml_signal_phase phase);
};

/* Makes the receiver, whose `takes` and `arrived` are set, known. It receives nothing yet. */
void ml_signal_receiver_open(struct ml_signal_receiver *receiver);

/* It receives nothing more. When this returns no handler uses it: it may be freed. Does nothing for
 * one that is not open. */
void ml_signal_receiver_close(struct ml_signal_receiver *receiver);

/* Adds a signal to those that it receives, which may be one of them. 0 or a negated errno. */
int ml_signal_receive(struct ml_signal_receiver *receiver, int number);

/* Takes a signal out of those that it receives. */
void ml_signal_leave(struct ml_signal_receiver *receiver, int number);

/* Whether a receiver takes the signal. From any thread and from signal handlers. */
bool ml_signal_is_taken(int number);

#endif
