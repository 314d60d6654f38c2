/* Products of quantised weights with rows of 16-bit integers, with VNNI: VPDPWSSD multiplies, adds neighbours and adds to the sum in one
 * instruction where AVX2 takes three. The sums are exact, so the bits are those of AVX2; see simd/quant_int16_x86.h. */
#define HN_INT16_VNNI 1
#define HN_INT16_OPS hn_avx512_matmul_vnni
#include "kernel/simd/quant_int16_x86.h"
