/*
 * Load for a copy loop: opens two connections, sends BYTES on the first and takes them from the
 * second, from one thread. So that the server and not this program is measured, it sends from a
 * file in memory without copying and throws away most of what it receives unseen; one receive in
 * sixteen is compared, and the sum of all.
 *
 * Usage: bulk_load PORT BYTES [PID]    (of the server)
 *
 * Prints one line of JSON; memory is the server's peak above what it had, connected and silent.
 */
#include "common/loopback.h"
#include "common/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PATTERN_BYTES = 1024 * 1024,
    RECEIVE_BYTES = 256 * 1024,
    RECEIVES_PER_CHECK = 16,
    SETTLE_MICROSECONDS = 100 * 1000, /* for the server to accept both */
};

struct bulk {
    int source, sink;
    int file;            /* the pattern, which is sent over and over */
    const char *pattern; /* the same in memory, twice in a row */
    char *inbox;
    size_t wanted, sent, received, receives;
};

/* ---- what is sent ---- */

static void make_pattern(struct bulk *bulk)
{
    char *pattern = malloc(2 * PATTERN_BYTES);
    bulk->inbox = malloc(RECEIVE_BYTES);
    bulk->file = memfd_create("pattern", MFD_CLOEXEC);
    if (pattern == NULL || bulk->inbox == NULL || bulk->file < 0)
        die("make_pattern");
    srandom(1);
    for (size_t i = 0; i < PATTERN_BYTES; i++)
        pattern[i] = (char)random();
    memcpy(pattern + PATTERN_BYTES, pattern, PATTERN_BYTES);
    if (write(bulk->file, pattern, PATTERN_BYTES) != PATTERN_BYTES)
        die("write");
    bulk->pattern = pattern;
}

static void connect_both(struct bulk *bulk, int port)
{
    bulk->source = loopback_connect_blocking(port);
    bulk->sink = loopback_connect_blocking(port);
    if (fcntl(bulk->source, F_SETFL, O_NONBLOCK) != 0 ||
        fcntl(bulk->sink, F_SETFL, O_NONBLOCK) != 0)
        die("fcntl");
}

/* ---- sending and receiving ---- */

static void send_some(struct bulk *bulk)
{
    off_t offset = (off_t)(bulk->sent % PATTERN_BYTES);
    size_t count = PATTERN_BYTES - (size_t)offset;
    if (count > bulk->wanted - bulk->sent)
        count = bulk->wanted - bulk->sent;
    ssize_t sent = sendfile(bulk->source, bulk->file, &offset, count);
    if (sent < 0 && errno != EAGAIN)
        die("sendfile");
    if (sent > 0)
        bulk->sent += (size_t)sent;
    if (bulk->sent == bulk->wanted)
        shutdown(bulk->source, SHUT_WR);
}

static void check(const struct bulk *bulk, size_t count)
{
    if (memcmp(bulk->inbox, bulk->pattern + bulk->received % PATTERN_BYTES, count) == 0)
        return;
    fputs("bulk_load: the server sent something else\n", stderr);
    exit(1);
}

/* False: the end. */
static bool receive_some(struct bulk *bulk)
{
    bool is_checked = bulk->receives++ % RECEIVES_PER_CHECK == 0;
    ssize_t count = recv(bulk->sink, bulk->inbox, RECEIVE_BYTES, is_checked ? 0 : MSG_TRUNC);
    if (count < 0 && errno != EAGAIN)
        die("recv");
    if (count > 0 && is_checked)
        check(bulk, (size_t)count);
    if (count > 0)
        bulk->received += (size_t)count;
    return count != 0;
}

static void transfer(struct bulk *bulk)
{
    struct pollfd ends[2] = {{.fd = bulk->sink, .events = POLLIN},
                             {.fd = bulk->source, .events = POLLOUT}};
    for (bool is_going = true; is_going;) {
        bool has_more = bulk->sent < bulk->wanted;
        if (poll(ends, has_more ? 2 : 1, -1) < 0)
            die("poll");
        if (has_more && ends[1].revents != 0)
            send_some(bulk);
        if (ends[0].revents != 0)
            is_going = receive_some(bulk);
    }
}

int main(int argc, char **argv)
{
    struct bulk bulk = {0};
    if (argc < 3) {
        fputs("usage: bulk_load PORT BYTES [PID]\n", stderr);
        return 2;
    }
    int pid = argc > 3 ? atoi(argv[3]) : 0;
    bulk.wanted = strtoull(argv[2], NULL, 10);
    make_pattern(&bulk);
    connect_both(&bulk, atoi(argv[1]));
    usleep(SETTLE_MICROSECONDS);

    proc_reset_peak(pid);
    long resident = proc_kb(pid, "VmRSS");
    int64_t cpu = proc_cpu(pid), start = now();
    transfer(&bulk);
    double seconds = (double)(now() - start) / 1e9;
    cpu = proc_cpu(pid) - cpu;

    if (bulk.received != bulk.wanted) {
        fprintf(stderr, "bulk_load: %zu of %zu bytes came back\n", bulk.received, bulk.wanted);
        return 1;
    }
    printf("{\"bytes\":%zu,\"seconds\":%.4f,\"mb_per_second\":%.1f,\"server_cpu_seconds\":%.4f,"
           "\"peak_extra_kb\":%ld}\n",
           bulk.wanted, seconds, (double)bulk.wanted / 1e6 / seconds, (double)cpu / 1e9,
           proc_kb(pid, "VmHWM") - resident);
}
