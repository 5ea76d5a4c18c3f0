/* What the master knows about its workers, as text. */
#ifndef ML_WORKER_REPORT_H
#define ML_WORKER_REPORT_H

struct ml_master;

/* One JSON object, malloc'd; NULL: no memory. Fields: docs/architecture-workers.md. */
char *ml_report_json(const struct ml_master *master);

#endif
