/*
 * Runs a program on a terminal of its own, whose keyboard and screen are a stream: on_terminal
 * SOCKET PROGRAM [ARGUMENT...] connects to the Unix socket; what comes from there is typed, what is
 * printed goes there. The byte 255 and one more change the terminal's width to that many columns;
 * it begins with 80. At the end "<exit N>" follows, N negative for a signal.
 */
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RESIZE = 255, ROOM = 4096 };

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        exit(1);
    return fd;
}

static void resize(int terminal, unsigned char columns)
{
    struct winsize size = {.ws_row = 24, .ws_col = columns};
    ioctl(terminal, TIOCSWINSZ, &size);
}

/* Types what came. */
static void type(int terminal, const char *keys, ssize_t count)
{
    for (ssize_t i = 0; i < count; i++) {
        if ((unsigned char)keys[i] == RESIZE && i + 1 < count)
            resize(terminal, (unsigned char)keys[++i]);
        else if (write(terminal, keys + i, 1) != 1)
            exit(1);
    }
}

/* One round; false: the program is gone, or whoever types. */
static int relay(int stream, int terminal, pid_t pid)
{
    char data[ROOM];
    struct pollfd fds[] = {{.fd = stream, .events = POLLIN}, {.fd = terminal, .events = POLLIN}};
    poll(fds, 2, -1);
    if (fds[1].revents != 0) {
        ssize_t size = read(terminal, data, sizeof data);
        if (size <= 0 || write(stream, data, (size_t)size) != size)
            return 0;
    }
    if (fds[0].revents != 0) {
        ssize_t size = read(stream, data, sizeof data);
        if (size <= 0)
            kill(pid, SIGKILL);
        type(terminal, data, size);
        return size > 0;
    }
    return 1;
}

int main(int argc, char **argv)
{
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    int terminal, status = 0;
    if (argc < 3)
        return 2;
    int stream = connect_to(argv[1]);
    pid_t pid = forkpty(&terminal, NULL, NULL, &size);
    if (pid == 0) {
        signal(SIGINT, SIG_DFL); /* a shell has what it starts in the background ignore them */
        signal(SIGQUIT, SIG_DFL);
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    while (relay(stream, terminal, pid))
        ;
    waitpid(pid, &status, 0);
    dprintf(stream, "<exit %d>", WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status));
    return 0;
}
