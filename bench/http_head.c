/*
 * Costs of reading the head of an HTTP/1.1 request: nanoseconds, the best of several runs, one line
 * of JSON for each figure. With picohttpparser's shared library (cc -O3 -shared -fPIC) as argument,
 * its phr_parse_request() is measured in turn with ours.
 *
 * Usage: http_head [LIBRARY]
 */
#include "base/check.h"
#include "base/clock.h"
#include "http/head.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

enum { RUNS = 9, TIMES = 200000, FIELDS = 100 };

static const char brief[] = "GET /hello HTTP/1.1\r\nHost: a.example\r\n\r\n";

static const char browser[] =
    "GET /articles/2026/11/a-day-in-the-life?page=2&sort=newest HTTP/1.1\r\n"
    "Host: www.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/120.0.0.0 Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n"
    "Accept-Language: en-GB,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Connection: keep-alive\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Cache-Control: max-age=0\r\n\r\n";

/* picohttpparser's, as its header declares them. */
struct phr_header {
    const char *name;
    size_t name_length;
    const char *value;
    size_t value_length;
};

typedef int phr_parse(const char *bytes, size_t size, const char **method, size_t *method_size,
                      const char **path, size_t *path_size, int *version,
                      struct phr_header *headers, size_t *count, size_t seen);

static phr_parse *theirs;

static int parse_ours(const char *bytes, size_t size)
{
    static struct ml_http_field fields[FIELDS];
    static struct ml_http_head head = {.fields = fields, .field_room = FIELDS};
    static const struct ml_http_limits limits = {32 * 1024, 8 * 1024, FIELDS};
    return ml_http_parse_request(&head, bytes, size, 0, &limits);
}

static int parse_theirs(const char *bytes, size_t size)
{
    static struct phr_header headers[FIELDS];
    const char *method, *path;
    size_t method_size, path_size, count = FIELDS;
    int version;
    return theirs(bytes, size, &method, &method_size, &path, &path_size, &version, headers, &count,
                  0);
}

static double time_once(int (*parse)(const char *, size_t), const char *bytes, size_t size)
{
    ml_time begin = ml_clock_now();
    for (int i = 0; i < TIMES; i++) {
        __asm__ volatile("" : : : "memory");
        ML_CHECK(parse(bytes, size) == (int)size);
    }
    return (double)(ml_clock_now() - begin) / TIMES;
}

static void compare(const char *request, const char *bytes, size_t size)
{
    double best[2] = {1e9, 1e9};
    for (int run = 0; run < RUNS; run++) {
        double times[2] = {time_once(parse_ours, bytes, size), 1e9};
        if (theirs != NULL)
            times[1] = time_once(parse_theirs, bytes, size);
        for (int i = 0; i < 2; i++)
            best[i] = times[i] < best[i] ? times[i] : best[i];
    }
    printf("{\"request\": \"%s\", \"bytes\": %zu, \"moonlet_ns\": %.1f", request, size, best[0]);
    if (theirs != NULL)
        printf(", \"picohttpparser_ns\": %.1f", best[1]);
    printf("}\n");
}

int main(int argc, char **argv)
{
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (library != NULL)
        theirs = (phr_parse *)dlsym(library, "phr_parse_request");
    if (argc > 1 && theirs == NULL) {
        fprintf(stderr, "http_head: %s has no phr_parse_request\n", argv[1]);
        return 1;
    }
    compare("short", brief, sizeof brief - 1);
    compare("browser", browser, sizeof browser - 1);
    return 0;
}
