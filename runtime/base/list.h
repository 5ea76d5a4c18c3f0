/*
 * A doubly linked ring through structs that embed a link. The head is a link too; a link that
 * stands in no list has next NULL.
 */
#ifndef ML_BASE_LIST_H
#define ML_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct ml_link {
    struct ml_link *next;
    struct ml_link *prev;
};

static inline void ml_list_init(struct ml_link *head)
{
    head->next = head->prev = head;
}

static inline bool ml_list_is_empty(const struct ml_link *head)
{
    return head->next == head;
}

static inline bool ml_link_is_in_list(const struct ml_link *link)
{
    return link->next != NULL;
}

/* Puts `link` before `place`: at the end of the list when `place` is its head. */
static inline void ml_list_insert(struct ml_link *place, struct ml_link *link)
{
    link->next = place;
    link->prev = place->prev;
    place->prev->next = link;
    place->prev = link;
}

static inline void ml_list_remove(struct ml_link *link)
{
    /* The analyzer does not know that a link in a list has neighbours, and that a removed link is
     * none of them. */
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference,clang-analyzer-unix.Malloc)
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->next = link->prev = NULL;
}

#endif
