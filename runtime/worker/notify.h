/* What the master tells a service manager (sd_notify(3)): that it serves, reloads, stops, lives.
 * Without a manager nothing. */
#ifndef ML_WORKER_NOTIFY_H
#define ML_WORKER_NOTIFY_H

#include "base/clock.h"

struct ml_master;

void ml_notify_ready(const struct ml_master *master);
void ml_notify_reloading(const struct ml_master *master);
void ml_notify_stopping(const struct ml_master *master);

/* A line of its status, for people. */
void ml_notify_status(const struct ml_master *master, const char *text);

/* The master lives. */
void ml_notify_alive(const struct ml_master *master);

/* How often the manager wants to know that, halved; ML_FOREVER: never. */
ml_time ml_notify_interval(void);

#endif
