/*
 * A callback at regular times, for libraries that bring their own time-outs (c-ares). It runs on
 * the hub, by the real clock even while the tasks' clock is virtual; it may wake tasks but never
 * wait. An alarm does not keep the program alive.
 */
#ifndef ML_HUB_ON_ALARM_H
#define ML_HUB_ON_ALARM_H

#include "hub/state/hub.h"

struct ml_alarm;

typedef void ml_alarm_callback(void *data);

/* A stopped one; NULL: no memory. */
struct ml_alarm *ml_alarm_open(struct ml_hub *hub, ml_alarm_callback *callback, void *data);

/* Calls back every `span` from now on; does nothing if it does so already. */
void ml_alarm_start(struct ml_alarm *alarm, ml_time span);

/* Stops it; also from its callback. */
void ml_alarm_stop(struct ml_alarm *alarm);

/* Stops and frees it; NULL is allowed. */
void ml_alarm_close(struct ml_alarm *alarm);

#endif
