/* f32 products for arm64: the shared body at 4 lanes. */
#include "kernel/neon/neon.h"

#define HN_SIMD(name) hn_neon_##name
#define HN_MANY_REGISTERS 1
#define PACK_BF16 hn_neon_pack_bf16
#include "kernel/neon/vec_neon.h"
#include "kernel/simd/matmul_f32_simd.h"
