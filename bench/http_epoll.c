/*
 * The yardstick of HTTP: plain C over level-triggered epoll, one thread, one recv and one send for
 * a request. It reads no further than the empty line and gives one of two canned answers, a word or
 * 1 KB of JSON; what it costs per request is what the kernel asks for.
 *
 * Usage: http_epoll [PORT]    (0 or nothing: any free port; prints "listening PORT")
 */
#include "common/outbox.h"
#include "common/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_BYTES = 64 * 1024 };

static const char answer[] = "HTTP/1.1 200 OK\r\n"
                             "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                             "content-type: text/plain; charset=utf-8\r\n"
                             "content-length: 5\r\n\r\nhello";

static const char json_head[] = "HTTP/1.1 200 OK\r\n"
                                "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                "content-type: application/json\r\n"
                                "content-length: 1024\r\n\r\n";

enum { JSON_BYTES = 1024 };

static char json_answer[sizeof json_head - 1 + JSON_BYTES];

static struct outbox outbox;
static char buffer[BUFFER_BYTES];

/* False: the connection has ended, or sends what is no whole request. */
static bool serve(int fd)
{
    ssize_t received = recv(fd, buffer, sizeof buffer, 0);
    if (received <= 0)
        return received < 0 && errno == EAGAIN;
    if (memmem(buffer, (size_t)received, "\r\n\r\n", 4) == NULL)
        return false;
    if (received > 9 && memcmp(buffer, "GET /json", 9) == 0)
        return outbox_send(&outbox, fd, json_answer, sizeof json_answer);
    return outbox_send(&outbox, fd, answer, sizeof answer - 1);
}

static void on_event(struct server *server, int fd, uint32_t events)
{
    (void)server, (void)events;
    bool is_alive = outbox_is_empty(&outbox, fd) ? serve(fd) : outbox_flush(&outbox, fd);
    if (is_alive)
        return;
    outbox_clear(&outbox, fd);
    close(fd);
}

/* One long number in an array. */
static void make_json_answer(void)
{
    char *body = json_answer + sizeof json_head - 1;
    memcpy(json_answer, json_head, sizeof json_head - 1);
    memset(body, '1', JSON_BYTES);
    body[0] = '[';
    body[JSON_BYTES - 1] = ']';
}

int main(int argc, char **argv)
{
    make_json_answer();
    struct server server = {.on_event = on_event};
    server_open(&server, argc > 1 ? atoi(argv[1]) : 0);
    outbox_init(&outbox, &server);
    server_run(&server);
}
