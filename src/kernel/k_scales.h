/* Inside the kernels: the six-bit scales of the K formats, which are spread over twelve bytes; see ref/dequantize.c for
 * the blocks.
 *
 *     int scale, minimum;
 *     hn_k_scale_pair(block + 4, group, &scale, &minimum);  // Q4_K and Q5_K, groups 0..7
 *
 * Threading: pure functions. */
#ifndef HN_KERNEL_K_SCALES_H
#define HN_KERNEL_K_SCALES_H

/* Q3_K's scale `group` of 16: the low four bits are nibbles of bytes 0..7, the high two are in bytes 8..11. */
static inline int hn_k_scale_q3(const unsigned char *s, int group) {
    int low = group < 8 ? s[group] & 15 : s[group - 8] >> 4;
    return (low | (s[8 + group % 4] >> group / 4 * 2 & 3) << 4) - 32;
}

/* Scale and minimum of group 0..7: groups 0..3 have theirs in the low six bits of bytes 0..3 and 4..7; of groups 4..7
 * the low four bits share a byte of 8..11 and the high two are on top of the others'. */
static inline void hn_k_scale_pair(const unsigned char *s, int group, int *scale, int *minimum) {
    if (group < 4) {
        *scale = s[group] & 63;
        *minimum = s[group + 4] & 63;
    } else {
        *scale = (s[group + 4] & 15) | (s[group - 4] >> 6) << 4;
        *minimum = (s[group + 4] >> 4) | (s[group] >> 6) << 4;
    }
}

#endif
