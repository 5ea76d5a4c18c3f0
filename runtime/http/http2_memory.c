#include "http/http2_memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Sizes are rounded up to steps; a block's number of steps stands before it. Larger ones are
 * malloc's alone. */
enum { STEP = 64, STEPS = 16, KEPT_MOST = 512 * 1024 };

/* Before each block; keeps it aligned. */
struct head {
    _Alignas(16) size_t steps; /* 0: it is never kept */
    size_t size;
};

struct ml_http2_memory {
    void *kept[STEPS +
               1]; /* for each number of steps: heads, each followed by a pointer to the next */
    size_t kept_size;
};

/* Sanitizers watch blocks of malloc's only while they are not used again. */
#if defined(__SANITIZE_ADDRESS__)
enum { KEEPS = 0 };
#elif defined(__has_feature)
enum { KEEPS = !__has_feature(address_sanitizer) };
#else
enum { KEEPS = 1 };
#endif

static void *allocate(size_t size, void *user)
{
    struct ml_http2_memory *memory = user;
    size_t steps = size / STEP + 1;
    struct head *head = steps <= STEPS ? memory->kept[steps] : NULL;
    if (head != NULL) {
        memcpy(&memory->kept[steps], head + 1, sizeof(void *));
        memory->kept_size -= steps * STEP;
    } else if (size < SIZE_MAX / 2) {
        head = malloc(sizeof *head + (steps <= STEPS ? steps * STEP : size));
    }
    if (head == NULL)
        return NULL;
    *head = (struct head){.steps = steps <= STEPS ? steps : 0, .size = size};
    return head + 1;
}

/* NULL: there is no block. */
static struct head *head_of(void *block)
{
    return block != NULL ? (struct head *)block - 1 : NULL;
}

static void release(void *block, void *user)
{
    struct ml_http2_memory *memory = user;
    struct head *head = head_of(block);
    if (head == NULL)
        return;
    if (!KEEPS || head->steps == 0 || memory->kept_size >= KEPT_MOST) {
        free(head);
        return;
    }
    memcpy(block, &memory->kept[head->steps], sizeof(void *));
    memory->kept[head->steps] = head;
    memory->kept_size += head->steps * STEP;
}

static void *allocate_zeroed(size_t count, size_t size, void *user)
{
    size_t whole;
    if (__builtin_mul_overflow(count, size, &whole))
        return NULL;
    void *block = allocate(whole, user);
    return block != NULL ? memset(block, 0, whole) : NULL;
}

static void *resize(void *block, size_t size, void *user)
{
    struct head *head = head_of(block);
    if (head != NULL && head->steps == size / STEP + 1) {
        head->size = size;
        return block;
    }
    void *other = allocate(size, user);
    if (head == NULL || other == NULL)
        return other;
    memcpy(other, block, head->size < size ? head->size : size);
    release(block, user);
    return other;
}

struct ml_http2_memory *ml_http2_memory_new(void)
{
    return calloc(1, sizeof(struct ml_http2_memory));
}

static void free_all(void *first)
{
    while (first != NULL) {
        struct head *head = first;
        memcpy(&first, head + 1, sizeof first);
        free(head);
    }
}

void ml_http2_memory_free(struct ml_http2_memory *memory)
{
    for (size_t i = 0; memory != NULL && i <= STEPS; i++)
        free_all(memory->kept[i]);
    free(memory);
}

nghttp2_mem ml_http2_memory_functions(struct ml_http2_memory *memory)
{
    return (nghttp2_mem){memory, allocate, release, allocate_zeroed, resize};
}

size_t ml_http2_memory_kept(const struct ml_http2_memory *memory)
{
    return memory->kept_size;
}
