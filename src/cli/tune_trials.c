/* Curves over labels and sweeps; see tune_trials.h. */
#include "cli/tune_trials.h"

#include "base/str.h"
#include "lifecycle/tune/tune_sweep.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POINTS_MAX = 32 };

/* What one training came to, small enough to keep many. */
typedef struct outcome {
    long long run;
    hn_estimate accuracy, loss;
    size_t n_train;
    int64_t steps;
} outcome;

static hn_status train_one(hn_cli_tuning *t, const hn_tune_options *options, outcome *out, hn_error *err) {
    hn_tune_hooks hooks = hn_cli_tune_hooks(t);
    hn_tune_result *r = hn_calloc(1, sizeof *r);
    if (!r) return hn_fail_memory(err, sizeof *r);
    t->setup.options = *options;
    t->quiet = true;
    t->dev = (double)NAN;
    hn_status st = hn_tune_run(&t->setup, &hooks, r, err);
    hn_cli_tune_progress_end(t);
    if (st == HN_OK) *out = (outcome){(long long)r->run->id, r->accuracy, r->loss, r->n_train, r->n_steps};
    hn_tune_result_free(r);
    hn_free(r);
    return st;
}

static char *score_text(const outcome *o, char out[64]) {
    char text[48];
    if (isfinite(o->accuracy.value))
        snprintf(out, 64, "%s", hn_cli_percent(o->accuracy, text));
    else
        snprintf(out, 64, "%.3f [%.3f, %.3f]", o->loss.value, o->loss.low, o->loss.high);
    return out;
}

static json_t *outcome_json(const outcome *o) {
    char run[32];
    snprintf(run, sizeof run, "r%lld", o->run);
    return json_pack("{s:s, s:I, s:I, s:o, s:o}", "run", run, "train_cases", (json_int_t)o->n_train, "steps",
                     (json_int_t)o->steps, "accuracy", hn_cli_tune_estimate_json(&o->accuracy), "held_out_loss",
                     hn_cli_tune_estimate_json(&o->loss));
}

/* ---- accuracy against labels used ---- */

static int rising(const void *a, const void *b) {
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return x < y ? -1 : x > y;
}

/* "50,100,200", rising, without repeats; "all" is n_train. */
static hn_status parse_points(hn_cli_tuning *t, size_t n_train, size_t points[POINTS_MAX], size_t *n, hn_error *err) {
    const char *text = hn_cli_string(t->cli, "curve");
    *n = 0;
    for (const char *at = text;; at++) {
        size_t length = strcspn(at, ",");
        char number[32];
        int64_t value = (int64_t)n_train;
        snprintf(number, sizeof number, "%.*s", (int)(length < 31 ? length : 31), at);
        bool fits = strcmp(number, "all") == 0 || (hn_parse_int64(number, &value) && value > 0);
        if (!fits || *n == POINTS_MAX)
            return hn_cli_usage(t->cli, err, "--curve takes up to %d numbers of cases, such as 50,100,200,all",
                                POINTS_MAX);
        if ((size_t)value > n_train)
            return hn_cli_usage(t->cli, err, "--curve asks for %lld cases, and there are %zu to train on",
                                (long long)value, n_train);
        points[(*n)++] = (size_t)value;
        at += length;
        if (!*at) break;
    }
    qsort(points, *n, sizeof *points, rising);
    size_t kept = 1;
    for (size_t i = 1; i < *n; i++)
        if (points[i] != points[kept - 1]) points[kept++] = points[i];
    *n = kept;
    return HN_OK;
}

/* The settings of so many cases: what the data chose is chosen again. */
static hn_tune_options options_for(const hn_cli_tuning *t, const hn_tune_options *base, size_t n) {
    hn_tune_options o = *base, chosen = hn_tune_defaults(n, base->method);
    o.limit = n;
    for (size_t i = 0; i < t->settings.n; i++) {
        const hn_cli_tune_setting *s = &t->settings.rows[i];
        if (strcmp(s->from, "the data") != 0) continue;
        if (strcmp(s->name, "epochs") == 0) o.epochs = chosen.epochs;
        if (strcmp(s->name, "batch") == 0) o.batch = chosen.batch;
    }
    return o;
}

static hn_status print_points(hn_cli_tuning *t, const outcome *outcomes, size_t n, hn_error *err) {
    hn_table *table = hn_table_create(t->cli->out);
    char text[64];
    hn_table_column(table, t->data ? "rows" : "cases", HN_ALIGN_RIGHT);
    hn_table_column(table, t->data ? "held-out loss" : "dev accuracy", HN_ALIGN_RIGHT);
    hn_table_column(table, "steps", HN_ALIGN_RIGHT);
    hn_table_column(table, "run", HN_ALIGN_LEFT);
    for (size_t i = 0; i < n; i++) {
        hn_table_row(table);
        hn_table_cell(table, "%zu", outcomes[i].n_train);
        hn_table_cell(table, "%s", score_text(&outcomes[i], text));
        hn_table_cell(table, "%lld", (long long)outcomes[i].steps);
        hn_table_cell(table, "r%lld", outcomes[i].run);
    }
    HN_TRY(hn_table_print(table, err));
    hn_output_print(
        t->cli->out,
        "\nEach is the first so many cases of one fixed order, its best epoch chosen by the same dev cases; "
        "the intervals are of dev alone,\nnot of which cases happened to be labelled.\n");
    return HN_OK;
}

hn_status hn_cli_tune_curve(hn_cli_tuning *t, size_t n_train, hn_error *err) {
    size_t points[POINTS_MAX], n;
    outcome outcomes[POINTS_MAX];
    hn_tune_options base = t->setup.options;
    char title[32];
    HN_TRY(parse_points(t, n_train, points, &n, err));
    t->title = title;
    for (size_t i = 0; i < n; i++) {
        hn_tune_options o = options_for(t, &base, points[i]);
        snprintf(title, sizeof title, "%zu cases", points[i]);
        HN_TRY(train_one(t, &o, &outcomes[i], err));
    }
    if (!t->cli->out->json) return print_points(t, outcomes, n, err);
    json_t *list = json_array();
    for (size_t i = 0; i < n && list; i++) json_array_append_new(list, outcome_json(&outcomes[i]));
    return hn_cli_result(t->cli, json_pack("{s:o}", "curve", list), err);
}

/* ---- sweeps ---- */

typedef struct sweeping {
    hn_cli_tuning *t;
    hn_tune_sweep sweep;
    hn_table *table;
    json_t *rows;
    outcome winner;
    char best[160];
} sweeping;

static void add_row(sweeping *s, int rung, const hn_tune_trial *trial, const outcome *o, bool survives) {
    char text[64], run[32];
    snprintf(run, sizeof run, "r%lld", o->run);
    hn_table_row(s->table);
    hn_table_cell(s->table, "%d", rung + 1);
    hn_table_cell(s->table, "%s", trial->text);
    hn_table_cell(s->table, "%lld", (long long)o->steps);
    hn_table_cell(s->table, "%s", o->run ? score_text(o, text) : "the loss ran away");
    hn_table_cell(s->table, "%s", o->run ? run : "-");
    hn_table_cell(s->table, "%s", survives ? "goes on" : "");
    if (survives) hn_table_row_style(s->table, HN_STYLE_GOOD);
    json_t *row = outcome_json(o);
    if (row && json_object_set_new(row, "trial", json_string(trial->text)) == 0 &&
        json_object_set_new(row, "rung", json_integer(rung + 1)) == 0 &&
        json_object_set_new(row, "goes_on", json_boolean(survives)) == 0)
        json_array_append(s->rows, row);
    json_decref(row);
}

static hn_status climb(sweeping *s, int rung, size_t n_train, hn_error *err) {
    hn_tune_sweep *w = &s->sweep;
    outcome outcomes[HN_SWEEP_TRIALS];
    size_t n = w->n_left, n_done = 0;
    char title[64];
    s->t->title = title;
    for (size_t i = 0; i < n; i++) {
        hn_tune_trial *trial = &w->trials[i];
        hn_tune_options o = hn_tune_sweep_options(w, i, rung, n_train);
        outcome *out = &outcomes[trial->index];
        *out = (outcome){.accuracy = {(double)NAN, 0, 0}, .loss = {(double)NAN, 0, 0}, .steps = o.steps};
        snprintf(title, sizeof title, "%d/%d %.16s", rung + 1, w->n_rungs, trial->text);
        hn_status st = train_one(s->t, &o, out, err);
        if (st != HN_OK && st != HN_ERR_INPUT) return st;
        if (st == HN_OK) n_done++;
        trial->score = st != HN_OK ? -INFINITY /* its loss ran away: no survivor, no end of the others */
                       : isfinite(out->accuracy.value) ? out->accuracy.value
                                                       : -out->loss.value;
    }
    if (n_done == 0) return HN_ERR_INPUT; /* as the last one said */
    hn_tune_sweep_halve(w);
    bool last = rung + 1 == w->n_rungs;
    for (size_t i = 0; i < n; i++)
        add_row(s, rung, &w->trials[i], &outcomes[w->trials[i].index], i < w->n_left && !last);
    s->winner = outcomes[w->trials[0].index];
    snprintf(s->best, sizeof s->best, "%s", w->trials[0].text);
    return HN_OK;
}

static hn_status show(sweeping *s, hn_error *err) {
    hn_cli *cli = s->t->cli;
    char text[64], run[32];
    HN_TRY(hn_table_print(s->table, err));
    s->table = NULL;
    snprintf(run, sizeof run, "r%lld", s->winner.run);
    if (cli->out->json)
        return hn_cli_result(cli,
                             json_pack("{s:O, s:s, s:s, s:s, s:i}", "sweep", s->rows, "winner", run, "settings",
                                       s->best, "optimistic", "chosen as the best of all trials on the same dev cases",
                                       "trials", (int)s->sweep.n),
                             err);
    hn_output_print(
        cli->out,
        "\nBest: %s, %s: tune:%s\nThis figure is optimistic: it is the highest of %zu trials on the same %s. "
        "What it is worth, %s\n",
        s->best, score_text(&s->winner, text), run, s->sweep.n, s->t->data ? "rows" : "dev cases",
        s->t->data ? "new rows say." : "the test split says:");
    if (s->t->prompt) hn_output_print(cli->out, "  hone eval %s -m tune:%s --split test\n", s->t->prompt->name, run);
    return HN_OK;
}

static hn_status make_sweep(sweeping *s, hn_error *err) {
    hn_cli *cli = s->t->cli;
    hn_tune_axis axes[HN_SWEEP_AXES];
    size_t n;
    bool follow = false;
    const char *const *texts = hn_cli_list(cli, "sweep", &n);
    if (n > HN_SWEEP_AXES)
        return hn_cli_usage(cli, err, "--sweep takes up to %d settings at once, not %zu", HN_SWEEP_AXES, n);
    for (size_t i = 0; i < n; i++) HN_TRY(hn_tune_axis_parse(texts[i], &axes[i], err));
    for (size_t i = 0; i < s->t->settings.n; i++) {
        const hn_cli_tune_setting *row = &s->t->settings.rows[i];
        follow = follow || (strcmp(row->name, "alpha") == 0 && strcmp(row->from, "twice the rank") == 0);
    }
    return hn_tune_sweep_make(axes, n, &s->t->setup.options, follow, &s->sweep, err);
}

hn_status hn_cli_tune_sweep(hn_cli_tuning *t, size_t n_train, hn_error *err) {
    sweeping s = {.t = t, .table = hn_table_create(t->cli->out), .rows = json_array()};
    static const char *const columns[] = {"rung", "settings", "steps", "score", "run", " "};
    for (size_t i = 0; i < 6; i++)
        hn_table_column(s.table, i == 3 ? (t->data ? "held-out loss" : "dev accuracy") : columns[i],
                        i == 1 || i > 3 ? HN_ALIGN_LEFT : HN_ALIGN_RIGHT);
    hn_status st = s.rows ? make_sweep(&s, err) : hn_fail_memory(err, 0);
    for (int rung = 0; st == HN_OK && rung < s.sweep.n_rungs; rung++) st = climb(&s, rung, n_train, err);
    if (st == HN_OK) st = show(&s, err);
    if (s.table) hn_table_free(s.table);
    json_decref(s.rows);
    hn_tune_sweep_free(&s.sweep);
    return st;
}
