/*
 * The reader of WebSocket frames (http/ws_frame.h): a head that it takes is written as the same
 * bytes, an answer is the same however the bytes are cut, and masking twice changes nothing.
 */
#include "fuzz.h"

#include "base/check.h"
#include "http/ws_frame.h"

#include <string.h>

static void check_head(const char *data, size_t size, const struct ml_ws_rules *rules)
{
    struct ml_ws_head head = {0}, cut = {0};
    const char *why = NULL;
    char again[ML_WS_HEAD_MAX];
    int whole = ml_ws_parse_head(&head, rules, data, size, &why), result = 0;
    for (size_t i = 1; i <= size && result == 0; i++)
        result = ml_ws_parse_head(&cut, rules, data, i, &why);
    ML_CHECK(result == whole && whole <= ML_WS_HEAD_MAX);
    if (whole <= 0)
        return;
    ML_CHECK(head.is_masked == rules->is_from_client);
    ML_CHECK(ml_ws_write_head(again, &head) == (size_t)whole);
    ML_CHECK(memcmp(again, data, (size_t)whole) == 0);
}

static void check_mask(const char *data, size_t size)
{
    const unsigned char key[ML_WS_KEY_SIZE] = {1, 0x82, 3, 0xf4};
    char bytes[64];
    size_t count = size < sizeof bytes ? size : sizeof bytes, half = count / 3;
    if (count == 0)
        return;
    memcpy(bytes, data, count);
    ml_ws_mask(bytes, count, key, 0);
    ml_ws_mask(bytes, half, key, 0);
    ml_ws_mask(bytes + half, count - half, key, half);
    ML_CHECK(memcmp(bytes, data, count) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *data = (const char *)bytes;
    for (unsigned i = 0; i < 8; i++) {
        struct ml_ws_rules rules = {(i & 1) != 0, (i & 2) != 0, (i & 4) != 0};
        check_head(data, size, &rules);
    }
    check_mask(data, size);
    return 0;
}
