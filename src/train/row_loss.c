/* The loss of a row and its gradient; see row_loss.h. */
#include "train/row_loss.h"

#include <math.h>

static const double mass_max = 1 + 1e-3; /* probabilities that were rounded to f32 */

static const hn_soft_target *teacher_of(const hn_train_batch *b, int row) {
    return b->soft && b->soft[row].n > 0 ? &b->soft[row] : NULL;
}

static hn_status check_teacher(const hn_soft_target *s, int row, int V, hn_error *err) {
    double mass = 0;
    for (int i = 0; i < s->n; i++) {
        if (s->ids[i] < 0 || s->ids[i] >= V)
            return hn_fail(err, HN_ERR_INPUT, "batch", NULL, "row %d has a teacher's token %d; the vocabulary has %d",
                           row, s->ids[i], V);
        if (!(s->p[i] >= 0))
            return hn_fail(err, HN_ERR_INPUT, "batch", NULL, "row %d has a teacher's probability %g", row,
                           (double)s->p[i]);
        mass += (double)s->p[i];
    }
    if (mass > 0 && mass <= mass_max) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, "batch", NULL, "the teacher's probabilities of row %d add up to %g", row, mass);
}

hn_status hn_row_loss_check(const hn_train_batch *b, int V, hn_error *err) {
    if (!(b->label_smoothing >= 0 && b->label_smoothing < 1))
        return hn_fail(err, HN_ERR_INPUT, "label smoothing", "such as 0.1", "%g is not within 0 and 1",
                       (double)b->label_smoothing);
    for (int t = 0; b->soft && t < b->n_rows; t++)
        if (b->targets[t] != HN_NO_TARGET && b->soft[t].n > 0) HN_TRY(check_teacher(&b->soft[t], t, V, err));
    return HN_OK;
}

static double divergence(const hn_soft_target *s, const float *logits, double lse) {
    double sum = 0;
    for (int i = 0; i < s->n; i++) {
        double p = (double)s->p[i];
        if (p > 0) sum += p * (log(p) - (double)logits[s->ids[i]] + lse);
    }
    return sum;
}

double hn_row_loss(const hn_kernels *kernels, const hn_train_batch *b, int row, const float *logits, size_t V,
                   double *lse) {
    const hn_soft_target *teacher = teacher_of(b, row);
    double smooth = (double)b->label_smoothing, sum = 0;
    *lse = kernels->logsumexp(logits, V, NULL);
    if (teacher) return divergence(teacher, logits, *lse);
    double plain = *lse - (double)logits[b->targets[row]];
    if (smooth == 0) return plain;
    for (size_t v = 0; v < V; v++) sum += (double)logits[v];
    return (1 - smooth) * plain + smooth * (*lse - sum / (double)V);
}

void hn_row_gradient(const hn_learn_ops *ops, const hn_train_batch *b, int row, float *logits, size_t V, double lse,
                     float weight) {
    const hn_soft_target *teacher = teacher_of(b, row);
    double mass = 0;
    if (teacher) {
        for (int i = 0; i < teacher->n; i++) mass += (double)teacher->p[i];
        ops->softmax_scale(logits, V, lse, (float)(mass * (double)weight));
        for (int i = 0; i < teacher->n; i++) logits[teacher->ids[i]] -= weight * teacher->p[i];
        return;
    }
    ops->softmax_scale(logits, V, lse, weight);
    if (b->label_smoothing > 0) {
        float each = weight * b->label_smoothing / (float)V;
        for (size_t v = 0; v < V; v++) logits[v] -= each;
        weight *= 1 - b->label_smoothing;
    }
    logits[b->targets[row]] -= weight;
}
