/*
 * A callback at regular times, for libraries that bring their own time-outs (c-ares). Runs on the
 * hub, by the real clock even while the tasks' is virtual: it may wake tasks, never wait. Keeps no
 * program alive.
 */
#ifndef ML_HUB_ON_ALARM_H
#define ML_HUB_ON_ALARM_H

#include "hub/state/hub.h"

struct ml_alarm;

typedef void ml_alarm_callback(void *data);

/* A silent one; NULL: no memory. */
struct ml_alarm *ml_alarm_open(struct ml_hub *hub, ml_alarm_callback *callback, void *data);

/* Calls back every `span` from now on; nothing on one that does already. */
void ml_alarm_start(struct ml_alarm *alarm, ml_time span);

/* Silences it; also from its callback. */
void ml_alarm_stop(struct ml_alarm *alarm);

/* Silences and frees it; NULL is allowed. */
void ml_alarm_close(struct ml_alarm *alarm);

#endif
