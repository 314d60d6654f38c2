/* What this CPU and operating system can run; see tables.h. A set counts only where all of its parts are there: a
 * virtual machine may hide one, and without the system's consent (XCR0) the wide registers trap. */
#include "kernel/tables.h"

#if defined(__x86_64__)
#include <cpuid.h>

static bool has(unsigned reg, int bit) { return reg >> bit & 1; }

static unsigned xcr0(void) {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

unsigned hn_cpu_features(void) {
    unsigned a, b, c, d, features = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    bool fma = has(c, 12), osxsave = has(c, 27), avx = has(c, 28), f16c = has(c, 29);
    if (!osxsave || !avx || (xcr0() & 0x06) != 0x06) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    bool avx2 = has(b, 5), bmi2 = has(b, 8);
    bool avx512 = has(b, 16) && has(b, 17) && has(b, 30) && has(b, 31); /* F, DQ, BW, VL */
    if (avx2 && bmi2 && fma && f16c) features |= HN_CPU_AVX2;
    if (features && avx512 && (xcr0() & 0xE6) == 0xE6) features |= HN_CPU_AVX512;
    if ((features & HN_CPU_AVX512) && has(c, 11)) features |= HN_CPU_AVX512VNNI;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d)) return features;
    if ((features & HN_CPU_AVX512) && has(a, 5)) features |= HN_CPU_AVX512BF16;
    return features;
}
#elif defined(__aarch64__)
unsigned hn_cpu_features(void) { return HN_CPU_NEON; } /* part of the architecture */
#else
unsigned hn_cpu_features(void) { return 0; }
#endif
