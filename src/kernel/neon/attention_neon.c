/* Attention for NEON: the shared body at 4 lanes. */
#include "kernel/neon/neon.h"

#define HN_SIMD(name) hn_neon_##name
#include "kernel/neon/vec_neon.h"
#include "kernel/simd/attention_simd.h"
