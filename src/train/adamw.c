/* AdamW; see adamw.h. */
#include "train/adamw.h"

#include "base/alloc.h"

#include <math.h>

static size_t count(const hn_tensor *t) { return t->dw ? (size_t)(t->rows * t->columns) : 0; }

static hn_status prepare(hn_adamw *a, size_t n, hn_error *err) {
    if (a->m && a->n == n) return HN_OK;
    if (a->m)
        return hn_fail(err, HN_ERR_USAGE, "optimizer", NULL, "it has moments of %zu numbers and not %zu", a->n, n);
    a->m = hn_calloc(n ? n : 1, sizeof *a->m);
    a->v = hn_calloc(n ? n : 1, sizeof *a->v);
    a->n = n;
    if (a->m && a->v) return HN_OK;
    hn_adamw_free(a);
    return hn_fail_memory(err, n * sizeof(float));
}

hn_status hn_adamw_step(hn_adamw *a, const hn_tensor *tensors, size_t n_tensors, hn_error *err) {
    size_t n = 0, at = 0;
    for (size_t i = 0; i < n_tensors; i++) n += count(&tensors[i]);
    HN_TRY(prepare(a, n, err));
    a->n_steps++;
    double lr = (double)a->learning_rate, start1 = 1 - pow((double)a->beta1, (double)a->n_steps),
           start2 = 1 - pow((double)a->beta2, (double)a->n_steps);
    float step = (float)(lr / start1), root = (float)(1 / sqrt(start2)),
          keep = (float)(1 - lr * (double)a->weight_decay);
    for (size_t i = 0; i < n_tensors; i++) {
        const hn_tensor *t = &tensors[i];
        size_t size = count(t);
        float *m = a->m + at, *v = a->v + at;
        for (size_t k = 0; k < size; k++) {
            float g = t->dw[k];
            m[k] += (1 - a->beta1) * (g - m[k]);
            v[k] = a->beta2 * v[k] + (1 - a->beta2) * g * g;
            t->w[k] = t->w[k] * keep - step * m[k] / (sqrtf(v[k]) * root + a->eps);
        }
        at += size;
    }
    return HN_OK;
}

void hn_adamw_free(hn_adamw *a) {
    hn_free(a->m);
    hn_free(a->v);
    a->m = a->v = NULL;
    a->n = 0;
}

double hn_gradient_norm(const hn_tensor *tensors, size_t n_tensors) {
    double sum = 0;
    for (size_t i = 0; i < n_tensors; i++)
        for (size_t k = 0, n = count(&tensors[i]); k < n; k++) sum += (double)tensors[i].dw[k] * tensors[i].dw[k];
    return sqrt(sum);
}

double hn_gradient_clip(const hn_tensor *tensors, size_t n_tensors, double limit) {
    double norm = hn_gradient_norm(tensors, n_tensors);
    if (!(norm > limit)) return norm;
    float factor = (float)(limit / norm);
    for (size_t i = 0; i < n_tensors; i++)
        for (size_t k = 0, n = count(&tensors[i]); k < n; k++) tensors[i].dw[k] *= factor;
    return norm;
}
