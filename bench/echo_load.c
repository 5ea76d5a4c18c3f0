/*
 * Load for a TCP, or UDP, echo server: N connections in strict ping-pong from one thread, every echoed
 * byte compared. It knows nothing of the server but its port and, if told, its pid, whose CPU
 * time and memory it reads from /proc.
 *
 * Usage: echo_load PORT CONNECTIONS SECONDS [--size BYTES] [--pipeline N] [--think MICROSECONDS]
 *                  [--warmup SECONDS] [--pid PID] [--idle] [--udp]
 *
 * Prints one line of JSON. With --pipeline N a connection sends N messages in one go and waits
 * for all N; its latency is that of the batch. --think pauses before each batch, all connections
 * alike: made for one connection to a server under strace, which is so slow that the next message
 * would be there before it looks.
 * With --idle each connection does one echo and then stays
 * silent; SECONDS is the time to let the server settle before its memory is read again.
 * With --udp each connection is a connected datagram socket and a message one datagram. One that is lost is not sent
 * again: its connection counts as not served.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS_PER_WAIT = 1024,
    PATTERN_SHIFTS =
        4096, /* so many different messages, told apart by where in the pattern they start */
    IDLE_WINDOW = 64,     /* idle mode measures memory, not how a flood of connects is taken */
    HISTOGRAM_STEPS = 64, /* per power of two: an error of 1.6 % */
};

static const int64_t second = 1000000000;

/*
 * Some servers leave a part of a thousand connections in the backlog for seconds: wait, but not
 * for ever.
 */
static const int64_t ramp_limit = 20 * second;

struct options {
    int port, connections, pid;
    double seconds, warmup;
    size_t size, pipeline;
    bool idle, udp;
    useconds_t think; /* microseconds */
};

struct connection {
    int fd; /* -1: failed */
    bool connected, replied, served;
    uint32_t batches;      /* completed */
    size_t sent, received; /* of the present batch */
    int64_t started;
};

struct load {
    struct options options;
    int epoll;
    struct connection *connections;
    int opened, replied, failed;
    size_t batch;           /* bytes */
    unsigned char *pattern; /* batch + PATTERN_SHIFTS bytes */
    unsigned char *inbox;   /* batch bytes */
    bool measuring;
    uint64_t requests_total, requests;
    int64_t latency_max;
    uint64_t histogram[64 * HISTOGRAM_STEPS];
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * second + time.tv_nsec;
}

/* ---- what /proc says about the server ---- */

/* Nanoseconds on a CPU of one thread, or -1. */
static int64_t thread_cpu(int pid, const char *thread)
{
    char path[300];
    long long cpu = -1;
    snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, thread);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return -1;
    if (fscanf(file, "%lld", &cpu) != 1)
        cpu = -1;
    fclose(file);
    return cpu;
}

/* Nanoseconds on a CPU of all threads alive, or -1. */
static int64_t process_cpu(int pid)
{
    char path[64];
    int64_t sum = 0;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *threads = opendir(path);
    if (threads == NULL)
        return -1;
    for (struct dirent *entry; (entry = readdir(threads)) != NULL;) {
        int64_t cpu = entry->d_name[0] == '.' ? -1 : thread_cpu(pid, entry->d_name);
        if (cpu > 0)
            sum += cpu;
    }
    closedir(threads);
    return sum;
}

/* Resident KB, or -1. */
static long process_rss(int pid)
{
    char path[64], line[256];
    long rss = -1;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return -1;
    while (fgets(line, sizeof line, file) != NULL && sscanf(line, "VmRSS: %ld", &rss) != 1)
        ;
    fclose(file);
    return rss;
}

/* ---- latencies ---- */

static size_t histogram_slot(uint64_t value)
{
    if (value < HISTOGRAM_STEPS)
        return value;
    int shift = 63 - __builtin_clzll(value) - 6;
    return (size_t)(shift + 1) * HISTOGRAM_STEPS + ((value >> shift) & (HISTOGRAM_STEPS - 1));
}

static uint64_t histogram_value(size_t slot)
{
    if (slot < HISTOGRAM_STEPS)
        return slot;
    return (uint64_t)(HISTOGRAM_STEPS + slot % HISTOGRAM_STEPS) << (slot / HISTOGRAM_STEPS - 1);
}

static double percentile_us(const struct load *load, double part)
{
    uint64_t total = 0, seen = 0;
    size_t slots = sizeof load->histogram / sizeof *load->histogram;
    for (size_t i = 0; i < slots; i++)
        total += load->histogram[i];
    for (size_t i = 0; i < slots; i++) {
        seen += load->histogram[i];
        if (seen > 0 && (double)seen >= part * (double)total)
            return (double)histogram_value(i) / 1e3;
    }
    return 0;
}

/* ---- one connection ---- */

static void fail(struct load *load, struct connection *connection)
{
    close(connection->fd);
    connection->fd = -1;
    load->failed++;
}

/*
 * What this connection sends, and wants back, in its present batch: different from its
 * neighbours' and its last one.
 */
static const unsigned char *expected(const struct load *load, const struct connection *connection)
{
    size_t number = (size_t)(connection - load->connections);
    return load->pattern + (number * 31 + connection->batches * 17) % PATTERN_SHIFTS;
}

static void send_batch(struct load *load, struct connection *connection)
{
    while (connection->sent < load->batch) {
        ssize_t sent = send(connection->fd, expected(load, connection) + connection->sent,
                            load->batch - connection->sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
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
    connection->sent = connection->received = 0;
    connection->started = now();
    send_batch(load, connection);
}

static void finish_batch(struct load *load, struct connection *connection)
{
    int64_t latency = now() - connection->started;
    connection->batches++;
    load->requests_total += load->options.pipeline;
    if (!connection->replied) {
        connection->replied = true;
        load->replied++;
    }
    if (load->measuring) {
        connection->served = true;
        load->requests += load->options.pipeline;
        load->histogram[histogram_slot((uint64_t)latency)]++;
        if (latency > load->latency_max)
            load->latency_max = latency;
    }
    if (load->options.think > 0)
        usleep(load->options.think);
    if (!load->options.idle)
        start_batch(load, connection);
}

static void check_echo(const struct load *load, const struct connection *connection, size_t count)
{
    bool too_much = connection->received + count > connection->sent;
    if (too_much ||
        memcmp(load->inbox, expected(load, connection) + connection->received, count) != 0) {
        fprintf(stderr, "echo_load: the server sent %s\n",
                too_much ? "more than it got" : "something else back");
        exit(1);
    }
}

/*
 * Edge-triggered: goes on until the batch is complete, after which nothing can be there, or the
 * socket is empty.
 */
static void receive_batch(struct load *load, struct connection *connection)
{
    while (connection->received < load->batch) {
        ssize_t count = recv(connection->fd, load->inbox, load->batch - connection->received, 0);
        if (count < 0 && errno == EAGAIN)
            return;
        if (count <= 0) {
            fail(load, connection);
            return;
        }
        check_echo(load, connection, (size_t)count);
        connection->received += (size_t)count;
    }
    finish_batch(load, connection);
}

static void finish_connect(struct load *load, struct connection *connection)
{
    int error = 0;
    getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error});
    if (error != 0) {
        fail(load, connection);
        return;
    }
    connection->connected = true;
    start_batch(load, connection);
}

static void on_event(struct load *load, struct connection *connection, uint32_t events)
{
    if (connection->fd < 0)
        return;
    if (!connection->connected) {
        finish_connect(load, connection);
        return;
    }
    if ((events & EPOLLOUT) != 0 && connection->sent < load->batch)
        send_batch(load, connection);
    if ((events & ~(uint32_t)EPOLLOUT) != 0 && connection->fd >= 0)
        receive_batch(load, connection);
}

static void open_connection(struct load *load)
{
    struct connection *connection = &load->connections[load->opened++];
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)load->options.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    /* Edge-triggered for both directions: one epoll_ctl in a connection's life. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection};
    int type = load->options.udp ? SOCK_DGRAM : SOCK_STREAM;
    connection->fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd < 0)
        die("socket");
    if (!load->options.udp)
        setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(connection->fd, (struct sockaddr *)&address, sizeof address) != 0 &&
        errno != EINPROGRESS) {
        fail(load, connection);
        return;
    }
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0)
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
 * Opens everything, at most `window` without a first reply at a time; returns when all have
 * one, or at the limit.
 */
static void ramp_up(struct load *load, int window)
{
    int64_t deadline = now() + ramp_limit;
    int wanted = load->options.connections;
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
    ramp_up(load, options->connections);
    result.ramp_ms = (double)(now() - begin) / 1e6;
    run_for(load, options->warmup);

    int64_t cpu_before = process_cpu(options->pid);
    int64_t start = now();
    load->measuring = true;
    run_for(load, options->seconds);
    result.seconds = (double)(now() - start) / 1e9;
    int64_t cpu_after = process_cpu(options->pid);
    result.cpu = cpu_before < 0 || cpu_after < 0 ? -1 : cpu_after - cpu_before;
    return result;
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
           percentile_us(load, 0.99), (double)load->latency_max / 1e3);
    return load->requests > 0 ? 0 : 1;
}

static int run_idle(struct load *load)
{
    const struct options *options = &load->options;
    long before = process_rss(options->pid);
    ramp_up(load, IDLE_WINDOW);
    run_for(load, options->seconds);
    long after = process_rss(options->pid);

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
    load->batch = options->size * options->pipeline;
    load->pattern = malloc(load->batch + PATTERN_SHIFTS);
    load->inbox = malloc(load->batch);
    load->connections = calloc((size_t)options->connections, sizeof *load->connections);
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load->pattern == NULL || load->inbox == NULL || load->connections == NULL ||
        load->epoll < 0)
        die("prepare");
    srandom(1);
    for (size_t i = 0; i < load->batch + PATTERN_SHIFTS; i++)
        load->pattern[i] = (unsigned char)random();
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        die("getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        die("setrlimit");
}

static _Noreturn void usage(void)
{
    fputs("usage: echo_load PORT CONNECTIONS SECONDS [--size BYTES] [--pipeline N]\n"
          "       [--think MICROSECONDS] [--warmup SECONDS] [--pid PID] [--idle] [--udp]\n",
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
    case 'i':
        options->idle = true;
        break;
    case 'u':
        options->udp = true;
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
        {"pid", required_argument, NULL, 'p'},   {"idle", no_argument, NULL, 'i'},
        {"udp", no_argument, NULL, 'u'},         {0},
    };
    struct options options = {.size = 64, .pipeline = 1, .warmup = 0.5};
    for (int letter; (letter = getopt_long(argc, argv, "", names, NULL)) != -1;)
        set_option(&options, letter);
    if (argc - optind != 3)
        usage();
    options.port = atoi(argv[optind]);
    options.connections = atoi(argv[optind + 1]);
    options.seconds = atof(argv[optind + 2]);
    if (options.port <= 0 || options.connections <= 0 || options.seconds < 0 || options.size == 0 ||
        options.pipeline == 0 || (options.udp && options.pipeline > 1))
        usage();
    return options;
}

int main(int argc, char **argv)
{
    static struct load load;
    load.options = parse(argc, argv);
    raise_descriptor_limit();
    prepare(&load);
    return load.options.idle ? run_idle(&load) : run_load(&load);
}
