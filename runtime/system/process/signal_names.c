#include "system/process/signal_names.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

void ml_signal_name(char name[ML_SIGNAL_NAME], int signal)
{
    const char *known = sigabbrev_np(signal);
    if (known != NULL)
        snprintf(name, ML_SIGNAL_NAME, "%s", known);
    else if (signal >= SIGRTMIN && signal <= SIGRTMAX)
        snprintf(name, ML_SIGNAL_NAME, signal == SIGRTMIN ? "RTMIN" : "RTMIN+%d",
                 signal - SIGRTMIN);
    else
        snprintf(name, ML_SIGNAL_NAME, "%d", signal);
}

int ml_signal_number(const char *name)
{
    char known[ML_SIGNAL_NAME];
    int number = 0;
    if (strncmp(name, "SIG", 3) == 0)
        name += 3;
    for (int signal = 1; signal <= SIGRTMAX && number == 0; signal++) {
        ml_signal_name(known, signal);
        if (strcmp(known, name) == 0 && (sigabbrev_np(signal) != NULL || signal >= SIGRTMIN))
            number = signal;
    }
    return number;
}
