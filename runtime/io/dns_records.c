#include "io/dns_records.h"

#include "base/error.h"
#include "io/cares.h"

#include <stdlib.h>
#include <string.h>

enum { HEADER_SIZE = 12, CLASS_IN = 1 };

/* What is left to read; `start` is that of the answer, for names refer back to it. */
struct reader {
    const unsigned char *start;
    const unsigned char *at;
    const unsigned char *end;
};

static size_t left(const struct reader *in)
{
    return (size_t)(in->end - in->at);
}

/* Reads a number of `size` bytes; false: they are not there. */
static bool read_number(struct reader *in, size_t size, uint32_t *number)
{
    if (left(in) < size)
        return false;
    *number = 0;
    while (size-- > 0)
        *number = *number << 8 | *in->at++;
    return true;
}

static bool read_16(struct reader *in, uint16_t *number)
{
    uint32_t wide;
    bool is_there = read_number(in, sizeof *number, &wide);
    *number = is_there ? (uint16_t)wide : 0;
    return is_there;
}

static bool skip(struct reader *in, size_t size)
{
    bool is_there = left(in) >= size;
    in->at += is_there ? size : 0;
    return is_there;
}

/* A name is labels up to an empty one or to a reference to an earlier name. */
static bool skip_name(struct reader *in)
{
    while (left(in) > 0) {
        unsigned length = *in->at++;
        if (length == 0)
            return true;
        if (length >= 0xC0)
            return skip(in, 1);
        if (length >= 0x40 || !skip(in, length))
            return false;
    }
    return false;
}

/* ---- one record ---- */

static int copy_text(struct ml_record *record, const char *text, size_t length)
{
    record->text = malloc(length + 1);
    if (record->text == NULL)
        return -ENOMEM;
    memcpy(record->text, text, length);
    record->text[length] = '\0';
    record->length = length;
    return 0;
}

/* c-ares follows the references, and escapes what is no letter of a host's name. */
static int read_host(struct reader *in, struct ml_record *record)
{
    char *name;
    long size;
    if (ml_cares_load() != 0)
        return -ELIBACC;
    int status = ares_expand_name(in->at, in->start, (int)(in->end - in->start), &name, &size);
    if (status != ARES_SUCCESS)
        return status == ARES_ENOMEM ? -ENOMEM : -ML_EDNS_ANSWER;
    const char *text = name[0] != '\0' ? name : ".";
    int error = copy_text(record, text, strlen(text));
    ares_free_string(name);
    return error;
}

static int read_mx(struct reader *in, struct ml_record *record)
{
    return read_16(in, &record->priority) ? read_host(in, record) : -ML_EDNS_ANSWER;
}

static int read_srv(struct reader *in, struct ml_record *record)
{
    bool is_there = read_16(in, &record->priority) && read_16(in, &record->weight) &&
                    read_16(in, &record->port);
    return is_there ? read_host(in, record) : -ML_EDNS_ANSWER;
}

/* Strings, each behind a byte that says how long it is, become one. */
static int read_txt(struct reader *in, struct ml_record *record)
{
    int error = copy_text(record, (const char *)in->at, left(in));
    if (error != 0)
        return error;
    record->length = 0;
    while (left(in) > 0) {
        size_t length = *in->at++;
        if (length > left(in))
            return -ML_EDNS_ANSWER;
        memcpy(record->text + record->length, in->at, length);
        record->length += length;
        in->at += length;
    }
    record->text[record->length] = '\0';
    return 0;
}

static int read_inet(struct reader *in, struct ml_record *record)
{
    struct ml_address *address = &record->address;
    if (left(in) != sizeof address->inet.sin_addr)
        return -ML_EDNS_ANSWER;
    address->inet.sin_family = AF_INET;
    memcpy(&address->inet.sin_addr, in->at, left(in));
    address->size = sizeof address->inet;
    return 0;
}

static int read_inet6(struct reader *in, struct ml_record *record)
{
    struct ml_address *address = &record->address;
    if (left(in) != sizeof address->inet6.sin6_addr)
        return -ML_EDNS_ANSWER;
    address->inet6.sin6_family = AF_INET6;
    memcpy(&address->inet6.sin6_addr, in->at, left(in));
    address->size = sizeof address->inet6;
    return 0;
}

/* Reads the data of a record, which ends where `in` does. */
static int read_data(struct reader *in, enum ml_record_type type, struct ml_record *record)
{
    switch (type) {
    case ML_RECORD_A:
        return read_inet(in, record);
    case ML_RECORD_AAAA:
        return read_inet6(in, record);
    case ML_RECORD_MX:
        return read_mx(in, record);
    case ML_RECORD_SRV:
        return read_srv(in, record);
    case ML_RECORD_TXT:
        return read_txt(in, record);
    default:
        return read_host(in, record);
    }
}

/* ---- all of them ---- */

/* The room doubles whenever it is full: it is a power of two. */
int ml_records_add(struct ml_records *records, const struct ml_record *record)
{
    size_t count = records->count;
    if ((count & (count - 1)) == 0) {
        size_t room = count > 0 ? count * 2 : 1;
        struct ml_record *items = realloc(records->items, room * sizeof *items);
        if (items == NULL)
            return -ENOMEM;
        records->items = items;
    }
    records->items[records->count++] = *record;
    return 0;
}

/* Reads the next record, if it is of the type, and skips it. */
static int read_record(struct reader *in, enum ml_record_type type, struct ml_records *records)
{
    uint16_t its_type, class, size;
    uint32_t ttl;
    if (!skip_name(in) || !read_16(in, &its_type) || !read_16(in, &class) ||
        !read_number(in, sizeof ttl, &ttl) || !read_16(in, &size) || left(in) < size)
        return -ML_EDNS_ANSWER;
    struct reader data = {.start = in->start, .at = in->at, .end = in->at + size};
    in->at += size;
    if (its_type != type || class != CLASS_IN)
        return 0;
    int error = ml_records_add(records, &(struct ml_record){.ttl = ttl});
    return error == 0 ? read_data(&data, type, &records->items[records->count - 1]) : error;
}

static int read_all(struct reader *in, enum ml_record_type type, struct ml_records *records)
{
    uint16_t questions, answers;
    skip(in, 4); /* its number and flags: c-ares has looked at them */
    if (!read_16(in, &questions) || !read_16(in, &answers) || !skip(in, 4))
        return -ML_EDNS_ANSWER;
    for (; questions > 0; questions--)
        if (!skip_name(in) || !skip(in, 4))
            return -ML_EDNS_ANSWER;
    int error = 0;
    for (; answers > 0 && error == 0; answers--)
        error = read_record(in, type, records);
    return error == 0 && records->count == 0 ? -ML_ENODATA : error;
}

int ml_records_parse(const unsigned char *answer, size_t size, enum ml_record_type type,
                     struct ml_records *records)
{
    struct reader in = {.start = answer, .at = answer, .end = answer + size};
    *records = (struct ml_records){0};
    int error = size < HEADER_SIZE ? -ML_EDNS_ANSWER : read_all(&in, type, records);
    if (error != 0)
        ml_records_release(records);
    return error;
}

void ml_records_release(struct ml_records *records)
{
    for (size_t i = 0; i < records->count; i++)
        free(records->items[i].text);
    free(records->items);
    *records = (struct ml_records){0};
}

/* ---- their order ---- */

/* By priority; those without weight first, or a point on the line of weights would hardly ever meet them. */
static int compare(const void *a, const void *b)
{
    const struct ml_record *one = a, *other = b;
    if (one->priority != other->priority)
        return one->priority < other->priority ? -1 : 1;
    return (one->weight > 0) - (other->weight > 0);
}

/* George Marsaglia, "Xorshift RNGs", 2003. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Which of the records is met first by a point chosen at random on the line of their weights, laid end to
 * end. */
static size_t choose(const struct ml_record *items, size_t count, uint64_t total, uint64_t *random)
{
    uint64_t point = next_random(random) % (total + 1);
    size_t chosen = 0;
    while (chosen + 1 < count && items[chosen].weight < point)
        point -= items[chosen++].weight;
    return chosen;
}

/* Of one priority: chooses the first, then the first of the rest, and so on. */
static void shuffle(struct ml_record *items, size_t count, uint64_t *random)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += items[i].weight;
    for (size_t i = 0; total > 0 && i + 1 < count; i++) {
        size_t chosen = i + choose(items + i, count - i, total, random);
        struct ml_record first = items[chosen];
        memmove(items + i + 1, items + i, (chosen - i) * sizeof *items);
        items[i] = first;
        total -= first.weight;
    }
}

void ml_records_sort(struct ml_records *records, uint64_t *random)
{
    struct ml_record *items = records->items;
    qsort(items, records->count, sizeof *items, compare);
    for (size_t start = 0, end; start < records->count; start = end) {
        for (end = start; end < records->count && items[end].priority == items[start].priority;)
            end++;
        shuffle(items + start, end - start, random);
    }
}
