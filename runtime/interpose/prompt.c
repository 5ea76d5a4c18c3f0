#include "interpose/prompt.h"

#include <sys/stat.h>

static bool is_terminal(const struct ml_prompt *prompt, int fd)
{
    struct stat about;
    return fstat(fd, &about) == 0 && S_ISCHR(about.st_mode) && about.st_rdev == prompt->terminal;
}

static void erase(struct ml_foreign *f, struct ml_prompt *prompt, int fd)
{
    struct ml_entry entry = f->entry;
    size_t size = strlen(prompt->erase);
    bool is_task = f->hub->current != NULL && f->hub->foreign == f;
    prompt->is_shown = false;
    prompt->was_taken = true;
    ssize_t written =
        is_task ? ml_co_write(f, fd, prompt->erase, size) : ml_libc.write(fd, prompt->erase, size);
    (void)written;
    f->entry = entry;
}

void ml_prompt_note(struct ml_foreign *f, int fd, const char *data, size_t size)
{
    int error = errno;
    struct ml_prompt *prompt = f->prompt;
    if (is_terminal(prompt, fd)) {
        if (prompt->is_shown)
            erase(f, prompt, fd);
        if (prompt->was_taken)
            ml_task_wake(prompt->editor, ML_WAKE_EVENT);
        prompt->is_unfinished = data[size - 1] != '\n';
    }
    errno = error;
}
