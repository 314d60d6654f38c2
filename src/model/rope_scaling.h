/* Rotary position frequencies: the angle that one position turns each pair of a head, with the published ways to
 * stretch them past the context that a model was first trained on.
 *
 *     hn_rope_scaling s = {.kind = HN_ROPE_YARN, .base = 10000, .factor = 4, .n_context_original = 32768};
 *     float freq[32], magnitude;
 *     HN_TRY(hn_rope_frequencies(&s, 64, freq, &magnitude, &err));   // angle of pair i at position p: p * freq[i]
 *
 * Kinds: linear (positions divided by a factor), yarn (arXiv 2309.00071), llama3 (Llama 3.1's three bands), longrope
 * (a factor for each pair, arXiv 2402.13753). Ownership: pure function. Threading: safe. */
#ifndef HN_MODEL_ROPE_SCALING_H
#define HN_MODEL_ROPE_SCALING_H

#include "base/status.h"

#include <stdbool.h>

typedef enum hn_rope_kind { HN_ROPE_NONE, HN_ROPE_LINEAR, HN_ROPE_YARN, HN_ROPE_LLAMA3, HN_ROPE_LONGROPE } hn_rope_kind;

typedef struct hn_rope_scaling {
    hn_rope_kind kind;
    double base;                 /* rope_theta */
    double factor;               /* how many times longer; 1 as a rule */
    int n_context_original;      /* tokens before stretching */
    double beta_fast, beta_slow; /* YARN: turns within the original context between which it blends; 0: 32 and 1 */
    bool keep_fractions;         /* YARN: the blend's ends are not rounded to whole pairs */
    double low_freq_factor, high_freq_factor; /* LLAMA3 */
    double attention_factor; /* factor on cos and sin; 0: what the kind says (yarn: 1 + ln(factor)/10) */
    const float *factors;    /* (dims/2) that divide the frequencies; NULL: none */
} hn_rope_scaling;

/* Fills freq (dims/2) and the factor on cos and sin. HN_ERR_INPUT where a number makes no sense. */
hn_status hn_rope_frequencies(const hn_rope_scaling *scaling, int dims, float *freq, float *magnitude,
                              hn_error *err) HN_MUST_CHECK;
/* "linear", "yarn", "llama3", "longrope", "none", "default" and their older spellings; false: another name. */
bool hn_rope_kind_parse(const char *name, hn_rope_kind *kind);

/* longrope's factor on cos and sin for a context `factor` times the original. */
double hn_rope_longrope_magnitude(double factor, int n_context_original);

#endif
