/* Which learning kernels belong to a table; see learn.h. */
#include "kernel/learn.h"

#include "kernel/ref/learn_ref.h"
#include "kernel/tables.h"

const hn_learn_ops *hn_learn_ops_of(const hn_kernels *k) {
#if defined(__x86_64__)
    if (k == &hn_kernels_avx2) return &hn_learn_avx2;
    if (k == &hn_kernels_avx512 || k == &hn_kernels_avx512vnni || k == &hn_kernels_avx512bf16) return &hn_learn_avx512;
#elif defined(__aarch64__)
    if (k == &hn_kernels_neon) return &hn_learn_neon;
#endif
    (void)k;
    return &hn_learn_ref;
}
