/*
 * The switch for AArch64, AAPCS64: x19-x28, the frame pointer, the link register, the low halves
 * of v8-v15 and FPCR belong to the caller and are saved; all else is dead across the call.
 *
 * A suspended stack, from its stack pointer upwards:
 *      0  d8-d15
 *     64  x19-x28
 *    144  x29 (frame pointer), x30 (return address)
 *    160  fpcr, 8 bytes unused
 */
        .text
        .globl  ml_context_switch
        .hidden ml_context_switch
        .type   ml_context_switch, %function
        .p2align 4
ml_context_switch:
        .cfi_startproc
        sub     sp, sp, #176
        .cfi_def_cfa_offset 176
        stp     d8, d9, [sp, #0]
        stp     d10, d11, [sp, #16]
        stp     d12, d13, [sp, #32]
        stp     d14, d15, [sp, #48]
        stp     x19, x20, [sp, #64]
        stp     x21, x22, [sp, #80]
        stp     x23, x24, [sp, #96]
        stp     x25, x26, [sp, #112]
        stp     x27, x28, [sp, #128]
        stp     x29, x30, [sp, #144]
        .cfi_offset 72, -176    /* d8-d15 */
        .cfi_offset 73, -168
        .cfi_offset 74, -160
        .cfi_offset 75, -152
        .cfi_offset 76, -144
        .cfi_offset 77, -136
        .cfi_offset 78, -128
        .cfi_offset 79, -120
        .cfi_offset x19, -112
        .cfi_offset x20, -104
        .cfi_offset x21, -96
        .cfi_offset x22, -88
        .cfi_offset x23, -80
        .cfi_offset x24, -72
        .cfi_offset x25, -64
        .cfi_offset x26, -56
        .cfi_offset x27, -48
        .cfi_offset x28, -40
        .cfi_offset x29, -32
        .cfi_offset x30, -24
        mrs     x9, fpcr
        str     x9, [sp, #160]

        mov     x10, sp
        str     x10, [x0]
        mov     sp, x1

        ldr     x10, [sp, #160]
        cmp     x9, x10
        b.eq    1f
        msr     fpcr, x10
1:      ldp     d8, d9, [sp, #0]
        ldp     d10, d11, [sp, #16]
        ldp     d12, d13, [sp, #32]
        ldp     d14, d15, [sp, #48]
        ldp     x19, x20, [sp, #64]
        ldp     x21, x22, [sp, #80]
        ldp     x23, x24, [sp, #96]
        ldp     x25, x26, [sp, #112]
        ldp     x27, x28, [sp, #128]
        ldp     x29, x30, [sp, #144]
        add     sp, sp, #176
        .cfi_def_cfa_offset 0
        .cfi_restore x29
        .cfi_restore x30
        ret
        .cfi_endproc
        .size   ml_context_switch, . - ml_context_switch

/*
 * void *ml_context_make(void *top, ml_context_start *start, void *first, void *second)
 * start, first and second travel in the slots of x19, x20 and x21.
 */
        .globl  ml_context_make
        .hidden ml_context_make
        .type   ml_context_make, %function
        .p2align 4
ml_context_make:
        .cfi_startproc
        and     x0, x0, #-16
        sub     x0, x0, #176
        stp     xzr, xzr, [x0, #0]
        stp     xzr, xzr, [x0, #16]
        stp     xzr, xzr, [x0, #32]
        stp     xzr, xzr, [x0, #48]
        stp     x1, x2, [x0, #64]
        stp     x3, xzr, [x0, #80]
        stp     xzr, xzr, [x0, #96]
        stp     xzr, xzr, [x0, #112]
        stp     xzr, xzr, [x0, #128]
        adr     x9, begin
        stp     xzr, x9, [x0, #144]
        mrs     x9, fpcr
        stp     x9, xzr, [x0, #160]
        ret
        .cfi_endproc
        .size   ml_context_make, . - ml_context_make

/* The bottom frame of every coroutine: debuggers and unwinders stop here. */
        .type   begin, %function
        .cfi_startproc
        .cfi_undefined x30
        nop     /* unwinders look up the instruction before a return address */
begin:
        mov     x0, x20
        mov     x1, x21
        blr     x19
        brk     #0
        .cfi_endproc
        .size   begin, . - begin

        .section .note.GNU-stack, "", %progbits
