/* The ladder on the terminal; see scope_ladder.h. */
#include "cli/scope_ladder.h"

#include "base/file.h"
#include "base/str.h"
#include "lifecycle/scope/ladder.h"
#include "model/catalogue.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MODELS_MAX = 8, LABELS_NAMED = 12 };

typedef struct climb {
    hn_cli *cli;
    const hn_cli_project *p;
    hn_provider *providers[MODELS_MAX];
    size_t n_providers;
    char missing[320]; /* why the project's own model takes no part; "" */
    hn_progress progress;
    char what[160]; /* the progress line's; "": none */
} climb;

/* ---- climbing ---- */

static void end_progress(climb *c) {
    if (*c->what) hn_progress_end(&c->progress);
    *c->what = 0;
}

static void on_progress(void *user, const hn_ladder_progress *p) {
    climb *c = user;
    char text[48];
    if (p->finished) {
        end_progress(c);
        if (c->cli->out->stderr_terminal && !p->finished->kept)
            hn_output_note(c->cli->out, "%s: %s", p->finished->name, hn_cli_percent(p->finished->accuracy, text));
        return;
    }
    if (strcmp(c->what, p->what) != 0) {
        end_progress(c);
        snprintf(c->what, sizeof c->what, "%s", p->what);
        hn_progress_begin(&c->progress, c->cli->out, c->what, p->total, HN_PROGRESS_COUNT, "");
    }
    hn_progress_update(&c->progress, p->done);
}

static hn_status add_model(climb *c, const char *name, hn_error *err) {
    hn_local_options o = {.n_threads = (int)hn_cli_int(c->cli, "threads")};
    if (c->n_providers == MODELS_MAX)
        return hn_fail(err, HN_ERR_LIMIT, "--model", "name fewer", "more than %d models", MODELS_MAX);
    HN_TRY(hn_cli_project_model(c->p, name, &o, &c->providers[c->n_providers], err));
    c->n_providers++;
    return HN_OK;
}

/* Models that were named must be there; the project's own takes part where it is on this machine, and is never fetched unasked. */
static hn_status open_models(climb *c, hn_error *err) {
    size_t n;
    char path[HN_PATH_MAX];
    hn_error own = {0};
    const char *const *names = hn_cli_list(c->cli, "model", &n);
    if (hn_cli_flag(c->cli, "quick")) {
        snprintf(c->missing, sizeof c->missing, "left out by --quick");
        return HN_OK;
    }
    for (size_t i = 0; i < n; i++) HN_TRY(add_model(c, names[i], err));
    if (n > 0) return HN_OK;
    const char *wanted = c->p->scope->model ? c->p->scope->model : "smollm2";
    if (hn_remote_model_find(c->p->scope->models, c->p->scope->n_models, wanted)) {
        snprintf(c->missing, sizeof c->missing, "%s is elsewhere and may cost money; name it: hone scope -m %s", wanted,
                 wanted);
        return HN_OK;
    }
    if (hn_model_resolve(wanted, path, &own) == HN_OK) return add_model(c, NULL, err);
    snprintf(c->missing, sizeof c->missing, "%s is not on this machine; hone pull %s", wanted, wanted);
    return HN_OK;
}

static hn_status climb_ladder(climb *c, hn_ladder *ladder, hn_error *err) {
    hn_ladder_setup setup = {.project = c->p->project,
                             .dataset = c->p->dataset,
                             .store = c->p->store,
                             .providers = c->providers,
                             .n_providers = c->n_providers,
                             .limit = (size_t)hn_cli_int(c->cli, "limit"),
                             .fresh = hn_cli_flag(c->cli, "no-cache"),
                             .on_progress = on_progress,
                             .user = c};
    fflush(stdout); /* what was said so far is to be read meanwhile */
    hn_status st = hn_ladder_climb(&setup, ladder, err);
    end_progress(c);
    if (st == HN_ERR_INTERRUPTED && err)
        snprintf(err->hint, sizeof err->hint, "what was measured is kept: the same command goes on from there");
    return st;
}

/* ---- the table ---- */

static const char *against(const hn_ladder *l, size_t i, char out[64]) {
    const hn_rung *r = &l->rungs[i];
    const hn_estimate d = r->against_best.difference;
    if (i == l->best)
        snprintf(out, 64, "best");
    else
        snprintf(out, 64, "%+.1f [%+.1f, %+.1f]", 100 * d.value, 100 * d.low, 100 * d.high);
    return out;
}

static const char *verdict_of(const hn_ladder *l, size_t i) {
    const hn_rung *r = &l->rungs[i];
    if (i == l->marked) return "<- cheapest not worse";
    if (i == l->best) return "";
    if (r->not_worse) return "not worse";
    return r->against_best.difference.high < 0 ? "worse" : "cannot tell";
}

static void rung_row(const hn_ladder *l, size_t i, bool macro, hn_table *t) {
    const hn_rung *r = &l->rungs[i];
    char text[64];
    hn_table_row(t);
    if (r->kind == HN_RUNG_MAJORITY)
        hn_table_cell(t, "always %.40s", r->detail);
    else
        hn_table_cell(t, "%s", r->name);
    hn_table_cell(t, "%s", hn_cli_percent(r->accuracy, text));
    if (macro) hn_table_cell(t, "%.1f %%", 100 * r->macro_f1.value);
    if (r->latency_ms < 0.1)
        hn_table_cell(t, "%.0f us", 1e3 * r->latency_ms);
    else
        hn_table_cell(t, "%s", isfinite(r->latency_ms) ? hn_format_duration(r->latency_ms / 1e3, text) : "?");
    hn_table_cell(t, "%s", isfinite(r->memory_bytes) ? hn_format_bytes((uint64_t)r->memory_bytes, text) : "elsewhere");
    if (isfinite(r->cost_per_1000))
        hn_table_cell(t, "%.4g", r->cost_per_1000);
    else
        hn_table_cell(t, "?");
    hn_table_cell(t, "%s", against(l, i, text));
    hn_table_cell(t, "%s", verdict_of(l, i));
    if (i == l->marked) hn_table_row_style(t, HN_STYLE_GOOD);
}

static hn_status print_table(climb *c, const hn_ladder *l, hn_error *err) {
    hn_table *t = hn_table_create(c->cli->out);
    bool macro = l->rungs[0].answers != NULL;
    hn_table_column(t, "rung", HN_ALIGN_LEFT);
    hn_table_column(t, "accuracy", HN_ALIGN_RIGHT);
    if (macro) hn_table_column(t, "macro F1", HN_ALIGN_RIGHT);
    hn_table_column(t, "a case", HN_ALIGN_RIGHT);
    hn_table_column(t, "memory", HN_ALIGN_RIGHT);
    hn_table_column(t, "per 1,000", HN_ALIGN_RIGHT);
    hn_table_column(t, "to the best", HN_ALIGN_RIGHT);
    hn_table_column(t, " ", HN_ALIGN_LEFT);
    for (size_t i = 0; i < l->n_rungs; i++) rung_row(l, i, macro, t);
    return hn_table_print(t, err);
}

static void print_meaning(climb *c, const hn_ladder *l) {
    size_t fewest = l->n_dev;
    for (size_t i = 0; i < l->n_rungs; i++)
        if (l->rungs[i].n < fewest) fewest = l->rungs[i].n;
    hn_output_print(c->cli->out,
                    "Not worse: the 95 %% interval of the difference to the best lies above -%.1f points.\n",
                    100 * l->scope->smallest_difference);
    if (l->n_train < l->n_train_all || l->n_dev < l->n_dev_all)
        hn_output_print(c->cli->out, "Measured on a sample: %zu of %zu train cases, %zu of %zu dev cases.\n",
                        l->n_train, l->n_train_all, l->n_dev, l->n_dev_all);
    if (fewest < l->n_dev)
        hn_output_print(c->cli->out,
                        "Prompts answer the first %zu cases of dev's fixed order (--limit); pairs share those.\n",
                        fewest);
    for (size_t i = 0; i < l->marked; i++) {
        const hn_rung *r = &l->rungs[i];
        if (r->against_best.difference.high < 0) continue;
        hn_output_print(c->cli->out, "%s is cheaper and cannot be told from the best yet: %lld cases could say.\n",
                        r->name, (long long)r->against_best.cases_needed);
    }
    for (size_t i = 0; i < l->n_left_out; i++)
        hn_output_print(c->cli->out, "Left out: %s: %s\n", l->left_out[i].name, l->left_out[i].reason);
    if (*c->missing) hn_output_print(c->cli->out, "Rungs with a model: %s\n", c->missing);
}

/* ---- what follows from it ---- */

static hn_status print_curves(climb *c, const hn_ladder *l, hn_error *err) {
    if (l->n_curves == 0) return HN_OK;
    hn_output_print(c->cli->out, "\nAccuracy by training cases, and what 100 more labels should bring:\n");
    hn_table *t = hn_table_create(c->cli->out);
    hn_table_column(t, "rung", HN_ALIGN_LEFT);
    for (size_t i = 0; i < l->curves[0].n_points; i++) {
        char head[24];
        snprintf(head, sizeof head, "%zu", l->curves[0].points[i].n);
        hn_table_column(t, head, HN_ALIGN_RIGHT);
    }
    hn_table_column(t, "100 more", HN_ALIGN_RIGHT);
    bool target = isfinite(l->curves[0].labels_for_target);
    for (size_t i = 0; i < l->n_curves && !target; i++) target = isfinite(l->curves[i].labels_for_target);
    if (target) hn_table_column(t, "target at", HN_ALIGN_RIGHT);
    for (size_t k = 0; k < l->n_curves; k++) {
        const hn_curve *curve = &l->curves[k];
        char text[32];
        hn_table_row(t);
        hn_table_cell(t, "%s", curve->name);
        for (size_t i = 0; i < curve->n_points; i++) hn_table_cell(t, "%.1f", 100 * curve->points[i].accuracy);
        hn_table_cell(t, "%+.1f [%+.1f, %+.1f]", 100 * curve->gain.value, 100 * curve->gain.low,
                      100 * curve->gain.high);
        if (target && isfinite(curve->labels_for_target) && curve->labels_for_target < 1e7)
            hn_table_cell(t, "%s", hn_format_count((int64_t)ceil(curve->labels_for_target), text));
        else if (target)
            hn_table_cell(t, "never");
    }
    return hn_table_print(t, err);
}

static void name_labels(const hn_ladder *l, hn_buf *out) {
    size_t named = 0;
    for (size_t i = 0; i < l->narrow.n_labels; i++) {
        if (!l->narrow.labels[i].chosen) continue;
        if (named++ == LABELS_NAMED) {
            hn_buf_appendf(out, ", and %zu more (--json)", l->narrow.n_chosen - LABELS_NAMED);
            return;
        }
        hn_buf_append_str(out, named > 1 ? ", " : "");
        hn_buf_append_str(out, l->scope->contract.labels[i]);
    }
}

static void print_narrow(climb *c, const hn_ladder *l) {
    const hn_narrow *n = &l->narrow;
    char share[48], precision[48];
    if (!n->known) return;
    hn_output_print(c->cli->out, "\nA narrower start: ");
    if (n->n_chosen == 0) {
        hn_output_print(c->cli->out, "no label of %s is right in %.0f %% of its answers for certain yet.\n", n->rung,
                        100 * n->target);
        return;
    }
    hn_buf names;
    hn_buf_init(&names, 1 << 16);
    name_labels(l, &names);
    hn_output_print(c->cli->out, "%s is right in %.0f %%%s of its answers on %zu of %zu labels:\n  %s\n", n->rung,
                    100 * n->target, n->target_assumed ? " (no target is set)" : "", n->n_chosen, n->n_labels,
                    hn_buf_str(&names));
    hn_buf_free(&names);
    hn_output_print(c->cli->out,
                    "  On dev these are %s of the cases, answered right in %s; the rest goes to a person.\n",
                    hn_cli_percent(n->share, share), hn_cli_percent(n->precision, precision));
}

static void print_advice(climb *c, const hn_ladder *l) {
    static const char *const names[] = {"drop the model", "prompt", "fine-tune", "train from scratch", "label more"};
    const hn_recommendation *r = &l->advice;
    const char *bold = hn_output_style(c->cli->out, HN_STYLE_BOLD), *off = hn_output_style(c->cli->out, HN_STYLE_NONE);
    if (!r->known) return;
    hn_output_print(c->cli->out, "\n%sRecommended: %s%s\n  %s.\n", bold, names[r->first], off,
                    r->items[r->first].reason);
    for (int worth = 1; worth >= 0; worth--)
        for (int i = 0; i < HN_ACTION_COUNT; i++)
            if ((hn_action)i != r->first && r->items[i].worth == worth)
                hn_output_print(c->cli->out, "  %s %s: %s\n", worth ? "also" : "not", names[i], r->items[i].reason);
}

static hn_status print_ladder(climb *c, const hn_ladder *l, hn_error *err) {
    if (l->n_rungs == 0) {
        for (size_t i = 0; i < l->n_left_out; i++)
            hn_output_print(c->cli->out, "\nNo ladder: %s.\n", l->left_out[i].reason);
        return HN_OK;
    }
    hn_output_print(c->cli->out, "\nThe ladder, on %zu dev cases (%zu to learn from):\n", l->n_dev, l->n_train);
    HN_TRY(print_table(c, l, err));
    print_meaning(c, l);
    HN_TRY(print_curves(c, l, err));
    print_narrow(c, l);
    print_advice(c, l);
    return HN_OK;
}

hn_status hn_cli_scope_ladder(hn_cli *cli, const hn_cli_project *p, json_t *value, hn_error *err) {
    climb c = {.cli = cli, .p = p};
    hn_ladder ladder;
    json_t *shown = NULL;
    hn_status st = open_models(&c, err);
    if (st == HN_OK) st = climb_ladder(&c, &ladder, err);
    if (st == HN_OK) {
        st = value ? hn_ladder_json(&ladder, &shown, err) : print_ladder(&c, &ladder, err);
        if (st == HN_OK && value && json_object_set_new(value, "ladder", shown) != 0) st = hn_fail_memory(err, 0);
        hn_ladder_free(&ladder);
    }
    for (size_t i = 0; i < c.n_providers; i++) hn_provider_close(c.providers[i]);
    return st;
}
