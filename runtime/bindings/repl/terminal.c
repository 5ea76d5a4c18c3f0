#include "bindings/repl/terminal.h"

#include "hub/loop/run.h"
#include "system/signal/receiver.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <wctype.h>

/* The one of the process, for its end and its signal handlers. */
static struct {
    int fd;             /* duplicate of the editor's; 0: closed */
    pid_t process;      /* the process that edits: not a fork of it */
    struct ml_hub *hub; /* of the editor */
    struct termios settings;
    struct ml_signal_receiver receiver;
    _Atomic sig_atomic_t is_editing;
    _Atomic sig_atomic_t was_stopped;
    bool is_watched;
} terminal;

/* The size has changed, or the process goes on; or another signal ends the process. */
static void arrived(struct ml_signal_receiver *receiver, int number, const siginfo_t *info,
                    enum ml_signal_phase phase)
{
    (void)receiver, (void)info;
    if (phase == ML_SIGNAL_DEFAULT)
        ml_terminal_restore();
    if (number != SIGWINCH && number != SIGCONT)
        return;
    if (number == SIGCONT)
        terminal.was_stopped = true;
    ml_hub_notify(terminal.hub);
}

/* Called by exit() while a line is edited: later output begins on a line of its own. */
static void at_end(void)
{
    bool is_ours = terminal.is_editing && terminal.process == getpid();
    if (is_ours && write(STDOUT_FILENO, "\r\n", 2) > 0)
        ml_terminal_restore();
}

/* Signals of which it is told. One that cannot be received is left out. */
static void watch_signals(void)
{
    static const int signals[] = {SIGWINCH, SIGCONT, SIGTERM, SIGHUP, SIGINT};
    terminal.receiver.arrived = arrived;
    ml_signal_receiver_open(&terminal.receiver);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        ml_signal_receive(&terminal.receiver, signals[i]);
}

bool ml_terminal_open(int fd, struct ml_hub *hub)
{
    if (terminal.fd > 0 || tcgetattr(fd, &terminal.settings) != 0)
        return false;
    terminal.fd = fd;
    terminal.hub = hub;
    terminal.process = getpid();
    if (!terminal.is_watched)
        atexit(at_end);
    terminal.is_watched = true;
    watch_signals();
    return true;
}

void ml_terminal_close(void)
{
    terminal.fd = 0;
    terminal.is_editing = false;
    ml_signal_receiver_close(&terminal.receiver);
}

void ml_terminal_note_editing(bool is_editing)
{
    terminal.is_editing = is_editing;
}

void ml_terminal_restore(void)
{
    if (terminal.is_editing)
        tcsetattr(terminal.fd, TCSANOW, &terminal.settings);
}

bool ml_terminal_was_stopped(void)
{
    bool was = terminal.was_stopped;
    terminal.was_stopped = false;
    return was;
}

unsigned ml_terminal_columns(void)
{
    enum { USUAL = 80 };
    struct winsize size;
    bool is_known = ioctl(terminal.fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
    return is_known ? size.ws_col : USUAL;
}

/* Columns that libedit uses to show a character: "^A", "\U+200b". */
static unsigned width_of(wchar_t character)
{
    enum { CONTROL = 2, SHORT_CODE = 7, LONG_CODE = 8 };
    int width = wcwidth(character);
    if (character < 0x20 || character == 0x7f)
        return CONTROL;
    if (width >= 0 && iswprint((wint_t)character))
        return (unsigned)width;
    return character > 0xffff ? LONG_CODE : SHORT_CODE;
}

/* A text that does not fit into the row as a whole goes to the next. */
static void put(struct ml_place_on_screen *place, unsigned width, unsigned columns)
{
    if (place->column + width > columns)
        *place = (struct ml_place_on_screen){place->row + 1, 0};
    place->column += width;
    if (place->column >= columns)
        *place = (struct ml_place_on_screen){place->row + 1, 0};
}

void ml_terminal_advance(struct ml_place_on_screen *place, const wchar_t *text, size_t length,
                         unsigned columns)
{
    enum { TAB = 8 };
    bool is_seen = true;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == ML_TERMINAL_MARK)
            is_seen = !is_seen;
        else if (text[i] == L'\n')
            *place = (struct ml_place_on_screen){place->row + 1, 0};
        else if (text[i] == L'\t')
            put(place, TAB - place->column % TAB, columns);
        else if (is_seen)
            put(place, width_of(text[i]), columns);
    }
}
