/* Names of signals as scripts write them: "TERM", "USR1", "RTMIN+2". Knows no process. */
#ifndef ML_SYSTEM_PROCESS_SIGNAL_NAMES_H
#define ML_SYSTEM_PROCESS_SIGNAL_NAMES_H

#include <stddef.h>

enum { ML_SIGNAL_NAME = 16 }; /* bytes of the longest, with its end */

/* The signal's name, in `name`; its number in digits if it has none. */
void ml_signal_name(char name[ML_SIGNAL_NAME], int signal);

/* The number of a signal's name, also one that begins with "SIG"; 0: there is no such signal. */
int ml_signal_number(const char *name);

#endif
