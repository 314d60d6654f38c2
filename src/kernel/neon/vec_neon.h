/* Vectors of 4 floats for arm64; names and meanings as in avx512/vec_avx512.h.
 *
 *     vf sum = vf_fma(vf_load(x), vf_set1(2), vf_zero());
 *
 * Threading: pure functions. */
#ifndef HN_KERNEL_NEON_VEC_NEON_H
#define HN_KERNEL_NEON_VEC_NEON_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

enum { W = 4, VF_REGISTERS = 32 };
typedef float32x4_t vf;

static inline vf vf_zero(void) { return vdupq_n_f32(0); }
static inline vf vf_set1(float x) { return vdupq_n_f32(x); }
static inline vf vf_load(const float *p) { return vld1q_f32(p); }
static inline void vf_store(float *p, vf x) { vst1q_f32(p, x); }
static inline vf vf_load_n(const float *p, int n) {
    float all[4] = {0};
    for (int i = 0; i < n; i++) all[i] = p[i];
    return vld1q_f32(all);
}
static inline void vf_store_n(float *p, vf x, int n) {
    float all[4];
    vst1q_f32(all, x);
    for (int i = 0; i < n; i++) p[i] = all[i];
}
static inline vf vf_load_f16(const uint16_t *p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
static inline vf vf_load_i8(const int8_t *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    int8x8_t bytes = vreinterpret_s8_s32(vdup_n_s32(four));
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(bytes))));
}
static inline void vf_store_f16(uint16_t *p, vf x) { vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(x))); }
static inline vf vf_bf16_even(const uint16_t *p) {
    return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_u16(vld1q_u16(p)), 16));
}
static inline vf vf_bf16_odd(const uint16_t *p) {
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_u16(vld1q_u16(p)), vdupq_n_u32(0xFFFF0000)));
}
static inline vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
static inline vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
static inline vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
static inline vf vf_div(vf a, vf b) { return vdivq_f32(a, b); }
static inline vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
static inline vf vf_max(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
static inline vf vf_min(vf a, vf b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
static inline vf vf_keep_n(vf x, int n, vf other) {
    const int32_t lanes[4] = {0, 1, 2, 3};
    return vbslq_f32(vcltq_s32(vld1q_s32(lanes), vdupq_n_s32(n)), x, other);
}
static inline vf vf_round(vf x) { return vrndnq_f32(x); }
static inline vf vf_power2(int32x4_t n) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}
/* In two factors, since 2^-150 and 2^128 are no floats; the first product is exact. */
static inline vf vf_scale2(vf x, vf n) {
    int32x4_t all = vcvtq_s32_f32(n), half = vshrq_n_s32(all, 1);
    return vmulq_f32(vmulq_f32(x, vf_power2(half)), vf_power2(vsubq_s32(all, half)));
}

static inline float vf_sum(vf x) {
    return (vgetq_lane_f32(x, 0) + vgetq_lane_f32(x, 2)) + (vgetq_lane_f32(x, 1) + vgetq_lane_f32(x, 3));
}
static inline float vf_largest(vf x) { return vmaxvq_f32(x); }
static inline double vf_sum_f64(vf x) {
    float64x2_t a = vaddq_f64(vcvt_f64_f32(vget_low_f32(x)), vcvt_high_f64_f32(x));
    return vgetq_lane_f64(a, 0) + vgetq_lane_f64(a, 1);
}

#endif
