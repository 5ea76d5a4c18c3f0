#include "http/ws_frame.h"

#include <errno.h>
#include <string.h>

enum {
    FINAL = 0x80,
    RSV1 = 0x40,
    RSV2_AND_3 = 0x30,
    OPCODE = 0x0F,
    MASKED = 0x80,
    LENGTH = 0x7F,
    LENGTH_16 = 126,
    LENGTH_64 = 127
};

static bool is_control(uint8_t opcode)
{
    return (opcode & 8) != 0;
}

/* The error in the first byte; NULL: none. */
static const char *check_first(const struct ml_ws_head *head, const struct ml_ws_rules *rules,
                               unsigned char byte)
{
    if ((byte & RSV2_AND_3) != 0)
        return "a reserved bit is set";
    if (head->opcode > ML_WS_PONG || (head->opcode > ML_WS_BINARY && head->opcode < ML_WS_CLOSE))
        return "unknown opcode";
    bool may_be_compressed =
        rules->may_be_compressed && !is_control(head->opcode) && head->opcode != ML_WS_CONTINUATION;
    if (head->is_compressed && !may_be_compressed)
        return "a reserved bit is set";
    if (is_control(head->opcode))
        return head->is_final ? NULL : "a control frame is fragmented";
    if (head->opcode == ML_WS_CONTINUATION)
        return rules->is_in_message ? NULL : "a continuation of no message";
    return rules->is_in_message ? "a new message inside another" : NULL;
}

static const char *check_second(const struct ml_ws_head *head, const struct ml_ws_rules *rules,
                                unsigned length)
{
    if (head->is_masked != rules->is_from_client)
        return head->is_masked ? "a server's frame is masked" : "a client's frame is not masked";
    return is_control(head->opcode) && length > ML_WS_CONTROL_MAX ? "a control frame is too long"
                                                                  : NULL;
}

/* Reads the length after the second byte, in `count` bytes. */
static uint64_t read_length(const unsigned char *bytes, size_t count)
{
    uint64_t length = 0;
    for (size_t i = 0; i < count; i++)
        length = length << 8 | bytes[i];
    return length;
}

static const char *check_length(uint64_t length, size_t count)
{
    if (count == 2 && length < LENGTH_16)
        return "a length is not in its shortest form";
    if (count == 8 && length <= UINT16_MAX)
        return "a length is not in its shortest form";
    return length > INT64_MAX ? "a length has its highest bit set" : NULL;
}

static size_t extra_bytes(unsigned length)
{
    return length == LENGTH_16 ? 2 : length == LENGTH_64 ? 8 : 0;
}

int ml_ws_parse_head(struct ml_ws_head *head, const struct ml_ws_rules *rules, const char *bytes,
                     size_t size, const char **why)
{
    const unsigned char *b = (const unsigned char *)bytes;
    *why = NULL;
    if (size == 0)
        return 0;
    head->is_final = (b[0] & FINAL) != 0;
    head->is_compressed = (b[0] & RSV1) != 0;
    head->opcode = b[0] & OPCODE;
    *why = check_first(head, rules, b[0]);
    if (*why != NULL || size < 2)
        return *why != NULL ? -EPROTO : 0;
    unsigned length = b[1] & LENGTH;
    head->is_masked = (b[1] & MASKED) != 0;
    *why = check_second(head, rules, length);
    size_t count = extra_bytes(length), key = 2 + count;
    size_t whole = key + (head->is_masked ? ML_WS_KEY_SIZE : 0);
    if (*why == NULL && size >= key) {
        head->size = count > 0 ? read_length(b + 2, count) : length;
        *why = count > 0 ? check_length(head->size, count) : NULL;
    }
    if (*why != NULL || size < whole)
        return *why != NULL ? -EPROTO : 0;
    if (head->is_masked)
        memcpy(head->key, b + key, ML_WS_KEY_SIZE);
    return (int)whole;
}

static size_t write_length(unsigned char *bytes, uint64_t length, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (unsigned char)(length >> 8 * (count - 1 - i));
    return count;
}

size_t ml_ws_write_head(char *bytes, const struct ml_ws_head *head)
{
    unsigned char *b = (unsigned char *)bytes;
    size_t at = 2;
    size_t count = head->size < LENGTH_16 ? 0 : head->size <= UINT16_MAX ? 2 : 8;
    b[0] = (unsigned char)((head->is_final ? FINAL : 0) | (head->is_compressed ? RSV1 : 0) |
                           head->opcode);
    b[1] = (unsigned char)(count == 0 ? head->size : count == 2 ? LENGTH_16 : LENGTH_64);
    b[1] |= head->is_masked ? MASKED : 0;
    at += write_length(b + at, head->size, count);
    if (head->is_masked) {
        memcpy(b + at, head->key, ML_WS_KEY_SIZE);
        at += ML_WS_KEY_SIZE;
    }
    return at;
}

/* Sixteen bytes at a time: the compiler keeps them in one register where the machine has such. */
typedef uint64_t words __attribute__((vector_size(16)));

void ml_ws_mask(char *data, size_t size, const unsigned char key[ML_WS_KEY_SIZE], uint64_t offset)
{
    unsigned char turned[16];
    for (size_t i = 0; i < sizeof turned; i++)
        turned[i] = key[(offset + i) % ML_WS_KEY_SIZE];
    words mask, here;
    memcpy(&mask, turned, sizeof mask);
    size_t at = 0;
    for (; size - at >= sizeof here; at += sizeof here) {
        memcpy(&here, data + at, sizeof here);
        here ^= mask;
        memcpy(data + at, &here, sizeof here);
    }
    for (; at < size; at++)
        data[at] = (char)(data[at] ^ turned[at % sizeof turned]);
}

bool ml_ws_code_is_valid(unsigned code)
{
    bool is_assigned = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
    return is_assigned || (code >= 3000 && code <= 4999);
}
