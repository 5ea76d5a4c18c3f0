/*
 * The signal by which a thread's runtime learns that its code is to end while it computes. It is a
 * real-time signal that nobody uses when the first thread is to be ended so; only threads of
 * moonlet.thread get it.
 */
#ifndef ML_VM_THREAD_SIGNAL_H
#define ML_VM_THREAD_SIGNAL_H

#include <pthread.h>
#include <signal.h>

/* The signals that such a thread blocks: all but this one and those of its own instructions. */
void ml_thread_signal_mask(sigset_t *mask);

/* Sends it to a thread that was started with that mask and has not ended. */
void ml_thread_signal_send(pthread_t thread);

#endif
