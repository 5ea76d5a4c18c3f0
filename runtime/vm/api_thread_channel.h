/* Channels between threads, as tasks of hosts wait in them. */
#ifndef ML_VM_API_THREAD_CHANNEL_H
#define ML_VM_API_THREAD_CHANNEL_H

struct moonlet;

/* Closes the ports of tasks that were dropped while they waited. */
void ml_host_ports_close(struct moonlet *m);

#endif
