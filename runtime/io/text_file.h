/*
 * A small text file that is kept in memory and read again when it has changed: /etc/hosts,
 * /etc/resolv.conf. Knows nothing of the content but words and lines.
 *
 * A file that does not exist, or may not be read, counts as empty, and is tried again the next
 * time. Want of descriptors or memory is different: the caller gets the error, and the next call
 * reads the file.
 */
#ifndef ML_IO_TEXT_FILE_H
#define ML_IO_TEXT_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct ml_text_file {
    char *path;         /* NULL: there is none */
    char *text;         /* the content, with a zero byte behind it; NULL: none */
    struct stat status; /* of the file that the text is from; zero: none was read */
};

/* path: "" for no file. 0 or -ENOMEM. */
int ml_text_file_init(struct ml_text_file *file, const char *path);

/* Harmless on one that is zeroed. */
void ml_text_file_release(struct ml_text_file *file);

/* Brings the text up to date with the file; *is_new: it may have changed. 0; or a negated errno,
 * for want of descriptors or memory: the text is as it was. */
int ml_text_file_refresh(struct ml_text_file *file, bool *is_new);

/* A piece of a line, between blanks. */
struct ml_word {
    const char *start;
    size_t length;
};

/* The next word of a line that ends at `end`; length 0: there is none. */
struct ml_word ml_word_next(const char *at, const char *end);

#endif
