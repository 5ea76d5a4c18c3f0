/*
 * Functions of the standard library that repeat something as often as their arguments say. They do
 * so in C, where no hook runs: under an instruction limit they are charged to their task before
 * they begin. Knows no limit.
 */
#ifndef ML_VM_CHARGED_H
#define ML_VM_CHARGED_H

#include <lua.h>

/* Replaces them in the libraries by versions that call charge(L, times) first, which may raise.
 * Raises. */
void ml_charged_open(lua_State *L, void (*charge)(lua_State *L, lua_Unsigned times));

#endif
