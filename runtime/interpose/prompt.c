#include "interpose/prompt.h"

#include "hub/state/ready.h"

#include <sys/stat.h>

static bool is_terminal(const struct ml_prompt *prompt, int fd)
{
    struct stat about;
    return fstat(fd, &about) == 0 && S_ISCHR(about.st_mode) && about.st_rdev == prompt->terminal;
}

/* The write may wait, and the prompt may be gone afterwards. */
static void erase(struct ml_libc_calls *calls, int fd)
{
    struct ml_libc_call entry = calls->entry;
    char text[sizeof calls->prompt->erase];
    memcpy(text, calls->prompt->erase, sizeof text);
    size_t size = strlen(text);
    bool is_task = calls->hub->current != NULL && calls->hub->libc_calls == calls;
    calls->prompt->is_shown = false;
    calls->prompt->was_taken = true;
    ssize_t written = is_task ? ml_co_write(calls, fd, text, size) : ml_libc.write(fd, text, size);
    (void)written;
    calls->entry = entry;
}

void ml_prompt_note(struct ml_libc_calls *calls, int fd, const char *data, size_t size)
{
    int error = errno;
    if (is_terminal(calls->prompt, fd)) {
        if (calls->prompt->is_shown)
            erase(calls, fd);
        if (calls->prompt != NULL && calls->prompt->was_taken)
            ml_task_wake(calls->prompt->editor, ML_WAKE_EVENT);
        if (calls->prompt != NULL)
            calls->prompt->is_unfinished = data[size - 1] != '\n';
    }
    errno = error;
}
