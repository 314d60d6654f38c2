/* Sweeps; see tune_sweep.h. */
#include "lifecycle/tune/tune_sweep.h"

#include "base/alloc.h"
#include "base/str.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Settings that a sweep can turn, and where they are. */
typedef struct knob {
    const char *name;
    size_t offset;
    enum { REAL, INT, SEED } kind;
    double low, high;
} knob;

#define KNOB(field, kind, low, high)                                                                                   \
    { #field, offsetof(hn_tune_options, field), kind, low, high }
static const knob knobs[] = {
    KNOB(learning_rate, REAL, 1e-9, 1), KNOB(rank, INT, 1, 1024),       KNOB(alpha, REAL, 1e-6, 1e6),
    KNOB(weight_decay, REAL, 0, 10),    KNOB(warmup, REAL, 0, 1),       KNOB(clip, REAL, 0, 1e9),
    KNOB(batch, INT, 1, 4096),          KNOB(accumulate, INT, 1, 4096), KNOB(epochs, INT, 1, HN_TUNE_EPOCHS_MAX),
    KNOB(seed, SEED, 0, 1e15)};
enum { N_KNOBS = sizeof knobs / sizeof *knobs };

static const knob *knob_named(const char *name) {
    for (size_t i = 0; i < N_KNOBS; i++)
        if (strcmp(knobs[i].name, name) == 0) return &knobs[i];
    return NULL;
}

static void turn(hn_tune_options *o, const knob *k, double value) {
    char *at = (char *)o + k->offset;
    int whole = (int)value;
    uint64_t seed = (uint64_t)value;
    if (k->kind == REAL) memcpy(at, &value, sizeof value);
    if (k->kind == INT) memcpy(at, &whole, sizeof whole);
    if (k->kind == SEED) memcpy(at, &seed, sizeof seed);
}

static hn_status unknown(const char *text, hn_error *err) {
    char known[200] = "";
    for (size_t i = 0; i < N_KNOBS; i++) {
        size_t at = strlen(known);
        snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "such as learning_rate=1e-4,3e-4; or ",
                 knobs[i].name);
    }
    return hn_fail(err, HN_ERR_USAGE, "--sweep", known, "\"%.80s\" is no setting with its values", text);
}

static hn_status parse_value(const knob *k, const char *at, size_t n, double *value, hn_error *err) {
    char text[64];
    if (n == 0 || n >= sizeof text) return unknown(at, err);
    memcpy(text, at, n);
    text[n] = 0;
    bool fits = hn_parse_double(text, value) && *value >= k->low && *value <= k->high &&
                (k->kind == REAL || *value == floor(*value));
    if (fits) return HN_OK;
    return hn_fail(err, HN_ERR_USAGE, "--sweep", NULL, "%s is \"%s\", but must be %s within %g .. %g", k->name, text,
                   k->kind == REAL ? "a number" : "a whole number", k->low, k->high);
}

hn_status hn_tune_axis_parse(const char *text, hn_tune_axis *axis, hn_error *err) {
    char name[32];
    const char *equals = strchr(text, '=');
    *axis = (hn_tune_axis){0};
    if (!equals || equals == text || (size_t)(equals - text) >= sizeof name) return unknown(text, err);
    snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
    for (char *c = name; *c; c++)
        if (*c == '-') *c = '_';
    const knob *k = knob_named(name);
    if (!k) return unknown(text, err);
    axis->name = k->name;
    for (const char *at = equals + 1;; at++) {
        size_t n = strcspn(at, ",");
        if (axis->n == HN_SWEEP_VALUES)
            return hn_fail(err, HN_ERR_USAGE, "--sweep", "leave some out", "%s has more than %d values", k->name,
                           HN_SWEEP_VALUES);
        HN_TRY(parse_value(k, at, n, &axis->values[axis->n++], err));
        at += n;
        if (!*at) return HN_OK;
    }
}

static void make_trial(const hn_tune_axis *axes, size_t n_axes, bool follow_rank, size_t index, hn_tune_trial *t) {
    size_t rest = index;
    t->index = index;
    *t->text = 0;
    for (size_t a = 0; a < n_axes; a++) {
        double value = axes[a].values[rest % axes[a].n];
        size_t at = strlen(t->text);
        rest /= axes[a].n;
        turn(&t->options, knob_named(axes[a].name), value);
        if (follow_rank && strcmp(axes[a].name, "rank") == 0) t->options.alpha = 2 * value;
        snprintf(t->text + at, sizeof t->text - at, "%s%s %g", at ? ", " : "", axes[a].name, value);
    }
}

hn_status hn_tune_sweep_make(const hn_tune_axis *axes, size_t n_axes, const hn_tune_options *options, bool follow_rank,
                             hn_tune_sweep *sweep, hn_error *err) {
    size_t n = 1;
    *sweep = (hn_tune_sweep){0};
    for (size_t a = 0; a < n_axes; a++) {
        for (size_t b = 0; b < a; b++)
            if (axes[a].name == axes[b].name)
                return hn_fail(err, HN_ERR_USAGE, "--sweep", "give all its values at once", "%s is swept twice",
                               axes[a].name);
        n *= axes[a].n;
        if (n > HN_SWEEP_TRIALS)
            return hn_fail(err, HN_ERR_LIMIT, "--sweep", "leave some values out", "there are more than %d trials",
                           HN_SWEEP_TRIALS);
    }
    sweep->trials = hn_calloc(n, sizeof *sweep->trials);
    if (!sweep->trials) return hn_fail_memory(err, n * sizeof *sweep->trials);
    sweep->n = sweep->n_left = n;
    for (size_t i = 0; i < n; i++) {
        sweep->trials[i].options = *options;
        make_trial(axes, n_axes, follow_rank, i, &sweep->trials[i]);
    }
    for (sweep->n_rungs = 1; n > 1; n = (n + 1) / 2) sweep->n_rungs++;
    if (sweep->n_rungs > 1) sweep->n_rungs--; /* two are left for the last one, which decides between them */
    return HN_OK;
}

hn_tune_options hn_tune_sweep_options(const hn_tune_sweep *sweep, size_t trial, int rung, size_t n_train) {
    hn_tune_options o = sweep->trials[trial].options;
    int64_t cases = (int64_t)o.batch * o.accumulate, steps = (((int64_t)n_train + cases - 1) / cases) * o.epochs;
    if (o.steps > 0 && o.steps < steps) steps = o.steps;
    if (rung + 1 < sweep->n_rungs) {
        o.steps = steps >> (sweep->n_rungs - 1 - rung);
        if (o.steps < 1) o.steps = 1;
    }
    return o;
}

static int by_score(const void *a, const void *b) {
    const hn_tune_trial *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

void hn_tune_sweep_halve(hn_tune_sweep *sweep) {
    qsort(sweep->trials, sweep->n_left, sizeof *sweep->trials, by_score);
    sweep->n_left = (sweep->n_left + 1) / 2;
}

void hn_tune_sweep_free(hn_tune_sweep *sweep) {
    hn_free(sweep->trials);
    *sweep = (hn_tune_sweep){0};
}
