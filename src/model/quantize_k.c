/* The K formats: blocks of 256 values in groups that have a small integer scale each (Q4_K and Q5_K: and a minimum), which
 * one or two f16 numbers of the block stretch.
 *
 * For every group a scale is searched: the range is cut into slightly fewer and slightly more steps than there are, for each
 * cut the values choose their steps, a weighted least-squares fit through these gives scale and minimum, and the fit with
 * the smallest weighted error is kept. Then the groups' scales are rounded to integers themselves and the steps chosen once
 * more. The weights favour large values, since these move a product most.
 *
 * What would surprise: the order of every float sum is part of the format here. Another order gives other last bits, and
 * now and then another step; the goldens would tell. */
#include "model/quantize_block.h"

#include "kernel/k_scales.h"

#include <string.h>

enum { BLOCK = 256, K_GROUPS = 8, K_GROUP = 32, Q6_GROUPS = 16, Q6_GROUP = 16 };

static const float negligible = 1e-15f; /* a group or block smaller than this counts as zero */

/* ---- Q4_K, Q5_K: scale and minimum ---- */

/* How the range is cut: into n_steps + first, + first + 0.1, ... steps. */
typedef struct cut_search {
    int n_steps, n_cuts;
    float first;
} cut_search;

typedef struct group_fit {
    float scale, minimum; /* value = scale * step + minimum; minimum <= 0 */
} group_fit;

static void choose_steps(const float *x, float low, float inverse, int n_steps, uint8_t *steps) {
    for (int i = 0; i < K_GROUP; i++) steps[i] = (uint8_t)hn_quantize_nearest(inverse * (x[i] - low), 0, n_steps);
}

static float weighted_error(const float *x, const float *weights, const uint8_t *steps, group_fit fit) {
    float error = 0;
    for (int i = 0; i < K_GROUP; i++) {
        float d = fit.scale * (float)steps[i] + fit.minimum - x[i];
        error += weights[i] * (d * d);
    }
    return error;
}

/* Least squares through (step, value); false where all steps are one. A minimum above zero cannot be stored: zero then. */
static bool fit_line(const float *x, const float *weights, const uint8_t *steps, float sum_w, float sum_x,
                     group_fit *fit) {
    float sum_s = 0, sum_ss = 0, sum_xs = 0;
    for (int i = 0; i < K_GROUP; i++) {
        float s = (float)steps[i], ws = weights[i] * s;
        sum_s += ws;
        sum_ss += ws * s;
        sum_xs += ws * x[i];
    }
    float determinant = sum_w * sum_ss - sum_s * sum_s;
    if (!(determinant > 0)) return false;
    fit->scale = (sum_w * sum_xs - sum_x * sum_s) / determinant;
    fit->minimum = (sum_ss * sum_x - sum_s * sum_xs) / determinant;
    if (fit->minimum > 0) {
        fit->minimum = 0;
        fit->scale = sum_xs / sum_ss;
    }
    return true;
}

static group_fit fit_group(const float *x, const float *weights, const cut_search *search, uint8_t *best_steps) {
    uint8_t steps[K_GROUP];
    float low = x[0], high = x[0], sum_w = weights[0], sum_x = weights[0] * x[0];
    for (int i = 1; i < K_GROUP; i++) {
        if (x[i] < low) low = x[i];
        if (x[i] > high) high = x[i];
        sum_w += weights[i];
        sum_x += weights[i] * x[i];
    }
    if (low > 0) low = 0;
    memset(best_steps, 0, K_GROUP);
    if (high == low) return (group_fit){0, low};
    float inverse = (float)search->n_steps / (high - low);
    group_fit best = {1 / inverse, low};
    choose_steps(x, low, inverse, search->n_steps, best_steps);
    float best_error = weighted_error(x, weights, best_steps, best);
    for (int cut = 0; cut <= search->n_cuts; cut++) {
        group_fit fit;
        inverse = (search->first + 0.1f * (float)cut + (float)search->n_steps) / (high - low);
        choose_steps(x, low, inverse, search->n_steps, steps);
        if (!fit_line(x, weights, steps, sum_w, sum_x, &fit)) continue;
        float error = weighted_error(x, weights, steps, fit);
        if (error < best_error) {
            best_error = error;
            best = fit;
            low = fit.minimum; /* the cuts that follow start from the better minimum */
            memcpy(best_steps, steps, K_GROUP);
        }
    }
    return best;
}

static group_fit fit_weighted(const float *x, const cut_search *search, uint8_t *steps) {
    float weights[K_GROUP], squares = 0;
    for (int i = 0; i < K_GROUP; i++) squares += x[i] * x[i];
    float typical = sqrtf(squares / K_GROUP);
    for (int i = 0; i < K_GROUP; i++) weights[i] = typical + fabsf(x[i]);
    return fit_group(x, weights, search, steps);
}

/* The twelve bytes that hn_k_scale_pair reads. */
static void put_scale_pair(unsigned char *s, int group, int scale, int minimum) {
    if (group < 4) {
        s[group] = (unsigned char)scale;
        s[group + 4] = (unsigned char)minimum;
    } else {
        s[group + 4] = (unsigned char)((scale & 15) | (minimum & 15) << 4);
        s[group - 4] |= (unsigned char)(scale >> 4 << 6);
        s[group] |= (unsigned char)(minimum >> 4 << 6);
    }
}

/* Scales and minima of a block's groups into its head (d, dmin, twelve bytes), then each value's step. A group whose scale
 * rounds to zero keeps the steps of the search: nothing reads them, but they are bytes of the file. */
static void quantize_groups(unsigned char *block, const float *x, const cut_search *search, uint8_t *steps) {
    group_fit fits[K_GROUPS];
    float max_scale = 0, max_minimum = 0;
    for (int g = 0; g < K_GROUPS; g++) {
        fits[g] = fit_weighted(x + g * K_GROUP, search, steps + g * K_GROUP);
        if (fits[g].scale > max_scale) max_scale = fits[g].scale;
        if (-fits[g].minimum > max_minimum) max_minimum = -fits[g].minimum;
    }
    float inverse_scale = max_scale > 0 ? 63 / max_scale : 0, inverse_minimum = max_minimum > 0 ? 63 / max_minimum : 0;
    float d = hn_quantize_put_f16(block, max_scale / 63), dmin = hn_quantize_put_f16(block + 2, max_minimum / 63);
    memset(block + 4, 0, 12);
    for (int g = 0; g < K_GROUPS; g++)
        put_scale_pair(block + 4, g, hn_quantize_nearest(inverse_scale * fits[g].scale, 0, 63),
                       hn_quantize_nearest(inverse_minimum * -fits[g].minimum, 0, 63));
    for (int g = 0; g < K_GROUPS; g++) {
        int scale, minimum;
        hn_k_scale_pair(block + 4, g, &scale, &minimum);
        float step = d * (float)scale, low = dmin * (float)minimum;
        for (int i = g * K_GROUP; i < (g + 1) * K_GROUP && step != 0; i++)
            steps[i] = (uint8_t)hn_quantize_nearest((x[i] + low) / step, 0, search->n_steps);
    }
}

/* Groups two by two share 32 bytes: the first in the low nibbles. */
static void put_nibbles(unsigned char *qs, const uint8_t *steps) {
    for (int pair = 0; pair < K_GROUPS / 2; pair++)
        for (int i = 0; i < K_GROUP; i++) {
            const uint8_t *s = steps + pair * 2 * K_GROUP + i;
            qs[pair * K_GROUP + i] = (unsigned char)((s[0] & 15) | (s[K_GROUP] & 15) << 4);
        }
}

void hn_quantize_block_q4_k(unsigned char *block, const float *x) {
    static const cut_search search = {15, 20, -1};
    uint8_t steps[BLOCK];
    quantize_groups(block, x, &search, steps);
    put_nibbles(block + 16, steps);
}

void hn_quantize_block_q5_k(unsigned char *block, const float *x) {
    static const cut_search search = {31, 15, -0.5f};
    uint8_t steps[BLOCK];
    quantize_groups(block, x, &search, steps);
    memset(block + 16, 0, K_GROUP);
    for (int g = 0; g < K_GROUPS; g++)
        for (int i = 0; i < K_GROUP; i++) block[16 + i] |= (unsigned char)((steps[g * K_GROUP + i] >> 4) << g);
    put_nibbles(block + 48, steps);
}

/* ---- Q6_K: a signed scale ---- */

enum { Q6_MIDDLE = 32 };

/* Steps for `inverse`, and the sums of a weighted fit through the origin: the scale is sum_xs / sum_ss. */
static void q6_fit(const float *x, float inverse, uint8_t *steps, float *sum_xs, float *sum_ss) {
    *sum_xs = *sum_ss = 0;
    for (int i = 0; i < Q6_GROUP; i++) {
        int step = hn_quantize_nearest(inverse * x[i], -Q6_MIDDLE, Q6_MIDDLE - 1);
        float s = (float)step, w = x[i] * x[i];
        steps[i] = (uint8_t)(step + Q6_MIDDLE);
        *sum_xs += w * x[i] * s;
        *sum_ss += w * s * s;
    }
}

static float q6_scale(const float *x, uint8_t *best_steps) {
    uint8_t steps[Q6_GROUP];
    float extreme = 0, sum_xs, sum_ss;
    for (int i = 0; i < Q6_GROUP; i++)
        if (fabsf(x[i]) > fabsf(extreme)) extreme = x[i];
    memset(best_steps, 0, Q6_GROUP);
    if (fabsf(extreme) < negligible) return 0;
    q6_fit(x, -Q6_MIDDLE / extreme, best_steps, &sum_xs, &sum_ss);
    float scale = sum_ss != 0 ? sum_xs / sum_ss : 0, best = scale * sum_xs;
    for (int cut = -9; cut <= 9; cut++) {
        if (cut == 0) continue;
        q6_fit(x, -(Q6_MIDDLE + 0.1f * (float)cut) / extreme, steps, &sum_xs, &sum_ss);
        if (sum_ss > 0 && sum_xs * sum_xs > best * sum_ss) {
            scale = sum_xs / sum_ss;
            best = scale * sum_xs;
            memcpy(best_steps, steps, Q6_GROUP);
        }
    }
    return scale;
}

/* Runs of 32: in each half of the block the first two in the low nibbles of 64 bytes, the others in the high ones; of all
 * four the two high bits share a byte of `high`. */
static void q6_put_steps(unsigned char *block, const uint8_t *steps) {
    memset(block, 0, 192);
    for (int half = 0; half < 2; half++) {
        unsigned char *low = block + 64 * half, *high = block + 128 + 32 * half;
        for (int run = 0; run < 4; run++)
            for (int i = 0; i < 32; i++) {
                int s = steps[128 * half + 32 * run + i];
                low[run % 2 * 32 + i] |= (unsigned char)((s & 15) << run / 2 * 4);
                high[i] |= (unsigned char)((s >> 4) << run * 2);
            }
    }
}

void hn_quantize_block_q6_k(unsigned char *block, const float *x) {
    float scales[Q6_GROUPS], extreme = 0;
    uint8_t steps[BLOCK];
    for (int g = 0; g < Q6_GROUPS; g++) {
        scales[g] = q6_scale(x + g * Q6_GROUP, steps + g * Q6_GROUP);
        if (fabsf(scales[g]) > fabsf(extreme)) extreme = scales[g];
    }
    memset(block, 0, 210);
    if (fabsf(extreme) < negligible) return;
    float inverse = -128 / extreme, d = hn_quantize_put_f16(block + 208, 1 / inverse);
    for (int g = 0; g < Q6_GROUPS; g++) {
        int scale = hn_quantize_nearest(inverse * scales[g], -128, 127);
        float step = d * (float)scale;
        block[192 + g] = (unsigned char)(int8_t)scale;
        for (int i = g * Q6_GROUP; i < (g + 1) * Q6_GROUP && step != 0; i++)
            steps[i] = (uint8_t)(Q6_MIDDLE + hn_quantize_nearest(x[i] / step, -Q6_MIDDLE, Q6_MIDDLE - 1));
    }
    q6_put_steps(block, steps);
}
