/* Losses of preference pairs, and what each answer's rows weigh in the backward pass.
 *
 *     hn_preference_options o = {HN_PREFERENCE_DPO, .beta = 0.1};
 *     hn_preference_terms terms;
 *     hn_preference_loss(&o, &(hn_preference_side){logp, reference, n}, &rejected, &terms);
 *     for (int t = ...) batch.weights[t] = (float)(terms.chosen_weight / n_pairs);        // and rejected_weight for the other answer
 *
 *     DPO    -ln sigmoid(h), h = beta ((logp_c - reference_c) - (logp_r - reference_r))          (Rafailov et al. 2023)
 *            smoothed: -(1 - s) ln sigmoid(h) - s ln sigmoid(-h): labels that are wrong in s of the pairs    (Mitchell 2023)
 *     ORPO   -mean logp_c - beta ln sigmoid(ln odds_c - ln odds_r), odds = P / (1 - P), P = exp(mean logp)   (Hong et al. 2024)
 *
 * A weight is -d loss / d logp of that answer, so that the network's rows (each the gradient of -ln p) add up to the loss's gradient.
 * Threading: pure functions. */
#ifndef HN_TRAIN_PREFERENCE_H
#define HN_TRAIN_PREFERENCE_H

typedef enum hn_preference_kind { HN_PREFERENCE_DPO, HN_PREFERENCE_ORPO } hn_preference_kind;

typedef struct hn_preference_options {
    hn_preference_kind kind;
    double beta; /* DPO: how far the model may go from its reference, 0.1 as a rule; ORPO: the odds' share (lambda) */
    double label_smoothing; /* [0, 0.5): share of pairs thought to be labelled the wrong way round */
} hn_preference_options;

typedef struct hn_preference_side {
    double logp;      /* sum of ln p of the answer's supervised tokens */
    double reference; /* the same of the reference model; not read by ORPO */
    int n_tokens;     /* of them, at least 1; not read by DPO */
} hn_preference_side;

typedef struct hn_preference_terms {
    double loss;
    double reward_chosen, reward_rejected; /* DPO: beta (logp - reference); ORPO: beta times mean logp */
    double chosen_weight, rejected_weight; /* of every row of that answer; the rejected one's is negative */
} hn_preference_terms;

void hn_preference_loss(const hn_preference_options *options, const hn_preference_side *chosen,
                        const hn_preference_side *rejected, hn_preference_terms *terms);

#endif
