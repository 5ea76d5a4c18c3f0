/* The runtime's side of its channels of pointers (vm/pointer_channel.c). */
#ifndef ML_VM_POINTER_CHANNEL_H
#define ML_VM_POINTER_CHANNEL_H

struct moonlet;

/* The runtime is closed: its channels outlive it. No task is alive any more. */
void ml_channels_detach(struct moonlet *m);

#endif
