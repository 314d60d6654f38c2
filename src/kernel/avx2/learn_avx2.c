/* Learning kernels: the shared bodies in vectors of avx2. */
#define HN_LEARN_TABLE hn_learn_avx2
#include "kernel/avx2/vec_avx2.h"
#include "kernel/simd/learn_simd.h"
