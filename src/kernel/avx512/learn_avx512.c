/* Learning kernels: the shared bodies in vectors of avx512. */
#define HN_LEARN_TABLE hn_learn_avx512
#include "kernel/avx512/vec_avx512.h"
#include "kernel/simd/learn_simd.h"
