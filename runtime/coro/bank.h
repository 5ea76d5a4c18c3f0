/*
 * The bank: the few dozen large C stacks on which all coroutines of a thread run. A suspended
 * coroutine's frames stay where they are until another coroutine bound to the same stack has to
 * run; only then are they copied to the heap. Knows which coroutine has which seat, not why it
 * runs.
 */
#ifndef ML_CORO_BANK_H
#define ML_CORO_BANK_H

#include "base/check.h"
#include "base/pool.h"
#include "coro/context.h"
#include "coro/reserve.h"
#include "coro/stack.h"

/* Shared stacks by default. measured: with 64, 100,000 tasks sleep in half the time that private
 * stacks take, and an echo server of 1,000 connections copies 1.6 KB per request. */
enum { ML_BANK_STACKS = 64 };

/* As large as a main thread's own: Lua's limit of 200 C levels needs 412 KB in the worst case seen
 * (gsub), and lua_State chains of coroutine.close recurse without a limit. */
#define ML_BANK_STACK_SIZE ((size_t)8 << 20)

/* A stack and the coroutine whose frames lie on it. */
struct ml_seat {
    struct ml_stack stack;
    struct ml_coro *occupant; /* NULL: the stack is free */
    struct ml_seat *next;     /* in the list of idle private seats */
    bool is_private;
};

struct ml_bank {
    struct ml_pool *pool; /* where copies of frames lie */
    struct ml_coro *running;
    struct ml_coro origin; /* the thread's own stack */
    size_t stack_size;
    unsigned limit;   /* shared seats at most, 1..64 */
    unsigned made;    /* shared seats that are mapped */
    unsigned turn;    /* the seat that was taken last when all were occupied */
    bool maps_ahead;  /* map all of them at once, since address space is short */
    bool all_private; /* a tool is at work that follows stacks by address */
    uint64_t empty;   /* bit i: shared seat i has no occupant */
    struct ml_seat *idle_private;
    unsigned idle_private_count;
    struct ml_reserve reserve; /* for copies when the pool has no memory */

    uint64_t copies; /* how often frames were moved out of a seat */
    uint64_t copied_bytes;
    void (*on_overflow)(struct ml_bank *); /* coro/overflow.h */
    void *signal_stack;                    /* malloc'd, this thread's alternate signal stack */
    void *origin_fiber;                    /* for the sanitizers */
    const void *origin_base;
    size_t origin_size;
    struct ml_seat shared[ML_BANK_STACKS];
};

/* The bank of the runtime that this thread is executing; NULL outside one. Signal handlers read it:
 * the TLS model keeps the first access from allocating. */
extern __attribute__((tls_model("initial-exec"))) _Thread_local struct ml_bank *ml_bank_current;

/* pool: of this thread, kept by the caller; stacks: 1..64, 0 for the default; stack_size: bytes, 0
 * for the default. Maps nothing yet. */
void ml_bank_init(struct ml_bank *bank, struct ml_pool *pool, unsigned stacks, size_t stack_size);

/* Unmaps every stack; no coroutine is bound any more. Runs on the origin. */
void ml_bank_release(struct ml_bank *bank);

/*
 * Ensures that there is a shared stack, and a reserve with room for the frames of `unborn`
 * coroutines that are still to begin on shared stacks. Gives back the rest of the reserve. So a
 * shortage shows before those coroutines exist, and not when they cannot go on. 0 or -ENOMEM.
 */
int ml_bank_expect(struct ml_bank *bank, size_t unborn);

/* Whether a bound coroutine has a stack that it shares with no other. */
static inline bool ml_coro_is_private(const struct ml_coro *coro)
{
    return coro->seat != NULL && coro->seat->is_private;
}

/* Binds an unbound coroutine to a seat; to the running coroutine's only if there is no other shared
 * one. 0 or -ENOMEM. */
int ml_bank_bind(struct ml_bank *bank, struct ml_coro *coro, enum ml_coro_stack kind);

/* The rest of ml_bank_place(): moves the seat's occupant out and the coroutine's own frames in. */
int ml_bank_bring_in(struct ml_bank *bank, struct ml_coro *coro);

/*
 * Puts the frames of a bound coroutine in place.
 *
 * - 0: they are;
 * - -EAGAIN, nothing done: they belong on the running stack. Switch to the origin and call it again
 *   there;
 * - -ENOMEM, nothing done: no memory to copy the occupant's frames out.
 */
static inline int ml_bank_place(struct ml_bank *bank, struct ml_coro *coro)
{
    return ml_likely(coro->seat->occupant == coro) ? 0 : ml_bank_bring_in(bank, coro);
}

/* Unbinds a coroutine and frees its copy. Others can take its seat once it does not run. */
void ml_bank_unbind(struct ml_bank *bank, struct ml_coro *coro);

/* Bytes of the deepest shared stack ever used. */
size_t ml_bank_high_water(const struct ml_bank *bank);

#endif
