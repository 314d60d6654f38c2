/* Learning kernels: the shared bodies in vectors of neon. */
#define HN_LEARN_TABLE hn_learn_neon
#include "kernel/neon/vec_neon.h"
#include "kernel/simd/learn_simd.h"
