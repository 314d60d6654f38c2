/* The learning kernels of each instruction set; see kernel/learn.h, whose hn_learn_ops_of chooses.
 *
 *     return &hn_learn_ref;
 *
 * Threading: constants. */
#ifndef HN_KERNEL_REF_LEARN_REF_H
#define HN_KERNEL_REF_LEARN_REF_H

#include "kernel/learn.h"

extern const hn_learn_ops hn_learn_ref;
#if defined(__x86_64__)
extern const hn_learn_ops hn_learn_avx2, hn_learn_avx512;
#elif defined(__aarch64__)
extern const hn_learn_ops hn_learn_neon;
#endif

#endif
