/* Products of quantised weights with rows of 16-bit integers, for AVX2; see simd/quant_int16_x86.h. */
#define HN_INT16_OPS hn_avx2_matmul
#include "kernel/simd/quant_int16_x86.h"
