/* Row operations for AVX-512: the shared bodies at 16 lanes. */
#include "kernel/avx512/avx512.h"

#define HN_SIMD(name) hn_avx512_##name
#include "kernel/avx512/vec_avx512.h"
#include "kernel/simd/rows_simd.h"
