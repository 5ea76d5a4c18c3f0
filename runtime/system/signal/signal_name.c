#include "system/signal/signal_name.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The second name of a number is only read. */
static const struct {
    int number;
    const char *name;
} names[] = {
    {SIGHUP, "HUP"},   {SIGINT, "INT"},       {SIGQUIT, "QUIT"}, {SIGILL, "ILL"},
    {SIGTRAP, "TRAP"}, {SIGABRT, "ABRT"},     {SIGBUS, "BUS"},   {SIGFPE, "FPE"},
    {SIGKILL, "KILL"}, {SIGUSR1, "USR1"},     {SIGSEGV, "SEGV"}, {SIGUSR2, "USR2"},
    {SIGPIPE, "PIPE"}, {SIGALRM, "ALRM"},     {SIGTERM, "TERM"}, {SIGSTKFLT, "STKFLT"},
    {SIGCHLD, "CHLD"}, {SIGCONT, "CONT"},     {SIGSTOP, "STOP"}, {SIGTSTP, "TSTP"},
    {SIGTTIN, "TTIN"}, {SIGTTOU, "TTOU"},     {SIGURG, "URG"},   {SIGXCPU, "XCPU"},
    {SIGXFSZ, "XFSZ"}, {SIGVTALRM, "VTALRM"}, {SIGPROF, "PROF"}, {SIGWINCH, "WINCH"},
    {SIGIO, "IO"},     {SIGPWR, "PWR"},       {SIGSYS, "SYS"},   {SIGABRT, "IOT"},
    {SIGCHLD, "CLD"},  {SIGPOLL, "POLL"},
};
enum { NAMES = sizeof names / sizeof *names };

/* A text that is not ended by a NUL. */
struct text {
    const char *start;
    size_t length;
};

static bool is(struct text text, const char *word)
{
    return strlen(word) == text.length && memcmp(text.start, word, text.length) == 0;
}

/* Takes the word off the begin of the text; false: it does not begin so. */
static bool take(struct text *text, const char *word)
{
    size_t length = strlen(word);
    if (text->length < length || memcmp(text->start, word, length) != 0)
        return false;
    text->start += length;
    text->length -= length;
    return true;
}

/* The number of one or two digits that the text is; -1: it is none. */
static int digits_of(struct text text)
{
    int value = 0;
    bool is_number = text.length == 1 || (text.length == 2 && text.start[0] != '0');
    for (size_t i = 0; i < text.length && is_number; i++) {
        is_number = text.start[i] >= '0' && text.start[i] <= '9';
        value = value * 10 + (text.start[i] - '0');
    }
    return is_number ? value : -1;
}

/* The number of "RTMIN", "RTMIN+n", "RTMAX", "RTMAX-n". */
static int real_time_number(struct text text)
{
    bool is_up = take(&text, "RTMIN");
    if (!is_up && !take(&text, "RTMAX"))
        return 0;
    int distance = 0;
    if (text.length > 0)
        distance = take(&text, is_up ? "+" : "-") ? digits_of(text) : -1;
    int number = is_up ? SIGRTMIN + distance : SIGRTMAX - distance;
    return distance >= 0 && number >= SIGRTMIN && number <= SIGRTMAX ? number : 0;
}

int ml_signal_number(const char *name, size_t length)
{
    struct text text = {name, length};
    take(&text, "SIG");
    for (int i = 0; i < NAMES; i++)
        if (is(text, names[i].name))
            return names[i].number;
    return real_time_number(text);
}

const char *ml_signal_name(int number, char name[ML_SIGNAL_NAME_ROOM])
{
    snprintf(name, ML_SIGNAL_NAME_ROOM, "%d", number);
    for (int i = NAMES - 1; i >= 0; i--)
        if (names[i].number == number)
            snprintf(name, ML_SIGNAL_NAME_ROOM, "%s", names[i].name);
    if (number == SIGRTMIN)
        snprintf(name, ML_SIGNAL_NAME_ROOM, "RTMIN");
    else if (number > SIGRTMIN && number <= SIGRTMAX)
        snprintf(name, ML_SIGNAL_NAME_ROOM, "RTMIN+%d", number - SIGRTMIN);
    return name;
}

const char *ml_signal_refusal(int number)
{
    switch (number) {
    case SIGKILL:
    case SIGSTOP:
        return "the system lets no program catch it";
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
        return "it reports a fault in the program, which cannot go on";
    case SIGPROF:
    case SIGURG:
        return "moonlet uses it itself";
    default:
        return NULL;
    }
}
