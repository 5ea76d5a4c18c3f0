#include "io/tls_name.h"

#include "io/address.h"

#include <string.h>

/* Of RFC 1035; the dot at the end does not count. */
enum { LABEL_MOST = 63, NAME_MOST = 253 };

static bool may_be_in_label(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c >= 0x80;
}

static size_t label_size(const char *text)
{
    size_t size = 0;
    while (may_be_in_label((unsigned char)text[size]))
        size++;
    return size;
}

static bool is_host(const char *text)
{
    const char *label = text;
    size_t size;
    do {
        size = label_size(label);
        if (size == 0 || size > LABEL_MOST)
            return false;
        label += size;
        if (*label == '\0' || strcmp(label, ".") == 0)
            return label - text <= NAME_MOST;
    } while (*label++ == '.');
    return false;
}

bool ml_tls_is_name(const char *text)
{
    struct ml_address number;
    return ml_address_parse(&number, text, 0) || is_host(text);
}

bool ml_tls_is_pattern(const char *text)
{
    return ml_tls_is_name(text) || (strncmp(text, "*.", 2) == 0 && is_host(text + 2));
}
