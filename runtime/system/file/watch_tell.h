/* What a watch reports to its reader, and which directories it wants listed. */
#ifndef ML_SYSTEM_FILE_WATCH_TELL_H
#define ML_SYSTEM_FILE_WATCH_TELL_H

#include "system/file/watch_state.h"

/* Reports about a name in the directory `parent`; name_size 0: about the directory itself. 0 or
 * -ENOMEM. */
int ml_watch_tell(struct ml_file_watch *w, enum ml_watch_kind kind,
                  const struct ml_watch_entry *parent, const char *name, size_t name_size,
                  bool is_directory);

/* Reports that an entry has changed, unless the reader is about to be told so anyway. */
int ml_watch_tell_changed(struct ml_file_watch *w, struct ml_watch_entry *entry);

/* The event that an entry was renamed to a name in the directory `parent`; the caller puts it into
 * the queue once the picture agrees. NULL: no memory. */
struct ml_watch_event *ml_watch_renamed(struct ml_file_watch *w, const struct ml_watch_entry *entry,
                                        const struct ml_watch_entry *parent, const char *name,
                                        size_t name_size);

/* Reports a new entry, and adds it; a directory is to be listed. 0 or -ENOMEM. */
int ml_watch_add(struct ml_file_watch *w, struct ml_watch_entry *parent, const char *name,
                 size_t name_size, bool is_directory, struct ml_watch_entry **entry);

/* Has the entry, with all below, reported as removed in the next steps. */
void ml_watch_remove(struct ml_file_watch *w, struct ml_watch_entry *entry);

/* Has a directory listed; deep: those below as well. */
void ml_watch_list(struct ml_file_watch *w, struct ml_watch_dir *dir, bool deep);

/* Has a directory listed when the kernel has reported nothing for a moment. A listing during
 * changes is ahead of what is reported of them: it would show a rename as a removal and a new name.
 */
void ml_watch_list_later(struct ml_file_watch *w, struct ml_watch_dir *dir);

/* The root is gone: everything is reported as removed. */
void ml_watch_finish(struct ml_file_watch *w, enum ml_watch_end end);

/* The picture is behind the disk: has an overflow reported, and everything listed. */
void ml_watch_start_over(struct ml_file_watch *w);

/* Reports one entry of those that leave. */
int ml_watch_step_removed(struct ml_file_watch *w);

#endif
