/*
 * The line that is being edited on a terminal, and other output there meanwhile: the first write
 * takes the line away; its editor shows it again when it next runs. Knows no editor.
 */
#ifndef ML_INTERPOSE_PROMPT_H
#define ML_INTERPOSE_PROMPT_H

#include "interpose/state.h"

struct ml_prompt {
    struct ml_task *editor; /* its wait ends when the line was taken away */
    dev_t terminal;
    bool is_shown;      /* the line is visible, and the cursor stands in it */
    bool was_taken;     /* a write took the line away; the editor clears this */
    bool is_unfinished; /* the last output did not end its line */
    char erase[32];     /* the bytes that take it away */
};

/* The slow part of ml_prompt_make_way(). */
void ml_prompt_note(struct ml_libc_calls *calls, int fd, const char *data, size_t size);

/* Call before `data` is written to `fd`. Waits if it must and the task may. */
static inline void ml_prompt_make_way(struct ml_libc_calls *calls, int fd, const void *data,
                                      size_t size)
{
    if (ml_unlikely(calls->prompt != NULL) && size > 0)
        ml_prompt_note(calls, fd, data, size);
}

#endif
