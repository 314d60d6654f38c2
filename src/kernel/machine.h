/* The machine's own limits, measured in a fraction of a second: how fast memory can be read and how many multiply-adds there are. What a
 * kernel does is judged against these.
 *
 *     hn_machine machine;
 *     HN_TRY(hn_machine_measure(kernels, pool, 0.1, &machine, &err));
 *     printf("%.0f GB/s, %.0f GFLOP/s\n", machine.bytes_per_s / 1e9, machine.flops_per_s / 1e9);
 *
 * The figures move by some percent with what else runs. Threading: one thread calls; the pool does the work. */
#ifndef HN_KERNEL_MACHINE_H
#define HN_KERNEL_MACHINE_H

#include "kernel/kernel.h"

typedef struct hn_machine {
    double bytes_per_s; /* reading memory that is in no cache, all threads together */
    /* Multiply-adds counted twice, of the kind that `kernels` uses for matrix products; of the best kind for "ref". */
    double flops_per_s;
} hn_machine;

/* Takes about `seconds`, and 128 MiB of memory for that time. */
hn_status hn_machine_measure(const hn_kernels *kernels, hn_pool *pool, double seconds, hn_machine *machine,
                             hn_error *err) HN_MUST_CHECK;

/* Rate at which one token's matrix products read weights of `dtype` with these kernels: bytes of the file's format per second, and how
 * many bytes a pack takes for each byte of the file. Takes about `seconds`. */
hn_status hn_machine_decode_rate(const hn_kernels *kernels, hn_pool *pool, hn_dtype dtype, hn_pack mode, double seconds,
                                 double *bytes_per_s, double *pack_ratio, hn_error *err) HN_MUST_CHECK;

#endif
