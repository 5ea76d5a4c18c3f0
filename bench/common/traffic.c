#include "common/traffic.h"

#include "common/loopback.h"

#include <stdlib.h>
#include <string.h>

enum { MESSAGE_SHIFTS = 4096, LINE_SHIFTS = 256 };

static void *allocate(size_t size)
{
    void *memory = malloc(size);
    if (memory == NULL)
        die("malloc");
    return memory;
}

static void make_messages(struct traffic *traffic, size_t size, size_t count)
{
    traffic->shifts = MESSAGE_SHIFTS;
    traffic->unit = traffic->answer_unit = 1;
    traffic->request_bytes = traffic->answer_bytes = size * count;
    size_t total = traffic->request_bytes + MESSAGE_SHIFTS;
    traffic->requests = traffic->answers = allocate(total);
    for (size_t i = 0; i < total; i++)
        traffic->requests[i] = (char)random();
}

static void make_lines(struct traffic *traffic, size_t size, size_t count)
{
    traffic->shifts = LINE_SHIFTS;
    traffic->unit = size;
    traffic->answer_unit = size + 1;
    traffic->request_bytes = size * count;
    traffic->answer_bytes = traffic->answer_unit * count;
    traffic->requests = allocate(size * (count + LINE_SHIFTS));
    traffic->answers = allocate(traffic->answer_unit * (count + LINE_SHIFTS));
    for (size_t line = 0; line < count + LINE_SHIFTS; line++) {
        char *request = traffic->requests + line * size;
        char *answer = traffic->answers + line * traffic->answer_unit;
        for (size_t i = 0; i + 1 < size; i++)
            request[i] = (char)('a' + random() % 26);
        request[size - 1] = '\n';
        answer[0] = '+';
        memcpy(answer + 1, request, size);
    }
}

void traffic_init(struct traffic *traffic, size_t size, size_t count, bool lines)
{
    srandom(1);
    (lines ? make_lines : make_messages)(traffic, size, count);
}

/* Writes the head of a frame with binary data; `key` NULL: without a mask. Its size. */
static size_t write_head(char *frame, size_t size, const char *key)
{
    size_t at = size < 126 ? 2 : 4;
    frame[0] = (char)0x82;
    frame[1] = (char)((size < 126 ? size : 126) | (key != NULL ? 0x80 : 0));
    if (at == 4) {
        frame[2] = (char)(size >> 8);
        frame[3] = (char)size;
    }
    if (key != NULL)
        memcpy(frame + at, key, 4);
    return at + (key != NULL ? 4 : 0);
}

void traffic_init_frames(struct traffic *traffic, size_t size, size_t count)
{
    static const char key[] = "\x12\x34\x56\x78";
    enum { HEAD = 4, KEY = 4, MOST = 65535 };
    if (size > MOST)
        die("frames of more than 65535 bytes");
    srandom(1);
    traffic->shifts = LINE_SHIFTS;
    traffic->answer_unit = size + (size < 126 ? 2 : HEAD);
    traffic->unit = traffic->answer_unit + KEY;
    traffic->request_bytes = traffic->unit * count;
    traffic->answer_bytes = traffic->answer_unit * count;
    traffic->requests = allocate(traffic->unit * (count + LINE_SHIFTS));
    traffic->answers = allocate(traffic->answer_unit * (count + LINE_SHIFTS));
    for (size_t frame = 0; frame < count + LINE_SHIFTS; frame++) {
        char *request = traffic->requests + frame * traffic->unit;
        char *answer = traffic->answers + frame * traffic->answer_unit;
        request += write_head(request, size, key);
        answer += write_head(answer, size, NULL);
        for (size_t i = 0; i < size; i++) {
            answer[i] = (char)random();
            request[i] = (char)(answer[i] ^ key[i % KEY]);
        }
    }
}

static size_t shift_of(const struct traffic *traffic, size_t connection, size_t batch)
{
    return (connection * 31 + batch * 17) % traffic->shifts;
}

const char *traffic_request(const struct traffic *traffic, size_t connection, size_t batch)
{
    return traffic->requests + shift_of(traffic, connection, batch) * traffic->unit;
}

const char *traffic_answer(const struct traffic *traffic, size_t connection, size_t batch)
{
    return traffic->answers + shift_of(traffic, connection, batch) * traffic->answer_unit;
}

size_t traffic_answerable(const struct traffic *traffic, size_t sent)
{
    return sent / traffic->unit * traffic->answer_unit;
}
