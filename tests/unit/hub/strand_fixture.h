/* Strands that run plain C functions, for tasks of tests/unit/hub_fixture.h. */
#ifndef ML_TESTS_STRAND_FIXTURE_H
#define ML_TESTS_STRAND_FIXTURE_H

#include "hub_fixture.h"

#include "hub/switch/branch.h"
#include "hub/switch/chain.h"

/* A strand with its program. */
struct c_strand {
    struct ml_strand strand;
    struct ml_hub *hub;
    void (*run)(struct c_strand *self);
    void *data;
    int number;
    struct ml_branch branch; /* if it is the bottom of one: `bottom` says so */
    struct ml_branch *next;  /* goes on when the branch ends; NULL: the root */
};

static inline void run_c_strand(struct ml_strand *strand)
{
    struct c_strand *self = (struct c_strand *)strand; /* its first member */
    struct ml_hub *hub = self->hub;
    self->run(self);
    if (self->branch.bottom != NULL)
        ml_branch_exit(hub, &self->branch, self->next);
    else
        ml_strand_exit(hub);
}

static inline void open_hub_with_strands(struct ml_hub *hub)
{
    open_hub(hub);
    hub->hooks.strand_body = run_c_strand;
}

/* A strand that has not begun. */
static inline struct c_strand new_strand(struct ml_hub *hub, void (*run)(struct c_strand *self),
                                         void *data, int number)
{
    return (struct c_strand){.hub = hub, .run = run, .data = data, .number = number};
}

/* Runs one program in one task of a hub with strands. */
static inline void run_with_strands(void (*run)(struct c_task *self),
                                    struct ml_spawn_options options)
{
    struct ml_hub hub;
    struct c_task task = {.number = 0};
    open_hub_with_strands(&hub);
    spawn_with(&hub, &task, run, NULL, options);
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(hub.waits.external, 0);
    close_hub(&hub);
}

/* What a frame holds over a switch: filled before, looked at afterwards. */
enum { NUMBERS = 100 };

static inline void fill_with_number(volatile int numbers[NUMBERS], int number)
{
    for (int i = 0; i < NUMBERS; i++)
        numbers[i] = number * NUMBERS + i;
}

static inline bool holds_number(const volatile int numbers[NUMBERS], int number)
{
    for (int i = 0; i < NUMBERS; i++)
        if (numbers[i] != number * NUMBERS + i)
            return false;
    return true;
}

#endif
