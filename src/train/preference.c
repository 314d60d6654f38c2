/* DPO and ORPO; see preference.h. */
#include "train/preference.h"

#include <math.h>

static const double surest = -1e-7; /* a mean ln p above it counts as this: odds stay finite */

/* -ln sigmoid(z) without overflow. */
static double softplus_of_minus(double z) { return z > 0 ? log1p(exp(-z)) : -z + log1p(exp(z)); }

static double sigmoid(double z) { return z >= 0 ? 1 / (1 + exp(-z)) : exp(z) / (1 + exp(z)); }

/* The smoothed logistic loss of a margin z; *slope: d loss / d z. */
static double logistic(double z, double smoothing, double *slope) {
    *slope = -(1 - smoothing) * sigmoid(-z) + smoothing * sigmoid(z);
    return (1 - smoothing) * softplus_of_minus(z) + smoothing * softplus_of_minus(-z);
}

static void dpo(const hn_preference_options *o, const hn_preference_side *c, const hn_preference_side *r,
                hn_preference_terms *out) {
    double slope;
    out->reward_chosen = o->beta * (c->logp - c->reference);
    out->reward_rejected = o->beta * (r->logp - r->reference);
    out->loss = logistic(out->reward_chosen - out->reward_rejected, o->label_smoothing, &slope);
    out->chosen_weight = -slope * o->beta;
    out->rejected_weight = slope * o->beta;
}

static double mean_of(const hn_preference_side *s) {
    double mean = s->logp / (double)s->n_tokens;
    return mean < surest ? mean : surest;
}

static void orpo(const hn_preference_options *o, const hn_preference_side *c, const hn_preference_side *r,
                 hn_preference_terms *out) {
    double mean_c = mean_of(c), mean_r = mean_of(r), left_c = -expm1(mean_c), left_r = -expm1(mean_r), slope;
    double odds = (mean_c - log(left_c)) - (mean_r - log(left_r));
    out->loss = -mean_c + o->beta * logistic(odds, o->label_smoothing, &slope);
    out->reward_chosen = o->beta * mean_c;
    out->reward_rejected = o->beta * mean_r;
    /* d ln odds / d mean logp = 1 / (1 - P) */
    out->chosen_weight = (1 - o->beta * slope / left_c) / (double)c->n_tokens;
    out->rejected_weight = o->beta * slope / left_r / (double)r->n_tokens;
}

void hn_preference_loss(const hn_preference_options *o, const hn_preference_side *chosen,
                        const hn_preference_side *rejected, hn_preference_terms *terms) {
    if (o->kind == HN_PREFERENCE_DPO)
        dpo(o, chosen, rejected, terms);
    else
        orpo(o, chosen, rejected, terms);
}
