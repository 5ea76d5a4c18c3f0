#include "coro/overflow.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

enum { SIGNAL_STACK_SIZE = 64 * 1024 };

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    /* A second fault, in the report or on return, takes the default action. */
    signal(number, SIG_DFL);
    /* The signal was sent: no instruction will fault again. Pending until this returns. */
    if (info->si_code <= 0) {
        raise(number);
        return;
    }
    struct ml_bank *bank = ml_bank_current;
    if (bank == NULL || bank->on_overflow == NULL || bank->running->seat == NULL ||
        !ml_stack_guards(&bank->running->seat->stack, info->si_addr))
        return;
    bank->on_overflow(bank);
    abort();
}

static int install_handler(void)
{
    struct sigaction action;
    if (sigaction(SIGSEGV, NULL, &action) != 0)
        return -errno;
    if (action.sa_handler != SIG_DFL || (action.sa_flags & SA_SIGINFO))
        return 0;
    action = (struct sigaction){.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    return sigaction(SIGSEGV, &action, NULL) == 0 ? 0 : -errno;
}

int ml_overflow_watch(struct ml_bank *bank, ml_overflow_report *report)
{
    stack_t present;
    bank->on_overflow = report;
    if (sigaltstack(NULL, &present) == 0 && (present.ss_flags & SS_DISABLE)) {
        bank->signal_stack = malloc(SIGNAL_STACK_SIZE);
        if (bank->signal_stack == NULL)
            return -ENOMEM;
        stack_t stack = {.ss_sp = bank->signal_stack, .ss_size = SIGNAL_STACK_SIZE};
        if (sigaltstack(&stack, NULL) != 0)
            return -errno;
    }
    return install_handler();
}

void ml_overflow_unwatch(struct ml_bank *bank)
{
    if (bank->signal_stack == NULL)
        return;
    stack_t off = {.ss_flags = SS_DISABLE};
    sigaltstack(&off, NULL);
    free(bank->signal_stack);
    bank->signal_stack = NULL;
}
