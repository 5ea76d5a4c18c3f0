#include "http/target.h"

#include "http/syntax.h"

#include <arpa/inet.h>
#include <string.h>

/* ---- host [ ":" port ] ---- */

/* Size of the IPv6 address in brackets that text begins with; 0: it is none. */
static size_t literal_size(const char *text, size_t size)
{
    char address[INET6_ADDRSTRLEN];
    struct in6_addr ignored;
    const char *close = memchr(text, ']', size);
    size_t length = close != NULL ? (size_t)(close - text) - 1 : sizeof address;
    if (length >= sizeof address)
        return 0;
    memcpy(address, text + 1, length);
    address[length] = '\0';
    return strlen(address) == length && inet_pton(AF_INET6, address, &ignored) == 1 ? length + 2
                                                                                    : 0;
}

/* Two hexadecimal digits behind a '%'. */
static bool is_escape(const char *text, size_t size)
{
    return size >= 3 && ml_http_is(text[1], ML_HTTP_HEX) && ml_http_is(text[2], ML_HTTP_HEX);
}

/* Bytes at the start that are of `classes`, or escaped. */
static size_t run_of(const char *text, size_t size, unsigned classes)
{
    size_t i = 0;
    for (;;) {
        while (i < size && ml_http_is(text[i], classes))
            i++;
        if (i == size || text[i] != '%' || !is_escape(text + i, size - i))
            return i;
        i += 3;
    }
}

static bool is_port(const char *text, size_t size)
{
    uint32_t port = 0;
    size_t i = 0;
    while (i < size && ml_http_is(text[i], ML_HTTP_DIGIT) && port <= 65535)
        port = port * 10 + (uint32_t)(text[i++] - '0');
    return i == size && port <= 65535;
}

/* The host and where its port, if any, begins: behind the colon. False: malformed. */
static bool split_host(const char *text, size_t size, size_t *host, size_t *port)
{
    *host =
        size > 0 && text[0] == '[' ? literal_size(text, size) : run_of(text, size, ML_HTTP_HOSTS);
    *port = *host < size && text[*host] == ':' ? *host + 1 : *host;
    return *host > 0 && (*port > *host || *host == size) && is_port(text + *port, size - *port);
}

bool ml_http_is_host(const char *text, size_t size)
{
    size_t host, port;
    return size == 0 || split_host(text, size, &host, &port);
}

/* ---- targets ---- */

/* The path and query from `from` to the target's end. */
static int read_path(struct ml_http_head *head, uint32_t from)
{
    struct ml_http_slice target = head->target;
    uint32_t size = target.at + target.size - from;
    const char *text = head->bytes + from;
    uint32_t path = (uint32_t)run_of(text, size, ML_HTTP_PATH);
    head->path = (struct ml_http_slice){from, path};
    head->has_query = path < size && text[path] == '?';
    head->query = (struct ml_http_slice){from + path, 0};
    if (head->has_query)
        head->query = (struct ml_http_slice){from + path + 1, size - path - 1};
    return path == size || head->has_query ? 0 : ML_HTTP_BAD_TARGET;
}

static uint32_t scheme_size(const char *text, size_t size)
{
    size_t i = 0;
    bool is_letter = size > 0 && (text[0] | 0x20) >= 'a' && (text[0] | 0x20) <= 'z';
    while (is_letter && i < size && ml_http_is(text[i], ML_HTTP_HOSTS) &&
           ml_http_is(text[i], ML_HTTP_TOKEN) && text[i] != '_' && text[i] != '~')
        i++;
    return (uint32_t)i;
}

/* `http://host:port/path?query` */
static int read_absolute(struct ml_http_head *head)
{
    struct ml_http_slice target = head->target;
    const char *text = ml_http_at(head, target);
    uint32_t scheme = scheme_size(text, target.size), from = scheme + 3;
    if (scheme == 0 || target.size < from || memcmp(text + scheme, "://", 3) != 0)
        return ML_HTTP_BAD_TARGET;
    uint32_t size = 0;
    while (from + size < target.size && text[from + size] != '/' && text[from + size] != '?')
        size++;
    head->target_form = ML_HTTP_TARGET_ABSOLUTE;
    head->scheme = (struct ml_http_slice){target.at, scheme};
    head->authority = (struct ml_http_slice){target.at + from, size};
    if (size == 0 || !ml_http_is_host(text + from, size))
        return ML_HTTP_BAD_TARGET;
    return read_path(head, target.at + from + size);
}

/* `host:port`, both needed. */
static int read_authority(struct ml_http_head *head)
{
    size_t host, port;
    head->target_form = ML_HTTP_TARGET_AUTHORITY;
    head->authority = head->target;
    bool is_valid = split_host(ml_http_at(head, head->target), head->target.size, &host, &port);
    return is_valid && port < head->target.size ? 0 : ML_HTTP_BAD_TARGET;
}

static int read_asterisk(struct ml_http_head *head)
{
    head->target_form = ML_HTTP_TARGET_ASTERISK;
    return head->target.size == 1 && head->method_id == ML_HTTP_OPTIONS ? 0 : ML_HTTP_BAD_TARGET;
}

int ml_http_read_target(struct ml_http_head *head)
{
    if (head->method_id == ML_HTTP_CONNECT)
        return read_authority(head);
    if (head->target.size == 0)
        return ML_HTTP_BAD_TARGET;
    char first = *ml_http_at(head, head->target);
    if (first == '*')
        return read_asterisk(head);
    if (first != '/')
        return read_absolute(head);
    head->target_form = ML_HTTP_TARGET_ORIGIN;
    return read_path(head, head->target.at);
}
