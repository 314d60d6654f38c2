/* Attention for AVX2: the shared body at 8 lanes. */
#include "kernel/avx2/avx2.h"

#define HN_SIMD(name) hn_avx2_##name
#include "kernel/avx2/vec_avx2.h"
#include "kernel/simd/attention_simd.h"
