/* Inside the kernels: the tables of all instruction sets, and what the CPU can run.
 *
 *     if (hn_cpu_features() & HN_CPU_AVX2) return &hn_kernels_avx2;
 *
 * Threading: constants. */
#ifndef HN_KERNEL_TABLES_H
#define HN_KERNEL_TABLES_H

#include "kernel/kernel.h"

/* Each of these means the whole set that the folder's code uses, and that the operating system saves its registers. */
enum { HN_CPU_AVX2 = 1, HN_CPU_AVX512 = 2, HN_CPU_AVX512BF16 = 4, HN_CPU_NEON = 8, HN_CPU_AVX512VNNI = 16 };

unsigned hn_cpu_features(void);

extern const hn_kernels hn_kernels_ref;
#if defined(__x86_64__)
extern const hn_kernels hn_kernels_avx2, hn_kernels_avx512, hn_kernels_avx512vnni, hn_kernels_avx512bf16;
#elif defined(__aarch64__)
extern const hn_kernels hn_kernels_neon;
#endif

#endif
