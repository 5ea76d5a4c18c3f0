#include "vm/thread_signal.h"

#include "vm/interrupt.h"

#include <errno.h>
#include <stddef.h>

/* The signal; 0: all are in use. Written once. */
static int number;

static void on_signal(int signal_number)
{
    (void)signal_number;
    int error = errno;
    ml_interrupt_arrived();
    errno = error;
}

static bool is_free(int signal_number)
{
    struct sigaction action;
    return sigaction(signal_number, NULL, &action) == 0 && action.sa_handler == SIG_DFL;
}

/* The highest real-time signals are valgrind's and those that scripts try first. */
static void choose(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigfillset(&action.sa_mask);
    for (int i = SIGRTMAX - 8; i >= SIGRTMIN && number == 0; i--)
        if (is_free(i) && sigaction(i, &action, NULL) == 0)
            number = i;
}

static int chosen(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, choose);
    return number;
}

void ml_thread_signal_mask(sigset_t *mask)
{
    static const int of_instructions[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
    sigfillset(mask);
    for (size_t i = 0; i < sizeof of_instructions / sizeof *of_instructions; i++)
        sigdelset(mask, of_instructions[i]);
    if (chosen() != 0)
        sigdelset(mask, number);
}

void ml_thread_signal_send(pthread_t thread)
{
    if (chosen() != 0)
        pthread_kill(thread, number);
}
