#include "hub/state/choice.h"

static size_t size_of(uint32_t count)
{
    return sizeof(struct ml_choice) + count * sizeof(struct ml_waiter);
}

struct ml_choice *ml_choice_open(struct ml_hub *hub, uint32_t count)
{
    struct ml_task *task = hub->current;
    struct ml_choice *choice = ml_pool_realloc(hub->bank.pool, NULL, 0, size_of(count));
    if (choice == NULL)
        return NULL;
    choice->count = count;
    for (uint32_t i = 0; i < count; i++)
        choice->waiters[i] =
            (struct ml_waiter){.slot = task->waiter.slot, .index = (uint16_t)(i + 1)};
    task->choice = choice;
    return choice;
}

void ml_choice_close(struct ml_task *task)
{
    struct ml_choice *choice = task->choice;
    if (choice == NULL)
        return;
    for (uint32_t i = 0; i < choice->count; i++)
        if (ml_link_is_in_list(&choice->waiters[i].link))
            ml_list_remove(&choice->waiters[i].link);
    ml_pool_realloc(task->hub->bank.pool, choice, size_of(choice->count), 0);
    task->choice = NULL;
}
