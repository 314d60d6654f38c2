/* Rotary frequencies; see rope_scaling.h. All in double, rounded once to float at the end. */
#include "model/rope_scaling.h"

#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

bool hn_rope_kind_parse(const char *name, hn_rope_kind *kind) {
    static const struct {
        const char *name;
        hn_rope_kind kind;
    } kinds[] = {{"none", HN_ROPE_NONE},  {"default", HN_ROPE_NONE},  {"linear", HN_ROPE_LINEAR},
                 {"yarn", HN_ROPE_YARN},  {"llama3", HN_ROPE_LLAMA3}, {"longrope", HN_ROPE_LONGROPE},
                 {"su", HN_ROPE_LONGROPE}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(name, kinds[i].name) != 0) continue;
        *kind = kinds[i].kind;
        return true;
    }
    return false;
}

static hn_status check(const hn_rope_scaling *s, hn_error *err) {
    if (!(isfinite(s->base) && s->base > 1))
        return hn_fail(err, HN_ERR_INPUT, "rope base", NULL, "the rotary base must be a number above 1, it is %g",
                       s->base);
    if (!(isfinite(s->factor) && s->factor > 0))
        return hn_fail(err, HN_ERR_INPUT, "rope scaling factor", NULL, "the factor must be a positive number, it is %g",
                       s->factor);
    if (!(isfinite(s->attention_factor) && s->attention_factor >= 0))
        return hn_fail(err, HN_ERR_INPUT, "rope attention factor", NULL, "it must not be negative, it is %g",
                       s->attention_factor);
    bool bands = s->kind == HN_ROPE_YARN || s->kind == HN_ROPE_LLAMA3;
    if (bands && s->n_context_original < 1)
        return hn_fail(err, HN_ERR_INPUT, "rope original context length", NULL, "it must be at least 1, it is %d",
                       s->n_context_original);
    if (s->kind == HN_ROPE_LLAMA3 &&
        !(s->low_freq_factor > 0 && s->high_freq_factor > s->low_freq_factor && isfinite(s->high_freq_factor)))
        return hn_fail(err, HN_ERR_INPUT, "rope frequency factors", NULL, "0 < low (%g) < high (%g) is needed",
                       s->low_freq_factor, s->high_freq_factor);
    if (s->kind == HN_ROPE_YARN &&
        !(s->beta_fast >= 0 && s->beta_slow >= 0 && isfinite(s->beta_fast) && isfinite(s->beta_slow)))
        return hn_fail(err, HN_ERR_INPUT, "rope beta", NULL, "the betas must not be negative, they are %g and %g",
                       s->beta_fast, s->beta_slow);
    if (s->kind == HN_ROPE_LONGROPE && !s->factors)
        return hn_fail(err, HN_ERR_INPUT, "rope scaling", NULL, "longrope without its factors");
    return HN_OK;
}

/* The pair (as a real number) that turns `turns` times within the original context. */
static double yarn_pair(const hn_rope_scaling *s, int dims, double turns) {
    return dims * log(s->n_context_original / (turns * 2 * pi)) / (2 * log(s->base));
}

static double yarn(const hn_rope_scaling *s, int dims, int i, double plain) {
    double low = yarn_pair(s, dims, s->beta_fast > 0 ? s->beta_fast : 32);
    double high = yarn_pair(s, dims, s->beta_slow > 0 ? s->beta_slow : 1);
    if (!s->keep_fractions) low = floor(low), high = ceil(high);
    if (low < 0) low = 0;
    if (high > dims - 1) high = dims - 1;
    double width = high - low < 0.001 ? 0.001 : high - low;
    double stretched = (i - low) / width;
    stretched = stretched < 0 ? 0 : stretched > 1 ? 1 : stretched;
    return plain * (1 - stretched) + plain / s->factor * stretched;
}

static double llama3(const hn_rope_scaling *s, double plain) {
    double turns = s->n_context_original * plain / (2 * pi); /* within the original context */
    if (turns < s->low_freq_factor) return plain / s->factor;
    if (turns > s->high_freq_factor) return plain;
    double smooth = (turns - s->low_freq_factor) / (s->high_freq_factor - s->low_freq_factor);
    return (1 - smooth) * plain / s->factor + smooth * plain;
}

hn_status hn_rope_frequencies(const hn_rope_scaling *s, int dims, float *freq, float *magnitude, hn_error *err) {
    HN_TRY(check(s, err));
    for (int i = 0; i < dims / 2; i++) {
        double plain = pow(s->base, -2.0 * i / dims);
        if (s->factors) {
            if (!(isfinite(s->factors[i]) && s->factors[i] > 0))
                return hn_fail(err, HN_ERR_INPUT, "rope factors", NULL, "factor %d is %g, it must be positive", i,
                               (double)s->factors[i]);
            plain /= (double)s->factors[i];
        }
        if (s->kind == HN_ROPE_LINEAR)
            plain /= s->factor;
        else if (s->kind == HN_ROPE_YARN)
            plain = yarn(s, dims, i, plain);
        else if (s->kind == HN_ROPE_LLAMA3)
            plain = llama3(s, plain);
        freq[i] = (float)plain;
    }
    double factor = s->attention_factor;
    if (factor == 0) factor = s->kind == HN_ROPE_YARN && s->factor > 1 ? 0.1 * log(s->factor) + 1 : 1;
    *magnitude = (float)factor;
    return HN_OK;
}

double hn_rope_longrope_magnitude(double factor, int n_context_original) {
    return factor > 1 && n_context_original > 1 ? sqrt(1 + log(factor) / log(n_context_original)) : 1;
}
