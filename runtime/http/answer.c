#include "http/answer.h"

#include <string.h>
#include <strings.h>

struct status {
    int number;
    const char *reason;
};

/* The registered status codes (RFC 9110, 15; 6585; 7725; 8297; 8470). */
static const struct status statuses[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {102, "Processing"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {208, "Already Reported"},
    {226, "IM Used"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {305, "Use Proxy"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {506, "Variant Also Negotiates"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
    {511, "Network Authentication Required"},
};

enum { STATUSES = sizeof statuses / sizeof *statuses };

const char *ml_http_reason(int status)
{
    for (int i = 0; i < STATUSES; i++)
        if (statuses[i].number == status)
            return statuses[i].reason;
    return "";
}

/* Fields that the carrier writes itself, as it knows more than the application: fields that frame
 * the body, and fields that concern one connection only. */
static const struct {
    uint32_t size;
    const char *name;
} framing_fields[] = {
    {10, "connection"},       {10, "keep-alive"}, {14, "content-length"},    {7, "upgrade"},
    {16, "proxy-connection"}, {2, "te"},          {17, "transfer-encoding"},
};

bool ml_http_pair_is_framing(const struct ml_http_pair *pair)
{
    size_t count = sizeof framing_fields / sizeof *framing_fields;
    for (size_t i = 0; i < count; i++)
        if (framing_fields[i].size == pair->name_size &&
            strncasecmp(framing_fields[i].name, pair->name, pair->name_size) == 0)
            return true;
    return false;
}

static bool is_token_byte(unsigned char byte)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    bool is_letter = (byte | 32) >= 'a' && (byte | 32) <= 'z';
    bool is_digit = byte >= '0' && byte <= '9';
    return is_letter || is_digit || (byte != 0 && strchr(others, byte) != NULL);
}

static bool is_value_byte(unsigned char byte)
{
    return (byte >= ' ' && byte != 127) || byte == '\t';
}

bool ml_http_pair_is_valid(const struct ml_http_pair *pair)
{
    bool is_valid = pair->name_size > 0;
    for (uint32_t i = 0; is_valid && i < pair->name_size; i++)
        is_valid = is_token_byte((unsigned char)pair->name[i]);
    for (uint32_t i = 0; is_valid && i < pair->value_size; i++)
        is_valid = is_value_byte((unsigned char)pair->value[i]);
    return is_valid;
}

/* ---- formatting ---- */

static char *put(char *to, const char *text, size_t size)
{
    memcpy(to, text, size);
    return to + size;
}

#define PUT(to, literal) put(to, literal, sizeof(literal) - 1)

char *ml_http_format_number(char *to, uint64_t number)
{
    char digits[20];
    char *end = digits + sizeof digits, *at = end;
    do
        *--at = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return put(to, at, (size_t)(end - at));
}

char *ml_http_format_hex(char *to, uint64_t number)
{
    char digits[16];
    char *end = digits + sizeof digits, *at = end;
    do
        *--at = "0123456789abcdef"[number % 16];
    while ((number /= 16) > 0);
    return put(to, at, (size_t)(end - at));
}

/* 40: the status line without its reason, and `date`; 80: the fields that frame the body, and the
 * empty line. */
size_t ml_http_answer_bound(const struct ml_http_answer *answer)
{
    size_t size = 160 + strlen(ml_http_reason(answer->status));
    for (int i = 0; i < answer->pair_count; i++)
        size += (size_t)answer->pairs[i].name_size + answer->pairs[i].value_size + 4;
    return size;
}

static char *put_status(char *to, int status)
{
    if (status == 200)
        return PUT(to, "HTTP/1.1 200 OK\r\n");
    const char *reason = ml_http_reason(status);
    to = PUT(to, "HTTP/1.1 ");
    to = ml_http_format_number(to, (uint64_t)status);
    *to++ = ' ';
    to = put(to, reason, strlen(reason));
    return PUT(to, "\r\n");
}

static char *put_pair(char *to, const struct ml_http_pair *pair)
{
    to = put(to, pair->name, pair->name_size);
    to = PUT(to, ": ");
    to = put(to, pair->value, pair->value_size);
    return PUT(to, "\r\n");
}

static bool is_date(const struct ml_http_pair *pair)
{
    return pair->name_size == 4 && strncasecmp(pair->name, "date", 4) == 0;
}

/* *has_date: whether the fields have a date. */
static char *put_pairs(char *to, const struct ml_http_answer *answer, bool *has_date)
{
    for (int i = 0; i < answer->pair_count; i++) {
        const struct ml_http_pair *pair = &answer->pairs[i];
        *has_date |= is_date(pair);
        if (!ml_http_pair_is_framing(pair))
            to = put_pair(to, pair);
    }
    return to;
}

static char *put_framing(char *to, const struct ml_http_answer *answer,
                         enum ml_http_framing framing)
{
    if (framing == ML_HTTP_BY_CHUNKS)
        return PUT(to, "transfer-encoding: chunked\r\n");
    if (framing != ML_HTTP_BY_LENGTH)
        return to;
    to = PUT(to, "content-length: ");
    to = ml_http_format_number(to, (uint64_t)answer->length);
    return PUT(to, "\r\n");
}

static char *put_persistence(char *to, enum ml_http_persistence persistence)
{
    if (persistence == ML_HTTP_SAYS_CLOSE)
        return PUT(to, "connection: close\r\n");
    return persistence == ML_HTTP_SAYS_KEEP_ALIVE ? PUT(to, "connection: keep-alive\r\n") : to;
}

char *ml_http_answer_format(char *to, const struct ml_http_answer *answer,
                            const struct ml_http_frame *frame)
{
    bool has_date = frame->date == NULL;
    to = put_status(to, answer->status);
    to = put_pairs(to, answer, &has_date);
    if (!has_date) {
        to = PUT(to, "date: ");
        to = put(to, frame->date, 29);
        to = PUT(to, "\r\n");
    }
    to = put_framing(to, answer, frame->framing);
    to = put_persistence(to, frame->persistence);
    return PUT(to, "\r\n");
}

char *ml_http_interim_format(char *to, const struct ml_http_answer *answer)
{
    to = put_status(to, answer->status);
    for (int i = 0; i < answer->pair_count; i++)
        if (answer->status == 101 || !ml_http_pair_is_framing(&answer->pairs[i]))
            to = put_pair(to, &answer->pairs[i]);
    return PUT(to, "\r\n");
}

char *ml_http_trailers_format(char *to, const struct ml_http_pair *pairs, int count)
{
    for (int i = 0; i < count; i++)
        if (!ml_http_pair_is_framing(&pairs[i]))
            to = put_pair(to, &pairs[i]);
    return PUT(to, "\r\n");
}
