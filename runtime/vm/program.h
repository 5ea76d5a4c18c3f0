/* The main chunk of a program. */
#ifndef ML_VM_PROGRAM_H
#define ML_VM_PROGRAM_H

#include <lua.h>

struct moonlet;

/* Calls the pieces in order. The function of the main task. */
int ml_program_main(lua_State *L);
void ml_program_free(struct moonlet *m);

#endif
