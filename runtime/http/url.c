#include "http/url.h"

#include "base/error.h"
#include "http/url_byte.h"

#include <arpa/inet.h>
#include <string.h>

/* A text that is being read: its unread rest. */
struct reader {
    const char *text, *at, *end;
    struct ml_url_error *error;
};

static bool refuse(struct reader *r, const char *at, const char *reason)
{
    *r->error = (struct ml_url_error){.reason = reason, .at = (size_t)(at - r->text)};
    return false;
}

static const char *reason_for(char c)
{
    if ((unsigned char)c >= 0x80)
        return "a byte that is not ASCII must be percent-encoded, and a host name be in its "
               "\"xn--\" form";
    if ((unsigned char)c < 0x20 || c == 0x7f)
        return "a control character is not allowed";
    if (c == ' ')
        return "a space must be percent-encoded";
    return c == '%' ? "\"%\" must come before two hexadecimal digits"
                    : "this character is not allowed here, or must be percent-encoded";
}

/* Whether the part consists of bytes of `set` and of triplets (%XX). */
static bool check_part(struct reader *r, struct ml_slice part, unsigned set)
{
    const char *end = part.data + part.size;
    for (const char *p = part.data; p < end; p++) {
        if (*p == '%' && ml_url_is_triplet(p, end))
            p += 2;
        else if (!ml_url_is_of(*p, set))
            return refuse(r, p, reason_for(*p));
    }
    return true;
}

/* The bytes before the first one that is in `stops`, or all of the rest. */
static struct ml_slice take_until(struct reader *r, const char *stops)
{
    struct ml_slice part = {.data = r->at};
    while (r->at < r->end && (*r->at == '\0' || strchr(stops, *r->at) == NULL))
        r->at++;
    part.size = (size_t)(r->at - part.data);
    return part;
}

static bool take_scheme(struct reader *r, struct ml_url *url)
{
    const char *start = r->at;
    struct ml_slice part = take_until(r, ":/?#");
    if (r->at == r->end || *r->at != ':') {
        r->at = start;
        return true;
    }
    for (size_t i = 0; i < part.size; i++) {
        char c = part.data[i];
        bool is_good = ml_url_is_letter(c) ||
                       (i > 0 && (ml_url_is_digit(c) || c == '+' || c == '-' || c == '.'));
        if (!is_good)
            return refuse(r, part.data + i, "a scheme is a letter, then letters, digits, \"+-.\"");
    }
    if (part.size == 0)
        return refuse(r, start, "a scheme is missing before the \":\"");
    url->scheme = part;
    r->at++;
    return true;
}

/* "v1.name": the form reserved for later versions of addresses. */
static bool is_future_address(struct ml_slice host)
{
    const char *p = host.data + 1, *end = host.data + host.size;
    if (host.size == 0 || ml_url_lower(host.data[0]) != 'v')
        return false;
    while (p < end && ml_url_hex_value(*p) >= 0)
        p++;
    bool is_one = p > host.data + 1 && end - p >= 2 && *p == '.';
    for (p++; is_one && p < end; p++)
        is_one = ml_url_is_of(*p, ML_URL_IN_USERINFO);
    return is_one;
}

static bool is_inet6(struct ml_slice host)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (host.size >= sizeof text || memchr(host.data, '\0', host.size) != NULL)
        return false;
    memcpy(text, host.data, host.size);
    text[host.size] = '\0';
    return inet_pton(AF_INET6, text, &address) == 1;
}

/* Call it at "[". */
static bool take_bracketed(struct reader *r, struct ml_url *url, const char *end)
{
    const char *close = memchr(r->at, ']', (size_t)(end - r->at));
    if (close == NULL)
        return refuse(r, r->at, "\"[\" without its \"]\"");
    url->is_bracketed = true;
    url->host = (struct ml_slice){.data = r->at + 1, .size = (size_t)(close - r->at - 1)};
    if (!is_inet6(url->host) && !is_future_address(url->host))
        return refuse(r, url->host.data, "no address of IPv6 stands in the brackets");
    r->at = close + 1;
    if (r->at < end && *r->at != ':')
        return refuse(r, r->at, "only a port may follow the \"]\"");
    return true;
}

static bool take_name(struct reader *r, struct ml_url *url, const char *end)
{
    const char *colon = memchr(r->at, ':', (size_t)(end - r->at));
    const char *stop = colon != NULL ? colon : end;
    url->host = (struct ml_slice){.data = r->at, .size = (size_t)(stop - r->at)};
    r->at = stop;
    return check_part(r, url->host, ML_URL_IN_HOST);
}

/* Call it at the ":", or at the end of the authority. */
static bool take_port(struct reader *r, struct ml_url *url, const char *end)
{
    if (r->at == end)
        return true;
    url->port = (struct ml_slice){.data = r->at + 1, .size = (size_t)(end - r->at - 1)};
    for (r->at++; r->at < end; r->at++) {
        if (!ml_url_is_digit(*r->at))
            return refuse(r, r->at, "a port is a number");
        url->port_number = (url->port_number < 0 ? 0 : url->port_number * 10) + (*r->at - '0');
        if (url->port_number > 65535)
            return refuse(r, url->port.data, "a port is at most 65535");
    }
    return true;
}

/* A request needs a host, a name or an address, as its destination (RFC 9110, section 4.2). */
static bool check_http_host(struct reader *r, const struct ml_url *url)
{
    const char *triplet;
    if (!ml_url_is_http(url))
        return true;
    if (url->host.size == 0)
        return refuse(r, url->host.data, "a host is missing");
    triplet = memchr(url->host.data, '%', url->host.size);
    return triplet == NULL || refuse(r, triplet, "\"%\" is not allowed in the name of a host");
}

static bool take_authority(struct reader *r, struct ml_url *url)
{
    if (r->end - r->at < 2 || r->at[0] != '/' || r->at[1] != '/')
        return true;
    r->at += 2;
    struct ml_slice all = take_until(r, "/?#");
    const char *end = r->at, *at = memchr(all.data, '@', all.size);
    r->at = all.data;
    if (at != NULL) {
        url->userinfo = (struct ml_slice){.data = all.data, .size = (size_t)(at - all.data)};
        if (!check_part(r, url->userinfo, ML_URL_IN_USERINFO))
            return false;
        r->at = at + 1;
    }
    bool is_bracketed = r->at < end && *r->at == '[';
    if (!(is_bracketed ? take_bracketed(r, url, end) : take_name(r, url, end)))
        return false;
    return take_port(r, url, end) && check_http_host(r, url);
}

/* Takes the part after `mark`, if the rest begins with that. */
static bool take_marked(struct reader *r, char mark, const char *stops, struct ml_slice *part)
{
    if (r->at == r->end || *r->at != mark)
        return true;
    r->at++;
    *part = take_until(r, stops);
    return check_part(r, *part, ML_URL_IN_QUERY);
}

static bool take_path(struct reader *r, struct ml_url *url)
{
    url->path = take_until(r, "?#");
    return check_part(r, url->path, ML_URL_IN_PATH);
}

int ml_url_parse(const char *text, size_t size, struct ml_url *url, struct ml_url_error *error)
{
    struct reader r = {.text = text, .at = text, .end = text + size, .error = error};
    *url = (struct ml_url){.port_number = -1};
    bool is_one = take_scheme(&r, url) && take_authority(&r, url) && take_path(&r, url) &&
                  take_marked(&r, '?', "#", &url->query) &&
                  take_marked(&r, '#', "", &url->fragment);
    return is_one ? 0 : -ML_EURL;
}

/* ---- what the parts say ---- */

bool ml_slice_is(struct ml_slice slice, const char *text)
{
    size_t size = strlen(text);
    bool is_same = slice.data != NULL && slice.size == size;
    for (size_t i = 0; is_same && i < size; i++)
        is_same = ml_url_lower(slice.data[i]) == ml_url_lower(text[i]);
    return is_same;
}

bool ml_url_is_http(const struct ml_url *url)
{
    static const char *const schemes[] = {"http", "https", "ws", "wss"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (ml_slice_is(url->scheme, schemes[i]))
            return true;
    return false;
}
