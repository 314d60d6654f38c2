/* exp for the shared kernel bodies: the same result in every lane and on every machine, no C library inside.
 * Include a vec_*.h first.
 *
 *     vf p = vf_exp(vf_sub(score, largest));
 *
 * x = n ln 2 + r with |r| <= ln 2 / 2; exp(r) is a polynomial of degree 6 whose relative error is below 1e-7; the
 * result is scaled by 2^n. Below -104 it is 0, above 88.73 infinite, NaN stays NaN. Threading: pure. */
#ifndef HN_KERNEL_SIMD_EXP_SIMD_H
#define HN_KERNEL_SIMD_EXP_SIMD_H

static inline vf vf_exp(vf x) {
    x = vf_min(vf_set1(89.0f), vf_max(vf_set1(-104.0f), x)); /* the bound first: NaN passes through */
    vf n = vf_round(vf_mul(x, vf_set1(0x1.715476p+0f)));
    vf r = vf_fma(n, vf_set1(-0x1.62e400p-1f), x); /* ln 2 in two parts: n times the first is exact */
    r = vf_fma(n, vf_set1(-0x1.7f7d1cp-20f), r);
    vf p = vf_set1(1.0f / 720);
    p = vf_fma(p, r, vf_set1(1.0f / 120));
    p = vf_fma(p, r, vf_set1(1.0f / 24));
    p = vf_fma(p, r, vf_set1(1.0f / 6));
    p = vf_fma(p, r, vf_set1(0.5f));
    p = vf_fma(p, r, vf_set1(1.0f));
    p = vf_fma(p, r, vf_set1(1.0f));
    return vf_scale2(p, n);
}

#endif
