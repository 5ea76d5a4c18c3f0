/*
 * A name server for tests: answers over UDP and TCP on a loopback port, well or badly. Its first
 * output line is the port. What it does with a question is said by the question: by the first label
 * of the name, up to a "-"
 * ("silent-7.test" is one that never gets an answer). Ends at a question for "quit", or after two
 * minutes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { A = 1, NS = 2, CNAME = 5, PTR = 12, MX = 15, TXT = 16, AAAA = 28, SRV = 33 };
enum { NXDOMAIN = 3, SERVFAIL = 2, REFUSED = 5, NOTAUTH = 9 };
enum { UDP_ROOM = 512, TCP_ROOM = 65535, TRUNCATED = 0x02, PATIENCE = 120 };
enum { CONNECTIONS = 64, DELAYED = 4096, REMEMBERED = 64, LATE_MS = 200, WRONG_MS = 30 };

/* A question and the answer that is being made. */
struct exchange {
    unsigned char bytes[TCP_ROOM + 1];
    size_t size;
    size_t question_end;
    char name[256];
    char label[64]; /* the first one, up to a "-" */
    int type;
    uint16_t port;     /* from which it came */
    uint32_t ttl;      /* of the next records */
    const char *owner; /* likewise; NULL: the name that was asked */
    bool over_tcp;
};

/* An answer to be sent over UDP some time later. */
struct delayed {
    long at; /* ms */
    struct sockaddr_in to;
    unsigned char bytes[UDP_ROOM];
    size_t size;
};

static struct exchange exchange;
static struct delayed delayed[DELAYED];
static size_t delayed_count;
static char remembered[REMEMBERED][256];
static size_t remembered_count;
static unsigned shared_count;
static struct pollfd polled[2 + CONNECTIONS];

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- making answers ---- */

static void put(struct exchange *e, const void *bytes, size_t size)
{
    if (e->size + size > TCP_ROOM)
        return;
    memcpy(e->bytes + e->size, bytes, size);
    e->size += size;
}

static void put_number(struct exchange *e, size_t size, uint32_t number)
{
    while (size-- > 0) {
        unsigned char byte = (unsigned char)(number >> 8 * size);
        put(e, &byte, 1);
    }
}

static void put_name(struct exchange *e, const char *name)
{
    while (*name != '\0') {
        size_t length = strcspn(name, ".");
        put_number(e, 1, (uint32_t)length);
        put(e, name, length);
        name += length + (name[length] == '.');
    }
    put_number(e, 1, 0);
}

/* Begins a record; its data follows. Returns where their length is to be written. */
static size_t begin_record(struct exchange *e, int type)
{
    if (e->owner != NULL)
        put_name(e, e->owner);
    else
        put_number(e, 2, 0xC00C);
    put_number(e, 2, (uint32_t)type);
    put_number(e, 2, 1);
    put_number(e, 4, e->ttl);
    put_number(e, 2, 0);
    e->bytes[7]++;
    e->bytes[6] = (unsigned char)(e->bytes[6] + (e->bytes[7] == 0));
    return e->size;
}

static void end_record(struct exchange *e, size_t start)
{
    size_t size = e->size - start;
    e->bytes[start - 2] = (unsigned char)(size >> 8);
    e->bytes[start - 1] = (unsigned char)size;
}

static void add_a(struct exchange *e, uint32_t address)
{
    size_t start = begin_record(e, A);
    put_number(e, 4, address);
    end_record(e, start);
}

static void add_aaaa(struct exchange *e, const char *address)
{
    struct in6_addr bytes;
    size_t start = begin_record(e, AAAA);
    inet_pton(AF_INET6, address, &bytes);
    put(e, &bytes, sizeof bytes);
    end_record(e, start);
}

static void add_host(struct exchange *e, int type, const char *host)
{
    size_t start = begin_record(e, type);
    put_name(e, host);
    end_record(e, start);
}

static void add_mx(struct exchange *e, unsigned priority, const char *host)
{
    size_t start = begin_record(e, MX);
    put_number(e, 2, priority);
    put_name(e, host);
    end_record(e, start);
}

static void add_srv(struct exchange *e, unsigned priority, unsigned weight, unsigned port,
                    const char *host)
{
    size_t start = begin_record(e, SRV);
    put_number(e, 2, priority);
    put_number(e, 2, weight);
    put_number(e, 2, port);
    put_name(e, host);
    end_record(e, start);
}

static void add_txt(struct exchange *e, const char *first, size_t first_size, const char *second)
{
    size_t start = begin_record(e, TXT);
    put_number(e, 1, (uint32_t)first_size);
    put(e, first, first_size);
    put_number(e, 1, (uint32_t)strlen(second));
    put(e, second, strlen(second));
    end_record(e, start);
}

static void set_code(struct exchange *e, int code)
{
    e->bytes[3] = (unsigned char)((e->bytes[3] & 0xF0) | code);
}

/* ---- what is answered ---- */

static bool is(const struct exchange *e, const char *label)
{
    return strcmp(e->label, label) == 0;
}

/* Names of this machine, for those who connect: "silent6", "silent4", "late6". */
static void add_own_address(struct exchange *e)
{
    if (e->type == A)
        add_a(e, INADDR_LOOPBACK);
    else if (e->type == AAAA)
        add_aaaa(e, "::1");
}

static bool is_own(const struct exchange *e)
{
    return is(e, "silent6") || is(e, "silent4") || is(e, "late6");
}

static void add_address(struct exchange *e)
{
    if (is_own(e))
        add_own_address(e);
    else if (e->type == A)
        add_a(e, 0xC0000201);
    else if (e->type == AAAA && !is(e, "four"))
        add_aaaa(e, "2001:db8::1");
}

static void add_services(struct exchange *e)
{
    add_srv(e, 20, 0, 1, "last.test");
    add_srv(e, 10, 1, 2, "light.test");
    add_srv(e, 10, 99, 3, "heavy.test");
    add_srv(e, 5, 0, 4, "first.test");
    add_srv(e, 30, 0, 5, "");
}

static void add_count(struct exchange *e)
{
    char text[16];
    snprintf(text, sizeof text, "%u", shared_count);
    add_txt(e, text, strlen(text), "");
}

static void add_many(struct exchange *e)
{
    for (uint32_t i = 1; i <= 1000 && e->type == A; i++)
        add_a(e, 0x0A000000 + i);
}

/* One answer that says it has a record, and ends in its middle. */
static void add_half_record(struct exchange *e)
{
    size_t start = begin_record(e, e->type);
    put_number(e, 4, 0xC0000201);
    end_record(e, start);
    e->size -= 2;
}

static void add_port(struct exchange *e)
{
    char text[16];
    snprintf(text, sizeof text, "%u", e->port);
    add_txt(e, text, strlen(text), "");
}

/* Records of another name, which nobody asked for. */
static void add_others(struct exchange *e)
{
    e->owner = "elsewhere.test";
    add_address(e);
    add_mx(e, 1, "elsewhere.test");
}

/* Two aliases and the address they lead to, the second alias first; and a record that is none of
 * theirs. */
static void add_chain(struct exchange *e)
{
    e->owner = "Middle.test";
    add_host(e, CNAME, "end.test");
    e->owner = NULL;
    add_host(e, CNAME, "middle.TEST");
    e->owner = "end.test";
    add_address(e);
    e->owner = "elsewhere.test";
    add_a(e, 0xC0000242);
}

/* Aliases that lead to one another. */
static void add_circle(struct exchange *e)
{
    add_host(e, CNAME, "middle.test");
    e->owner = "middle.test";
    add_host(e, CNAME, e->name);
}

static void add_times(struct exchange *e)
{
    static const uint32_t times[] = {0, 60, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        e->ttl = times[i];
        add_mx(e, (unsigned)i, "mail.test");
    }
}

static void add_records(struct exchange *e)
{
    if (is(e, "none"))
        set_code(e, NXDOMAIN);
    else if (is(e, "fail"))
        set_code(e, SERVFAIL);
    else if (is(e, "refuse"))
        set_code(e, REFUSED);
    else if (is(e, "odd"))
        set_code(e, NOTAUTH), add_address(e);
    else if (is(e, "stranger"))
        add_others(e);
    else if (is(e, "chain"))
        add_chain(e);
    else if (is(e, "circle"))
        add_circle(e);
    else if (is(e, "times"))
        add_times(e);
    else if (is(e, "port"))
        add_port(e);
    else if (is(e, "big"))
        add_many(e);
    else if (is(e, "broken"))
        add_half_record(e);
    else if (is(e, "count"))
        add_count(e);
    else if (is(e, "alias"))
        add_host(e, CNAME, "one.test");
    else if (e->type == SRV && is(e, "_service"))
        add_services(e);
    else if (e->type == TXT && is(e, "text"))
        add_txt(e, "hel", 3, "lo"), add_txt(e, "a\0b", 3, ""), add_txt(e, "", 0, "");
    else if (e->type == MX && is(e, "mail"))
        add_mx(e, 20, "second.test"), add_mx(e, 10, "first.test");
    else if (e->type == NS && is(e, "zone"))
        add_host(e, NS, "ns1.test"), add_host(e, NS, "ns2.test");
    else if (e->type == PTR)
        add_host(e, PTR, e->name);
    else if (!is(e, "empty"))
        add_address(e);
}

/* ---- questions ---- */

/* Reads the name and the type; false: it is no question. */
static bool read_question(struct exchange *e)
{
    size_t at = 12, length = 0;
    if (e->size < 17)
        return false;
    while (at < e->size && e->bytes[at] != 0) {
        size_t size = e->bytes[at++];
        if (size >= 0x40 || at + size + 5 > e->size || length + size + 2 > sizeof e->name)
            return false;
        memcpy(e->name + length, e->bytes + at, size);
        length += size;
        e->name[length++] = '.';
        at += size;
    }
    e->name[length > 0 ? length - 1 : 0] = '\0';
    e->type = e->bytes[at + 1] << 8 | e->bytes[at + 2];
    e->question_end = at + 5;
    snprintf(e->label, sizeof e->label, "%.*s", (int)strcspn(e->name, ".-"), e->name);
    return true;
}

static void begin_answer(struct exchange *e)
{
    e->size = e->question_end;
    e->bytes[2] = 0x85; /* an answer of one who knows */
    e->bytes[3] = 0x80;
    memset(e->bytes + 6, 0, 6);
    e->ttl = 60;
    e->owner = NULL;
}

/* Whether it is the first question for that name. */
static bool is_first(const char *name)
{
    for (size_t i = 0; i < remembered_count; i++)
        if (strcmp(remembered[i], name) == 0)
            return false;
    if (remembered_count < REMEMBERED)
        strcpy(remembered[remembered_count++], name);
    return true;
}

static void send_later(struct exchange *e, const struct sockaddr_in *to, long span)
{
    if (delayed_count == DELAYED || e->size > UDP_ROOM)
        return;
    struct delayed *one = &delayed[delayed_count++];
    one->at = now_ms() + span;
    one->to = *to;
    one->size = e->size;
    memcpy(one->bytes, e->bytes, e->size);
}

static void send_now(int fd, const struct exchange *e, const struct sockaddr_in *to)
{
    sendto(fd, e->bytes, e->size, 0, (const struct sockaddr *)to, sizeof *to);
}

static void send_wrong(int fd, struct exchange *e, const struct sockaddr_in *to)
{
    struct exchange wrong = *e;
    wrong.bytes[1] ^= 1;
    wrong.size = wrong.question_end;
    wrong.bytes[6] = wrong.bytes[7] = 0;
    add_a(&wrong, 0xC0000242);
    send_now(fd, &wrong, to);
}

/* The answer as a question: its bit that says "response" is not set. */
static void send_question(int fd, struct exchange *e, const struct sockaddr_in *to)
{
    struct exchange question = *e;
    question.bytes[2] &= 0x7F;
    question.size = question.question_end;
    question.bytes[6] = question.bytes[7] = 0;
    add_a(&question, 0xC0000242);
    send_now(fd, &question, to);
}

/* Whether a question gets no answer: of some names those for one family. */
static bool is_dropped(const struct exchange *e)
{
    return is(e, "silent") || (is(e, "lossy") && is_first(e->name)) ||
           (is(e, "silent6") && e->type == AAAA) || (is(e, "silent4") && e->type == A);
}

static void send_garbage(int fd, struct exchange *e, const struct sockaddr_in *to)
{
    for (size_t i = 12; i < e->size; i++)
        e->bytes[i] = (unsigned char)(i * 37);
    send_now(fd, e, to);
}

/* What is done with a question over UDP. */
static void serve_datagram(int fd, struct exchange *e, const struct sockaddr_in *to)
{
    begin_answer(e);
    add_records(e);
    if (e->size > UDP_ROOM || is(e, "cut")) {
        e->bytes[2] |= TRUNCATED;
        e->bytes[6] = e->bytes[7] = 0;
        e->size = e->question_end;
    }
    shared_count += is(e, "shared");
    if (is(e, "quit"))
        exit(0);
    if (is_dropped(e))
        return;
    if (is(e, "asking"))
        send_question(fd, e, to);
    if (is(e, "wrong") || is(e, "wrongest"))
        send_wrong(fd, e, to);
    if (is(e, "garbage"))
        send_garbage(fd, e, to);
    else if (is(e, "late") || is(e, "shared") || (is(e, "late6") && e->type == AAAA))
        send_later(e, to, LATE_MS);
    else if (is(e, "wrong") || is(e, "asking"))
        send_later(e, to, WRONG_MS);
    else if (!is(e, "wrongest"))
        send_now(fd, e, to);
}

static void receive_datagram(int fd)
{
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    ssize_t count =
        recvfrom(fd, exchange.bytes, sizeof exchange.bytes, 0, (struct sockaddr *)&from, &size);
    exchange.size = count > 0 ? (size_t)count : 0;
    exchange.over_tcp = false;
    exchange.port = ntohs(from.sin_port);
    if (read_question(&exchange))
        serve_datagram(fd, &exchange, &from);
}

/* A question over TCP comes in one piece here. False: the connection is over. */
static bool serve_connection(int fd)
{
    unsigned char length[2];
    if (recv(fd, length, sizeof length, MSG_WAITALL) != sizeof length)
        return false;
    exchange.size = (size_t)length[0] << 8 | length[1];
    if (recv(fd, exchange.bytes, exchange.size, MSG_WAITALL) != (ssize_t)exchange.size ||
        !read_question(&exchange) || is(&exchange, "cut"))
        return false;
    begin_answer(&exchange);
    add_records(&exchange);
    length[0] = (unsigned char)(exchange.size >> 8);
    length[1] = (unsigned char)exchange.size;
    return send(fd, length, sizeof length, MSG_NOSIGNAL) == sizeof length &&
           send(fd, exchange.bytes, exchange.size, MSG_NOSIGNAL) == (ssize_t)exchange.size;
}

/* ---- sockets ---- */

static void accept_connection(int listener)
{
    int fd = accept(listener, NULL, NULL);
    for (int i = 2; i < 2 + CONNECTIONS && fd >= 0; i++) {
        if (polled[i].fd < 0) {
            polled[i].fd = fd;
            fd = -1;
        }
    }
    if (fd >= 0)
        close(fd);
}

/* Sends the answers whose time has come; returns how long the next one has to wait, ms. */
static int send_delayed(int fd)
{
    long next = now_ms() + 1000, now = now_ms();
    for (size_t i = 0; i < delayed_count;) {
        struct delayed *one = &delayed[i];
        if (one->at <= now) {
            sendto(fd, one->bytes, one->size, 0, (struct sockaddr *)&one->to, sizeof one->to);
            *one = delayed[--delayed_count];
        } else {
            next = one->at < next ? one->at : next;
            i++;
        }
    }
    return (int)(next - now);
}

/* A UDP socket and a TCP listener on one port. */
static void open_sockets(int *datagrams, int *listener)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int room = 4 * 1024 * 1024;
    *datagrams = socket(AF_INET, SOCK_DGRAM, 0);
    *listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(*datagrams, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(*listener, (struct sockaddr *)&address, size) != 0 || listen(*listener, 64) != 0 ||
        getsockname(*listener, (struct sockaddr *)&address, &size) != 0 ||
        bind(*datagrams, (struct sockaddr *)&address, size) != 0)
        fail("dns_server");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
}

static void serve(int datagrams, int listener)
{
    int ready = poll(polled, 2 + CONNECTIONS, send_delayed(datagrams));
    if (ready <= 0)
        return;
    if (polled[0].revents != 0)
        receive_datagram(datagrams);
    if (polled[1].revents != 0)
        accept_connection(listener);
    for (int i = 2; i < 2 + CONNECTIONS; i++) {
        if (polled[i].fd >= 0 && polled[i].revents != 0 && !serve_connection(polled[i].fd)) {
            close(polled[i].fd);
            polled[i].fd = -1;
        }
    }
}

int main(void)
{
    int datagrams, listener;
    alarm(PATIENCE);
    open_sockets(&datagrams, &listener);
    for (int i = 0; i < 2 + CONNECTIONS; i++)
        polled[i] = (struct pollfd){.fd = -1, .events = POLLIN};
    polled[0].fd = datagrams;
    polled[1].fd = listener;
    for (;;)
        serve(datagrams, listener);
}
