/*
 * A server of a line protocol as plain C over level-triggered epoll: each line is answered by "+"
 * and the same line. All lines that came with one recv() are answered with one send(). A connection
 * that ends in the middle of a line holds that part and nothing else; a line has a limit.
 *
 * Usage: lines_epoll [PORT]    (0 or nothing: any free port; prints "listening PORT")
 */
#include "common/loopback.h"
#include "common/outbox.h"
#include "common/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    INPUT_BYTES = 64 * 1024,        /* and the longest line */
    ANSWER_BYTES = 2 * INPUT_BYTES, /* "+" and "\n" for each "\n": at most twice the input */
};

/* The beginning of a line whose end has not come yet. */
struct part {
    size_t size;
    char bytes[];
};

static struct outbox outbox;
static struct part **parts; /* by descriptor; NULL nearly always */
static char input[INPUT_BYTES];
static char answers[ANSWER_BYTES];

static void forget_part(int fd)
{
    free(parts[fd]);
    parts[fd] = NULL;
}

/* Puts what is left of the connection's last line to the front of the input; returns its size. */
static size_t take_part(int fd)
{
    if (parts[fd] == NULL)
        return 0;
    size_t size = parts[fd]->size;
    memcpy(input, parts[fd]->bytes, size);
    forget_part(fd);
    return size;
}

static void keep_part(int fd, const char *bytes, size_t size)
{
    struct part *part = malloc(sizeof *part + size);
    if (part == NULL)
        die("malloc");
    part->size = size;
    memcpy(part->bytes, bytes, size);
    parts[fd] = part;
}

/* Writes the answer to a line without its end; returns where the next one goes. */
static char *answer_line(char *to, const char *line, size_t size)
{
    if (size > 0 && line[size - 1] == '\r')
        size--;
    *to++ = '+';
    memcpy(to, line, size);
    to += size;
    *to++ = '\n';
    return to;
}

/* Answers all whole lines of the input. False: the connection is to be closed. */
static bool answer(int fd, size_t size)
{
    const char *line = input, *end = input + size, *stop;
    char *to = answers;
    while ((stop = memchr(line, '\n', (size_t)(end - line))) != NULL) {
        to = answer_line(to, line, (size_t)(stop - line));
        line = stop + 1;
    }
    if (end - line == INPUT_BYTES)
        return false;
    if (line < end)
        keep_part(fd, line, (size_t)(end - line));
    return to == answers || outbox_send(&outbox, fd, answers, (size_t)(to - answers));
}

/* False: the connection has ended. */
static bool receive(int fd)
{
    size_t kept = take_part(fd);
    ssize_t received = recv(fd, input + kept, sizeof input - kept, 0);
    if (received > 0)
        return answer(fd, kept + (size_t)received);
    if (kept > 0)
        keep_part(fd, input, kept);
    return received < 0 && errno == EAGAIN;
}

static void on_event(struct server *server, int fd, uint32_t events)
{
    (void)server, (void)events;
    bool is_alive = outbox_is_empty(&outbox, fd) ? receive(fd) : outbox_flush(&outbox, fd);
    if (is_alive)
        return;
    forget_part(fd);
    outbox_clear(&outbox, fd);
    close(fd);
}

int main(int argc, char **argv)
{
    struct server server = {.on_event = on_event};
    server_open(&server, argc > 1 ? atoi(argv[1]) : 0);
    outbox_init(&outbox, &server);
    parts = calloc(server.descriptors, sizeof *parts);
    if (parts == NULL)
        die("calloc");
    server_run(&server);
}
