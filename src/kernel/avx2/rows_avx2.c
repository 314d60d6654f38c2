/* Row operations for AVX2: the shared bodies at 8 lanes. */
#include "kernel/avx2/avx2.h"

#define HN_SIMD(name) hn_avx2_##name
#include "kernel/avx2/vec_avx2.h"
#include "kernel/simd/rows_simd.h"
