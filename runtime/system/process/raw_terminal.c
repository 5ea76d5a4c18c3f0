#include "system/process/raw_terminal.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The users of this process, in the order in which they came. */
static struct {
    pthread_mutex_t mutex;
    pthread_once_t once;
    struct ml_link users;
} all = {
    .mutex = PTHREAD_MUTEX_INITIALIZER,
    .once = PTHREAD_ONCE_INIT,
    .users = {&all.users, &all.users},
};

/* Those that end the process by default, or stop it; the last three after a stop that no handler
 * sees. */
static const int signals[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGILL,    SIGTRAP, SIGABRT,
                              SIGBUS,  SIGFPE,  SIGUSR1, SIGSEGV,   SIGUSR2, SIGPIPE,
                              SIGALRM, SIGTERM, SIGXCPU, SIGVTALRM, SIGXFSZ, SIGIO,
                              SIGPWR,  SIGSYS,  SIGTSTP, SIGTTIN,   SIGTTOU, SIGCONT};
enum { SIGNALS = sizeof signals / sizeof *signals };

/* ---- in signal handlers ---- */

/* A program in the background leaves the terminal to others: it would be stopped (SIGTTOU). */
static bool is_in_foreground(const struct ml_raw_terminal *raw)
{
    return tcgetpgrp(raw->fd) == getpgrp();
}

static void set_mode(const struct ml_raw_terminal *raw, const struct termios *settings)
{
    int saved_errno = errno;
    if (is_in_foreground(raw))
        tcsetattr(raw->fd, TCSANOW, settings);
    errno = saved_errno;
}

static void arrived(struct ml_signal_receiver *receiver, int number, const siginfo_t *info,
                    enum ml_signal_phase phase)
{
    (void)info;
    const struct ml_raw_terminal *raw = ml_container_of(receiver, struct ml_raw_terminal, receiver);
    if (phase == ML_SIGNAL_DEFAULT)
        set_mode(raw, &raw->before);
    else if (phase == ML_SIGNAL_OVER || number == SIGCONT)
        set_mode(raw, &raw->raw);
}

/* ---- users ---- */

/* Another user of the same terminal, the last that came; NULL: there is none. */
static struct ml_raw_terminal *other_user(const struct ml_raw_terminal *raw)
{
    struct ml_raw_terminal *found = NULL;
    for (struct ml_link *link = all.users.next; link != &all.users; link = link->next) {
        struct ml_raw_terminal *other = ml_container_of(link, struct ml_raw_terminal, link);
        if (other != raw && other->device == raw->device && other->process == raw->process)
            found = other;
    }
    return found;
}

static struct termios raw_of(struct termios settings, bool has_signals)
{
    struct termios raw = settings;
    cfmakeraw(&raw);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    if (has_signals) {
        raw.c_lflag |= ISIG;
        raw.c_oflag = settings.c_oflag;
        raw.c_iflag |= settings.c_iflag & ICRNL;
    }
    return raw;
}

/* Called by exit(). */
static void restore_all(void)
{
    pthread_mutex_lock(&all.mutex);
    for (struct ml_link *link = all.users.next; link != &all.users; link = link->next) {
        const struct ml_raw_terminal *raw = ml_container_of(link, struct ml_raw_terminal, link);
        if (raw->process == getpid())
            set_mode(raw, &raw->before);
    }
    pthread_mutex_unlock(&all.mutex);
}

static void lock_all(void)
{
    pthread_mutex_lock(&all.mutex);
}

static void unlock_all(void)
{
    pthread_mutex_unlock(&all.mutex);
}

static void begin(void)
{
    atexit(restore_all);
    pthread_atfork(lock_all, unlock_all, unlock_all);
}

/* Fills in all but the receiver. 0 or a negated errno. */
static int describe(struct ml_raw_terminal *raw, int fd, bool has_signals)
{
    struct stat status;
    if (tcgetattr(fd, &raw->before) != 0 || fstat(fd, &status) != 0)
        return -errno;
    raw->device = status.st_rdev;
    raw->raw = raw_of(raw->before, has_signals);
    raw->fd = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    return raw->fd >= 0 ? 0 : -errno;
}

/* Has signals restore the settings. One that cannot be received is left out. */
static void watch_signals(struct ml_raw_terminal *raw)
{
    raw->receiver.takes = false;
    raw->receiver.arrived = arrived;
    ml_signal_receiver_open(&raw->receiver);
    for (int i = 0; i < SIGNALS; i++)
        ml_signal_receive(&raw->receiver, signals[i]);
}

int ml_raw_terminal_open(struct ml_raw_terminal *raw, int fd, bool has_signals)
{
    pthread_once(&all.once, begin);
    *raw = (struct ml_raw_terminal){.fd = -1};
    int error = describe(raw, fd, has_signals);
    if (error != 0)
        return error;
    raw->process = getpid();
    pthread_mutex_lock(&all.mutex);
    const struct ml_raw_terminal *other = other_user(raw);
    if (other != NULL)
        raw->before = other->before;
    watch_signals(raw);
    if (tcsetattr(raw->fd, TCSANOW, &raw->raw) != 0)
        error = -errno;
    ml_list_insert(&all.users, &raw->link);
    pthread_mutex_unlock(&all.mutex);
    if (error != 0)
        ml_raw_terminal_close(raw);
    return error;
}

void ml_raw_terminal_close(struct ml_raw_terminal *raw)
{
    if (raw->process == 0)
        return;
    pthread_mutex_lock(&all.mutex);
    ml_list_remove(&raw->link);
    ml_signal_receiver_close(&raw->receiver);
    const struct ml_raw_terminal *other = other_user(raw);
    if (raw->process == getpid())
        set_mode(raw, other != NULL ? &other->raw : &raw->before);
    pthread_mutex_unlock(&all.mutex);
    close(raw->fd);
    raw->process = 0;
}
