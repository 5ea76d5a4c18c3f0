#include "http/url.h"

#include "base/error.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* ---- bytes ---- */

/* Where a byte may stand. */
enum {
    UNRESERVED = 1, /* letters, digits, "-._~" */
    SUB_DELIM = 2,  /* "!$&'()*+,;=" */
    COLON = 4,
    AT = 8,
    SLASH = 16,
    QUESTION = 32,
    BRACKET = 64,
    DIGIT = 128,

    IN_HOST = UNRESERVED | SUB_DELIM,
    IN_USERINFO = IN_HOST | COLON,
    IN_PATH = IN_USERINFO | AT | SLASH,
    IN_QUERY = IN_PATH | QUESTION | BRACKET
};

#define LETTERS(base)                                                                              \
    [base] = UNRESERVED, [base + 1] = UNRESERVED, [base + 2] = UNRESERVED,                         \
    [base + 3] = UNRESERVED, [base + 4] = UNRESERVED, [base + 5] = UNRESERVED,                     \
    [base + 6] = UNRESERVED, [base + 7] = UNRESERVED, [base + 8] = UNRESERVED,                     \
    [base + 9] = UNRESERVED, [base + 10] = UNRESERVED, [base + 11] = UNRESERVED,                   \
    [base + 12] = UNRESERVED

static const uint8_t classes[256] = {
    LETTERS('A'),
    LETTERS('N'),
    LETTERS('a'),
    LETTERS('n'),
    ['0'] = UNRESERVED | DIGIT,
    ['1'] = UNRESERVED | DIGIT,
    ['2'] = UNRESERVED | DIGIT,
    ['3'] = UNRESERVED | DIGIT,
    ['4'] = UNRESERVED | DIGIT,
    ['5'] = UNRESERVED | DIGIT,
    ['6'] = UNRESERVED | DIGIT,
    ['7'] = UNRESERVED | DIGIT,
    ['8'] = UNRESERVED | DIGIT,
    ['9'] = UNRESERVED | DIGIT,
    ['-'] = UNRESERVED,
    ['.'] = UNRESERVED,
    ['_'] = UNRESERVED,
    ['~'] = UNRESERVED,
    ['!'] = SUB_DELIM,
    ['$'] = SUB_DELIM,
    ['&'] = SUB_DELIM,
    ['\''] = SUB_DELIM,
    ['('] = SUB_DELIM,
    [')'] = SUB_DELIM,
    ['*'] = SUB_DELIM,
    ['+'] = SUB_DELIM,
    [','] = SUB_DELIM,
    [';'] = SUB_DELIM,
    ['='] = SUB_DELIM,
    [':'] = COLON,
    ['@'] = AT,
    ['/'] = SLASH,
    ['?'] = QUESTION,
    ['['] = BRACKET,
    [']'] = BRACKET,
};

static inline bool is_of(char c, unsigned set)
{
    return (classes[(uint8_t)c] & set) != 0;
}

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static inline bool is_letter(char c)
{
    return lower(c) >= 'a' && lower(c) <= 'z';
}

/* -1: no hexadecimal digit. */
static inline int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    return lower(c) >= 'a' && lower(c) <= 'f' ? lower(c) - 'a' + 10 : -1;
}

static inline bool is_triplet(const char *at, const char *end)
{
    return end - at >= 3 && hex_value(at[1]) >= 0 && hex_value(at[2]) >= 0;
}

/* ---- parsing ---- */

/* A text on its way: what is left of it. */
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

/* Whether all bytes of the part are of `set` or triplets. */
static bool check_part(struct reader *r, struct ml_slice part, unsigned set)
{
    const char *end = part.data + part.size;
    for (const char *p = part.data; p < end; p++) {
        if (*p == '%' && is_triplet(p, end))
            p += 2;
        else if (!is_of(*p, set))
            return refuse(r, p, reason_for(*p));
    }
    return true;
}

/* What comes before the first byte that is one of `stops`, or all of the rest. */
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
        bool is_good = is_letter(c) || (i > 0 && (is_digit(c) || c == '+' || c == '-' || c == '.'));
        if (!is_good)
            return refuse(r, part.data + i, "a scheme is a letter, then letters, digits, \"+-.\"");
    }
    if (part.size == 0)
        return refuse(r, start, "a scheme is missing before the \":\"");
    url->scheme = part;
    r->at++;
    return true;
}

/* "v1.name": the form that is kept for addresses of later versions. */
static bool is_future_address(struct ml_slice host)
{
    const char *p = host.data + 1, *end = host.data + host.size;
    if (host.size == 0 || lower(host.data[0]) != 'v')
        return false;
    while (p < end && hex_value(*p) >= 0)
        p++;
    bool is_one = p > host.data + 1 && end - p >= 2 && *p == '.';
    for (p++; is_one && p < end; p++)
        is_one = is_of(*p, IN_USERINFO);
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

/* The reader is at "[". */
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
    return check_part(r, url->host, IN_HOST);
}

/* The reader is at the ":", or at the end of the authority. */
static bool take_port(struct reader *r, struct ml_url *url, const char *end)
{
    if (r->at == end)
        return true;
    url->port = (struct ml_slice){.data = r->at + 1, .size = (size_t)(end - r->at - 1)};
    for (r->at++; r->at < end; r->at++) {
        if (!is_digit(*r->at))
            return refuse(r, r->at, "a port is a number");
        url->port_number = (url->port_number < 0 ? 0 : url->port_number * 10) + (*r->at - '0');
        if (url->port_number > 65535)
            return refuse(r, url->port.data, "a port is at most 65535");
    }
    return true;
}

/* A request is sent to a host, by its name or its address (RFC 9110, section 4.2). */
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
        if (!check_part(r, url->userinfo, IN_USERINFO))
            return false;
        r->at = at + 1;
    }
    bool is_bracketed = r->at < end && *r->at == '[';
    if (!(is_bracketed ? take_bracketed(r, url, end) : take_name(r, url, end)))
        return false;
    return take_port(r, url, end) && check_http_host(r, url);
}

/* The part after `mark`, if the reader is there. */
static bool take_marked(struct reader *r, char mark, const char *stops, struct ml_slice *part)
{
    if (r->at == r->end || *r->at != mark)
        return true;
    r->at++;
    *part = take_until(r, stops);
    return check_part(r, *part, IN_QUERY);
}

static bool take_path(struct reader *r, struct ml_url *url)
{
    url->path = take_until(r, "?#");
    return check_part(r, url->path, IN_PATH);
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
        is_same = lower(slice.data[i]) == lower(text[i]);
    return is_same;
}

static const struct {
    const char *scheme;
    int port;
} http_schemes[] = {{"http", 80}, {"https", 443}, {"ws", 80}, {"wss", 443}};

/* -1: not one of HTTP. */
static int scheme_port(const struct ml_url *url)
{
    for (size_t i = 0; i < sizeof http_schemes / sizeof *http_schemes; i++)
        if (ml_slice_is(url->scheme, http_schemes[i].scheme))
            return http_schemes[i].port;
    return -1;
}

bool ml_url_is_http(const struct ml_url *url)
{
    return scheme_port(url) >= 0;
}

int ml_url_port(const struct ml_url *url)
{
    return url->port_number >= 0 ? url->port_number : scheme_port(url);
}

/* ---- writing ---- */

static char *put(char *out, const char *data, size_t size)
{
    if (size > 0)
        memmove(out, data, size);
    return out + size;
}

static char *put_slice(char *out, const char *before, struct ml_slice part, const char *after)
{
    if (part.data == NULL)
        return out;
    out = put(out, before, strlen(before));
    out = put(out, part.data, part.size);
    return put(out, after, strlen(after));
}

static char *put_lower(char *out, const char *before, struct ml_slice part, const char *after)
{
    char *start = out, *end = put_slice(out, before, part, after);
    for (char *p = start; p < end; p++)
        *p = lower(*p);
    return end;
}

static char *put_authority(char *out, const struct ml_url *url)
{
    if (url->host.data == NULL)
        return out;
    out = put(out, "//", 2);
    out = put_slice(out, "", url->userinfo, "@");
    out =
        url->is_bracketed ? put_lower(out, "[", url->host, "]") : put_lower(out, "", url->host, "");
    return put_slice(out, ":", url->port, "");
}

size_t ml_url_write(const struct ml_url *url, char *out)
{
    char *end = put_lower(out, "", url->scheme, ":");
    end = put_authority(end, url);
    end = put(end, url->path.data, url->path.size);
    end = put_slice(end, "?", url->query, "");
    end = put_slice(end, "#", url->fragment, "");
    return (size_t)(end - out);
}

/* ---- references ---- */

/* Bytes of all parts and of what stands between them. */
static size_t url_room(const struct ml_url *url)
{
    return url->scheme.size + url->userinfo.size + url->host.size + url->port.size +
           url->path.size + url->query.size + url->fragment.size + 10;
}

size_t ml_url_join_room(const struct ml_url *base, const struct ml_url *reference)
{
    return url_room(base) + url_room(reference) + 2;
}

/* Whether the next segment, which `at` begins after its "/", is `name`. */
static bool is_segment(const char *at, const char *end, const char *name)
{
    size_t size = strlen(name);
    return (size_t)(end - at) >= size && memcmp(at, name, size) == 0 &&
           (at + size == end || at[size] == '/');
}

/* Without its last segment and the "/" before it. */
static char *cut_segment(char *start, char *end)
{
    while (end > start && *--end != '/')
        ;
    return end;
}

/* RFC 3986, section 5.2.4, in place. Returns the new end. */
static char *remove_dots(char *path, char *end)
{
    char *out = path;
    const char *in = path;
    while (is_segment(in, end, "..") || is_segment(in, end, "."))
        in += *in == '.' && in + 1 < end && in[1] == '.' ? 2 + (in + 2 < end) : 1 + (in + 1 < end);
    while (in < end) {
        const char *segment = in + (*in == '/');
        bool is_up = *in == '/' && is_segment(segment, end, "..");
        bool is_here = *in == '/' && is_segment(segment, end, ".");
        if (is_up)
            out = cut_segment(path, out);
        if (is_up || is_here) {
            in = segment + (is_up ? 2 : 1);
            if (in == end)
                *out++ = '/';
            continue;
        }
        do
            *out++ = *in++;
        while (in < end && *in != '/');
    }
    return out;
}

/* Section 5.2.3: the base's path up to its last "/", then the reference's. */
static char *put_merged(char *out, const struct ml_url *base, struct ml_slice path)
{
    size_t size = base->path.size;
    if (base->host.data != NULL && size == 0)
        return put(put(out, "/", 1), path.data, path.size);
    while (size > 0 && base->path.data[size - 1] != '/')
        size--;
    return put(put(out, base->path.data, size), path.data, path.size);
}

/* Whether the path would be read as something else after what has been written. */
static const char *path_guard(const struct ml_url *target, const char *path, const char *end)
{
    if (target->host.data != NULL)
        return "";
    if (end - path >= 2 && path[0] == '/' && path[1] == '/')
        return "/.";
    const char *colon = memchr(path, ':', (size_t)(end - path));
    bool has_colon = colon != NULL && memchr(path, '/', (size_t)(colon - path)) == NULL;
    return has_colon && target->scheme.data == NULL ? "./" : "";
}

/* A relative path whose first segments were taken back, by ".." or as empty ones, stays relative.
 */
static char *keep_relative(char *path, char *end)
{
    size_t slashes = 0;
    while (path + slashes < end && path[slashes] == '/')
        slashes++;
    if (path + slashes == end)
        return put(path, "./", 2);
    return put(path, path + slashes, (size_t)(end - path) - slashes);
}

/* The path of the reference, merged with the base's if it is relative, without dots. */
static char *put_path(char *out, const struct ml_url *base, const struct ml_url *reference,
                      const struct ml_url *target)
{
    bool is_whole = reference->scheme.data != NULL || reference->host.data != NULL ||
                    (reference->path.size > 0 && reference->path.data[0] == '/');
    char *end = is_whole ? put(out, reference->path.data, reference->path.size)
                         : put_merged(out, base, reference->path);
    bool is_relative = target->scheme.data == NULL && target->host.data == NULL && *out != '/';
    end = remove_dots(out, end);
    if (is_relative && (end == out || *out == '/'))
        end = keep_relative(out, end);
    const char *guard = path_guard(target, out, end);
    memmove(out + strlen(guard), out, (size_t)(end - out));
    memcpy(out, guard, strlen(guard));
    return end + strlen(guard);
}

size_t ml_url_join(const struct ml_url *base, const struct ml_url *reference, char *out)
{
    struct ml_url target = *reference;
    bool has_scheme = reference->scheme.data != NULL;
    if (!has_scheme)
        target.scheme = base->scheme;
    if (!has_scheme && reference->host.data == NULL) {
        target.userinfo = base->userinfo;
        target.host = base->host;
        target.port = base->port;
        target.is_bracketed = base->is_bracketed;
    }
    bool keeps_path = !has_scheme && reference->host.data == NULL && reference->path.size == 0;
    char *end = put_authority(put_lower(out, "", target.scheme, ":"), &target);
    if (keeps_path)
        end = put(end, base->path.data, base->path.size);
    else
        end = put_path(end, base, reference, &target);
    end = put_slice(
        end, "?", keeps_path && reference->query.data == NULL ? base->query : reference->query, "");
    end = put_slice(end, "#", reference->fragment, "");
    return (size_t)(end - out);
}

/* ---- percent-encoding ---- */

size_t ml_url_encode(const char *text, size_t size, bool is_form, char *out)
{
    static const char digits[] = "0123456789ABCDEF";
    char *end = out;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)text[i];
        if (is_of(text[i], UNRESERVED)) {
            *end++ = text[i];
        } else if (is_form && byte == ' ') {
            *end++ = '+';
        } else {
            *end++ = '%';
            *end++ = digits[byte >> 4];
            *end++ = digits[byte & 15];
        }
    }
    return (size_t)(end - out);
}

ptrdiff_t ml_url_decode(const char *text, size_t size, bool is_form, char *out)
{
    const char *end = text + size;
    char *start = out;
    for (const char *p = text; p < end; p++) {
        if (*p == '%') {
            if (!is_triplet(p, end))
                return -1;
            *out++ = (char)(hex_value(p[1]) << 4 | hex_value(p[2]));
            p += 2;
        } else {
            *out++ = is_form && *p == '+' ? ' ' : *p;
        }
    }
    return out - start;
}
