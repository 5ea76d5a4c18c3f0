/*
 * Names of signals: "TERM", "SIGTERM", "RTMIN+3", "RTMAX-1". Knows the names and which signals a
 * script may listen to; sends and receives none.
 */
#ifndef ML_SYSTEM_SIGNAL_SIGNAL_NAME_H
#define ML_SYSTEM_SIGNAL_SIGNAL_NAME_H

#include <stddef.h>

/* Room for any name, with its end. */
enum { ML_SIGNAL_NAME_ROOM = 16 };

/* The number of a signal by its name, with or without "SIG"; 0: there is no such signal. */
int ml_signal_number(const char *name, size_t length);

/* The name of a signal without "SIG", as ml_signal_number() takes it; a number without a name is
 * written as such. Returns `name`. */
const char *ml_signal_name(int number, char name[ML_SIGNAL_NAME_ROOM]);

/* Why no script can listen to a signal, as the end of a sentence; NULL: one can. */
const char *ml_signal_refusal(int number);

#endif
