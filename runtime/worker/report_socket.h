/* Answers everybody of the same user, and root, that connects to the master's socket: with what the
 * master knows about its workers, as JSON. */
#ifndef ML_WORKER_REPORT_SOCKET_H
#define ML_WORKER_REPORT_SOCKET_H

struct ml_master;

/* Opens it: an abstract name with the pid. Without it the master does its work as well. */
void ml_report_socket_open(struct ml_master *master);

void ml_report_socket_close(struct ml_master *master);

/* Answers all that have connected. */
void ml_report_socket_serve(const struct ml_master *master);

#endif
