/* Row operations for NEON: the shared bodies at 4 lanes. */
#include "kernel/neon/neon.h"

#define HN_SIMD(name) hn_neon_##name
#include "kernel/neon/vec_neon.h"
#include "kernel/simd/rows_simd.h"
