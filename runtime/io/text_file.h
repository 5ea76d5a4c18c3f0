/*
 * A small text file that is kept in memory and read again when it has changed: /etc/hosts, /etc/resolv.conf. Knows
 * nothing of what the text says.
 *
 * A file that is not there, or may not be read, is an empty one, and is looked for again the next time. For want of
 * descriptors or memory nothing is concluded: the caller gets the error, and the next look reads the file.
 */
#ifndef ML_IO_TEXT_FILE_H
#define ML_IO_TEXT_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

struct ml_text_file {
    char *path;         /* NULL: there is none */
    char *text;         /* what it holds, with a zero byte after; NULL: nothing */
    struct stat status; /* of the file whose text this is; zero: none was read */
};

/* path: "" for no file. 0 or -ENOMEM. */
int ml_text_file_init(struct ml_text_file *file, const char *path);

/* Harmless on one that is zeroed. */
void ml_text_file_release(struct ml_text_file *file);

/* Sees to it that the text is what the file holds now; *is_new: it may be another than before. 0; or a negated errno,
 * for want of descriptors or memory: the text is as it was. */
int ml_text_file_refresh(struct ml_text_file *file, bool *is_new);

#endif
