#include "interpose/prompt.h"

#include "hub/state/ready.h"

#include <sys/stat.h>

static bool is_terminal(const struct ml_prompt *prompt, int fd)
{
    struct stat about;
    return fstat(fd, &about) == 0 && S_ISCHR(about.st_mode) && about.st_rdev == prompt->terminal;
}

/* The write may wait, and the prompt be gone afterwards. */
static void erase(struct ml_foreign *f, int fd)
{
    struct ml_entry entry = f->entry;
    char text[sizeof f->prompt->erase];
    memcpy(text, f->prompt->erase, sizeof text);
    size_t size = strlen(text);
    bool is_task = f->hub->current != NULL && f->hub->foreign == f;
    f->prompt->is_shown = false;
    f->prompt->was_taken = true;
    ssize_t written = is_task ? ml_co_write(f, fd, text, size) : ml_libc.write(fd, text, size);
    (void)written;
    f->entry = entry;
}

void ml_prompt_note(struct ml_foreign *f, int fd, const char *data, size_t size)
{
    int error = errno;
    if (is_terminal(f->prompt, fd)) {
        if (f->prompt->is_shown)
            erase(f, fd);
        if (f->prompt != NULL && f->prompt->was_taken)
            ml_task_wake(f->prompt->editor, ML_WAKE_EVENT);
        if (f->prompt != NULL)
            f->prompt->is_unfinished = data[size - 1] != '\n';
    }
    errno = error;
}
