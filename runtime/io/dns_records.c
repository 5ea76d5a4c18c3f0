#include "io/dns_records.h"

#include "base/error.h"
#include "io/cares.h"

#include <stdlib.h>
#include <string.h>

enum { HEADER_SIZE = 12, CLASS_IN = 1, LONGEST_NAME = 255 };

/* A longer row of aliases is a circle. */
enum { MOST_ALIASES = 32 };

/* The rest of an answer; `start` is its first byte, since names refer back to it. */
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

/* A name in the protocol's form: labels, each behind its length, in lower case, without references.
 */
struct name {
    size_t size;
    unsigned char bytes[LONGEST_NAME];
};

static unsigned char to_lower(unsigned char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (unsigned char)(byte - 'A' + 'a') : byte;
}

/* Reads a label of `length` bytes; false: it is not there, or the name gets too long. */
static bool read_label(struct reader *in, size_t length, struct name *name)
{
    if (left(in) < length || name->size + 1 + length > sizeof name->bytes)
        return false;
    name->bytes[name->size++] = (unsigned char)length;
    while (length-- > 0)
        name->bytes[name->size++] = to_lower(*in->at++);
    return true;
}

/*
 * Reads a name: labels up to an empty one, or to a reference to an earlier name. Each reference
 * must point further back than the one before it, so the reading ends.
 */
static bool read_name(struct reader *in, struct name *name)
{
    struct reader part = *in;
    size_t least = (size_t)(in->at - in->start);
    bool is_away = false;
    name->size = 0;
    while (left(&part) > 0) {
        size_t length = *part.at++;
        if (length >= 0xC0) {
            if (left(&part) == 0)
                return false;
            size_t target = (length & 0x3F) << 8 | *part.at++;
            if (!is_away)
                in->at = part.at;
            if (target >= least)
                return false;
            is_away = true;
            least = target;
            part.at = part.start + target;
        } else if (length >= 0x40 || !read_label(&part, length, name)) {
            return false;
        } else if (length == 0) {
            if (!is_away)
                in->at = part.at;
            return true;
        }
    }
    return false;
}

static bool is_same_name(const struct name *a, const struct name *b)
{
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
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

/* c-ares follows the references, and escapes bytes that are not part of a host's name. */
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

/* The fields before the data of a record, and the data. */
struct head {
    struct name owner;
    uint16_t type;
    uint16_t class;
    uint32_t ttl;
    struct reader data;
};

/* RFC 2181, section 8: a TTL with the highest bit set is zero. */
static uint32_t valid_ttl(uint32_t ttl)
{
    return ttl > INT32_MAX ? 0 : ttl;
}

static bool read_head(struct reader *in, struct head *head)
{
    uint16_t size;
    if (!read_name(in, &head->owner) || !read_16(in, &head->type) || !read_16(in, &head->class) ||
        !read_number(in, sizeof head->ttl, &head->ttl) || !read_16(in, &size) || left(in) < size)
        return false;
    head->ttl = valid_ttl(head->ttl);
    head->data = (struct reader){.start = in->start, .at = in->at, .end = in->at + size};
    in->at += size;
    return true;
}

/* The answers of a reply: `first` begins with the first of `count`. */
struct answers {
    struct reader first;
    uint16_t count;
};

/* Follows an alias of the name, if there is one. 1: there was; 0; -ML_EDNS_ANSWER. */
static int follow_alias(const struct answers *answers, struct name *name)
{
    struct reader in = answers->first;
    struct head head;
    for (unsigned i = 0; i < answers->count; i++) {
        if (!read_head(&in, &head))
            return -ML_EDNS_ANSWER;
        if (head.type == ML_RECORD_CNAME && head.class == CLASS_IN &&
            is_same_name(&head.owner, name))
            return read_name(&head.data, name) ? 1 : -ML_EDNS_ANSWER;
    }
    return 0;
}

/* Adds the records of the type that the name has; others were not asked for. */
static int take_records(const struct answers *answers, const struct name *name,
                        enum ml_record_type type, struct ml_records *records)
{
    struct reader in = answers->first;
    struct head head;
    int error = 0;
    for (unsigned i = 0; i < answers->count && error == 0; i++) {
        if (!read_head(&in, &head))
            return -ML_EDNS_ANSWER;
        if (head.type != type || head.class != CLASS_IN || !is_same_name(&head.owner, name))
            continue;
        error = ml_records_add(records, &(struct ml_record){.ttl = head.ttl});
        if (error == 0)
            error = read_data(&head.data, type, &records->items[records->count - 1]);
    }
    return error == 0 && records->count == 0 ? -ML_ENODATA : error;
}

/* The name that is asked for stands in the question. */
static int read_all(struct reader *in, enum ml_record_type type, struct ml_records *records)
{
    uint16_t questions;
    struct name name;
    struct answers answers;
    int followed = type == ML_RECORD_CNAME ? 0 : 1;
    skip(in, 4); /* its number and flags: io/resolver_channel.c has looked at them */
    if (!read_16(in, &questions) || !read_16(in, &answers.count) || !skip(in, 4) ||
        questions != 1 || !read_name(in, &name) || !skip(in, 4))
        return -ML_EDNS_ANSWER;
    answers.first = *in;
    for (int i = 0; i < MOST_ALIASES && followed == 1; i++)
        followed = follow_alias(&answers, &name);
    if (followed != 0)
        return -ML_EDNS_ANSWER;
    return take_records(&answers, &name, type, records);
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

/* By priority; those without weight first, or a random point on the line of weights would hardly
 * ever hit them. */
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

/* The record that a random point hits on the line of their weights, laid end to end. */
static size_t choose(const struct ml_record *items, size_t count, uint64_t total, uint64_t *random)
{
    uint64_t point = next_random(random) % (total + 1);
    size_t chosen = 0;
    while (chosen + 1 < count && items[chosen].weight < point)
        point -= items[chosen++].weight;
    return chosen;
}

/* Orders records of one priority: chooses the first, then the first of the rest, and so on. */
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
