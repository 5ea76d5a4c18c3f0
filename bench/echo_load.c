/*
 * Load for a TCP, or UDP, server: N connections in strict ping-pong from one thread, every byte of
 * the answers compared. It knows nothing of the server but its port and, if told, its pid, whose
 * CPU time and memory it reads from /proc.
 *
 * Usage: echo_load PORT CONNECTIONS SECONDS [--size BYTES] [--pipeline N] [--think MICROSECONDS]
 *                  [--warmup SECONDS] [--pid PID] [--lines] [--tls] [--active N] [--idle] [--udp]
 *                  [--websocket]
 *
 * Prints one line of JSON. With --pipeline N a connection sends N messages in one go and waits
 * for all N; its latency is that of the batch. --think pauses before each batch, all connections
 * alike: made for one connection to a server under strace, which is so slow that the next message
 * would be there before it looks.
 * With --lines the messages are lines of SIZE bytes, their end included, which the server answers
 * by "+" and the same line. With --websocket they are frames after a handshake at "/". With --tls
 * the server speaks TLS 1.3. With --active N only N connections go on after their first message,
 * the others stay silent. With --idle all stay silent; SECONDS is the time to let the server settle
 * before its memory is read again. With --udp each connection is a connected datagram socket and a
 * message one datagram. One that is lost is not sent again: its connection counts as not served.
 */
#include "common/histogram.h"
#include "common/link.h"
#include "common/loopback.h"
#include "common/proc.h"
#include "common/traffic.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS_PER_WAIT = 1024,
    IDLE_WINDOW = 64, /* where most are silent, how a flood of connects is taken is no question */
};

static const int64_t second = 1000000000;

/*
 * Some servers leave a part of a thousand connections in the backlog for seconds: wait, but not
 * for ever.
 */
static const int64_t ramp_limit = 20 * second;

struct options {
    int port, connections, active, pid;
    double seconds, warmup;
    size_t size, pipeline;
    bool lines, tls, idle, udp, websocket;
    useconds_t think; /* microseconds */
};

struct connection {
    struct link link; /* closed: failed */
    bool is_connected, has_asked, is_started, has_reply, served;
    char answer_end[4];    /* of a handshake, so far */
    size_t batches;        /* completed */
    size_t sent, received; /* of the present batch */
    int64_t started;
};

struct load {
    struct options options;
    struct traffic traffic;
    SSL_CTX *tls; /* NULL: plain */
    int epoll;
    struct connection *connections;
    int opened, replied, failed;
    char *inbox; /* an answer */
    bool measuring;
    uint64_t requests_total, requests;
    struct histogram latencies; /* nanoseconds */
};

/* ---- one connection ---- */

static size_t number_of(const struct load *load, const struct connection *connection)
{
    return (size_t)(connection - load->connections);
}

static void fail(struct load *load, struct connection *connection)
{
    link_close(&connection->link);
    load->failed++;
}

static void send_batch(struct load *load, struct connection *connection)
{
    const struct traffic *traffic = &load->traffic;
    const char *request =
        traffic_request(traffic, number_of(load, connection), connection->batches);
    while (connection->sent < traffic->request_bytes) {
        ssize_t sent = link_send(&connection->link, request + connection->sent,
                                 traffic->request_bytes - connection->sent);
        if (sent == -EAGAIN)
            return;
        if (sent < 0) {
            fail(load, connection);
            return;
        }
        connection->sent += (size_t)sent;
    }
}

static void start_batch(struct load *load, struct connection *connection)
{
    connection->is_started = true;
    connection->sent = connection->received = 0;
    connection->started = now();
    send_batch(load, connection);
}

static void count_batch(struct load *load, struct connection *connection)
{
    connection->batches++;
    load->requests_total += load->options.pipeline;
    if (!connection->has_reply) {
        connection->has_reply = true;
        load->replied++;
    }
    if (!load->measuring)
        return;
    connection->served = true;
    load->requests += load->options.pipeline;
    histogram_add(&load->latencies, (uint64_t)(now() - connection->started));
}

static void finish_batch(struct load *load, struct connection *connection)
{
    count_batch(load, connection);
    if (load->options.think > 0)
        usleep(load->options.think);
    if (number_of(load, connection) < (size_t)load->options.active)
        start_batch(load, connection);
}

static void check_answer(const struct load *load, const struct connection *connection, size_t count)
{
    const struct traffic *traffic = &load->traffic;
    const char *answer = traffic_answer(traffic, number_of(load, connection), connection->batches);
    size_t received = connection->received + count;
    bool too_much = received > traffic_answerable(traffic, connection->sent);
    if (!too_much && memcmp(load->inbox, answer + connection->received, count) == 0)
        return;
    fprintf(stderr, "echo_load: the server sent %s\n",
            too_much ? "more than it should" : "something else back");
    exit(1);
}

/*
 * Edge-triggered: goes on until the batch is complete, after which nothing can be there, or the
 * socket is empty.
 */
static void receive_batch(struct load *load, struct connection *connection)
{
    size_t wanted = load->traffic.answer_bytes;
    while (connection->received < wanted) {
        ssize_t count = link_receive(&connection->link, load->inbox, wanted - connection->received);
        if (count == -EAGAIN)
            return;
        if (count <= 0) {
            fail(load, connection);
            return;
        }
        check_answer(load, connection, (size_t)count);
        connection->received += (size_t)count;
    }
    finish_batch(load, connection);
}

/* The handshake of a WebSocket: 0; -EAGAIN: not all has come; or another error. */
static int upgrade(struct connection *connection)
{
    static const char request[] =
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    char *end = connection->answer_end;
    ssize_t count = sizeof request - 1;
    if (!connection->has_asked)
        count = link_send(&connection->link, request, sizeof request - 1);
    connection->has_asked = true;
    while (count > 0 && memcmp(end, "\r\n\r\n", 4) != 0) {
        memmove(end, end + 1, 3);
        count = link_receive(&connection->link, end + 3, 1);
        if (count <= 0) /* what has come stays */
            memmove(end + 1, end, 3);
    }
    return count > 0 ? 0 : count == 0 ? -ECONNRESET : (int)count;
}

/* Connects and shakes hands, then begins. */
static void establish(struct load *load, struct connection *connection)
{
    if (!connection->is_connected && link_connect_error(&connection->link) != 0) {
        fail(load, connection);
        return;
    }
    connection->is_connected = true;
    int error = link_shake(&connection->link);
    if (error == 0 && load->options.websocket)
        error = upgrade(connection);
    if (error == 0)
        start_batch(load, connection);
    else if (error != -EAGAIN)
        fail(load, connection);
}

static void on_event(struct load *load, struct connection *connection, uint32_t events)
{
    if (connection->link.fd < 0)
        return;
    if (!connection->is_started) {
        establish(load, connection);
        return;
    }
    if ((events & EPOLLOUT) != 0 && connection->sent < load->traffic.request_bytes)
        send_batch(load, connection);
    if ((events & ~(uint32_t)EPOLLOUT) != 0 && connection->link.fd >= 0)
        receive_batch(load, connection);
}

static void open_connection(struct load *load)
{
    struct connection *connection = &load->connections[load->opened++];
    /* Edge-triggered for both directions: one epoll_ctl in a connection's life. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection};
    int type = load->options.udp ? SOCK_DGRAM : SOCK_STREAM;
    if (!link_open(&connection->link, load->options.port, type, load->tls))
        load->failed++;
    else if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->link.fd, &event) != 0)
        die("epoll_ctl");
}

/* ---- all of them ---- */

static void poll_once(struct load *load, int64_t deadline)
{
    static struct epoll_event events[EVENTS_PER_WAIT];
    int64_t left = deadline - now();
    int milliseconds = left > 0 ? (int)((left + 999999) / 1000000) : 0;
    int count = epoll_wait(load->epoll, events, EVENTS_PER_WAIT, milliseconds);
    if (count < 0 && errno != EINTR)
        die("epoll_wait");
    for (int i = 0; i < count; i++)
        on_event(load, events[i].data.ptr, events[i].events);
}

static void run_for(struct load *load, double seconds)
{
    int64_t deadline = now() + (int64_t)(seconds * 1e9);
    while (now() < deadline && load->failed < load->options.connections)
        poll_once(load, deadline);
}

/*
 * Opens everything, at most so many without a first reply at a time; returns when all have
 * one, or at the limit.
 */
static void ramp_up(struct load *load)
{
    int64_t deadline = now() + ramp_limit;
    int wanted = load->options.connections;
    int window = load->options.active < wanted ? IDLE_WINDOW : wanted;
    while (load->replied + load->failed < wanted && now() < deadline) {
        while (load->opened < wanted && load->opened - load->replied - load->failed < window)
            open_connection(load);
        poll_once(load, deadline);
    }
}

static int count_served(const struct load *load)
{
    int served = 0;
    for (int i = 0; i < load->options.connections; i++)
        served += load->connections[i].served;
    return served;
}

static void print_connections(const struct options *options, int served, int failed)
{
    printf("{\"connections\":%d,\"connections_served\":%d,\"connections_failed\":%d,",
           options->connections, served, failed);
}

/* What the figures of a load are related to. */
struct measurement {
    double ramp_ms, seconds;
    int64_t cpu; /* nanoseconds, or -1 */
};

static struct measurement measure(struct load *load)
{
    const struct options *options = &load->options;
    struct measurement result;
    int64_t begin = now();
    ramp_up(load);
    result.ramp_ms = (double)(now() - begin) / 1e6;
    run_for(load, options->warmup);

    int64_t cpu_before = proc_cpu(options->pid);
    int64_t start = now();
    load->measuring = true;
    run_for(load, options->seconds);
    result.seconds = (double)(now() - start) / 1e9;
    int64_t cpu_after = proc_cpu(options->pid);
    result.cpu = cpu_before < 0 || cpu_after < 0 ? -1 : cpu_after - cpu_before;
    return result;
}

static double percentile_us(const struct load *load, double part)
{
    return (double)histogram_percentile(&load->latencies, part) / 1e3;
}

static int run_load(struct load *load)
{
    const struct options *options = &load->options;
    struct measurement result = measure(load);
    double requests = (double)load->requests;

    print_connections(options, count_served(load), load->failed);
    printf("\"ramp_ms\":%.1f,\"size\":%zu,\"pipeline\":%zu,\"seconds\":%.3f,", result.ramp_ms,
           options->size, options->pipeline, result.seconds);
    printf("\"requests\":%.0f,\"requests_total\":%.0f,\"requests_per_second\":%.0f,", requests,
           (double)load->requests_total, requests / result.seconds);
    if (result.cpu >= 0 && load->requests > 0)
        printf("\"server_cpu_us_per_request\":%.3f,\"server_cpu_load\":%.3f,",
               (double)result.cpu / 1e3 / requests, (double)result.cpu / 1e9 / result.seconds);
    printf("\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}\n", percentile_us(load, 0.5),
           percentile_us(load, 0.99), (double)load->latencies.max / 1e3);
    return load->requests > 0 ? 0 : 1;
}

static int run_idle(struct load *load)
{
    const struct options *options = &load->options;
    long before = proc_kb(options->pid, "VmRSS");
    ramp_up(load);
    run_for(load, options->seconds);
    long after = proc_kb(options->pid, "VmRSS");

    print_connections(options, load->replied, load->failed);
    if (before >= 0 && after >= 0 && load->replied > 0)
        printf("\"rss_before_kb\":%ld,\"rss_after_kb\":%ld,\"kb_per_connection\":%.3f,", before,
               after, (double)(after - before) / load->replied);
    printf("\"seconds\":%.3f}\n", options->seconds);
    return load->replied > 0 ? 0 : 1;
}

static void prepare(struct load *load)
{
    const struct options *options = &load->options;
    if (options->websocket)
        traffic_init_frames(&load->traffic, options->size, options->pipeline);
    else
        traffic_init(&load->traffic, options->size, options->pipeline, options->lines);
    load->inbox = malloc(load->traffic.answer_bytes);
    load->connections = calloc((size_t)options->connections, sizeof *load->connections);
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load->inbox == NULL || load->connections == NULL || load->epoll < 0)
        die("prepare");
    if (options->tls)
        load->tls = link_new_tls();
}

static _Noreturn void usage(void)
{
    fputs("usage: echo_load PORT CONNECTIONS SECONDS [--size BYTES] [--pipeline N]\n"
          "       [--think MICROSECONDS] [--warmup SECONDS] [--pid PID] [--lines] [--tls]\n"
          "       [--active N] [--idle] [--udp] [--websocket]\n",
          stderr);
    exit(2);
}

static void set_option(struct options *options, int letter)
{
    switch (letter) {
    case 's':
        options->size = strtoul(optarg, NULL, 10);
        break;
    case 'n':
        options->pipeline = strtoul(optarg, NULL, 10);
        break;
    case 't':
        options->think = (useconds_t)strtoul(optarg, NULL, 10);
        break;
    case 'w':
        options->warmup = atof(optarg);
        break;
    case 'p':
        options->pid = atoi(optarg);
        break;
    case 'a':
        options->active = atoi(optarg);
        break;
    case 'u':
        options->udp = true;
        break;
    case 'W':
        options->websocket = true;
        break;
    case 'l':
        options->lines = true;
        break;
    case 'T':
        options->tls = true;
        break;
    case 'i':
        options->idle = true;
        options->active = 0;
        break;
    default:
        usage();
    }
}

static struct options parse(int argc, char **argv)
{
    static const struct option names[] = {
        {"size", required_argument, NULL, 's'},  {"pipeline", required_argument, NULL, 'n'},
        {"think", required_argument, NULL, 't'}, {"warmup", required_argument, NULL, 'w'},
        {"pid", required_argument, NULL, 'p'},   {"active", required_argument, NULL, 'a'},
        {"lines", no_argument, NULL, 'l'},       {"tls", no_argument, NULL, 'T'},
        {"udp", no_argument, NULL, 'u'},         {"websocket", no_argument, NULL, 'W'},
        {"idle", no_argument, NULL, 'i'},        {0},
    };
    struct options options = {.size = 64, .pipeline = 1, .warmup = 0.5, .active = INT_MAX};
    for (int letter; (letter = getopt_long(argc, argv, "", names, NULL)) != -1;)
        set_option(&options, letter);
    if (argc - optind != 3)
        usage();
    options.port = atoi(argv[optind]);
    options.connections = atoi(argv[optind + 1]);
    options.seconds = atof(argv[optind + 2]);
    if (options.port <= 0 || options.connections <= 0 || options.seconds < 0 || options.size == 0 ||
        options.pipeline == 0)
        usage();
    return options;
}

int main(int argc, char **argv)
{
    static struct load load;
    load.options = parse(argc, argv);
    raise_descriptor_limit(SIZE_MAX);
    prepare(&load);
    return load.options.idle ? run_idle(&load) : run_load(&load);
}
