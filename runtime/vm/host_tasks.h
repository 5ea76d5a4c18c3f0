/* What the runtime does with its hosts' handles of tasks (vm/host_task.c). */
#ifndef ML_VM_HOST_TASKS_H
#define ML_VM_HOST_TASKS_H

struct moonlet;

/* The runtime is closed: handles outlive it. After the last task has ended, before the Lua state is closed. */
void ml_host_tasks_detach(struct moonlet *m);

#endif
