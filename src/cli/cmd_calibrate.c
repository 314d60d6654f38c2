/* hone calibrate: how far a run's probabilities can be believed, and what leaving unsure cases to a person would bring. It changes nothing:
 * what a prompt asks for with `calibrate:` and hone.yaml with `abstain:` is fitted by `hone eval` itself. */
#include "cli/commands.h"
#include "cli/project_cli.h"
#include "lifecycle/eval/correction_run.h"

#include <math.h>
#include <string.h>

enum { BAR = 40, N_TARGETS = 5, N_SHARES = 3 };
static const double targets[N_TARGETS] = {0.01, 0.02, 0.05, 0.10, 0.20}, shares[N_SHARES] = {0.80, 0.90, 0.95};

/* The run's table without a method, and what each method would make of it. */
typedef struct calibration {
    hn_cli_project p;
    hn_run *run;
    hn_prediction_list list;
    hn_correction_fit fits[HN_RECALIBRATE_ISOTONIC + 1];
    bool fitted[HN_RECALIBRATE_ISOTONIC + 1];
    bool corrected; /* the run's probabilities are already corrected ones: there is nothing to fit on */
    double confidence;
} calibration;

/* ---- reading ---- */

static hn_status fit_methods(calibration *c, hn_error *err) {
    const hn_scope *s = c->p.scope;
    for (int m = HN_RECALIBRATE_NONE; m <= HN_RECALIBRATE_ISOTONIC; m++) {
        if (m != HN_RECALIBRATE_NONE && c->corrected) break;
        hn_error why;
        hn_status st = hn_correction_of_run(s, (hn_recalibrate)m, c->run, &c->list, &c->fits[m], &why);
        c->fitted[m] = st == HN_OK;
        if (st == HN_OK || (m != HN_RECALIBRATE_NONE && st == HN_ERR_INPUT)) continue;
        if (err) *err = why;
        return st;
    }
    return HN_OK;
}

static hn_status open_run(hn_cli *cli, calibration *c, hn_error *err) {
    HN_TRY(hn_cli_project_open(HN_CLI_DATA | HN_CLI_STORE, &c->p, err));
    if (c->p.scope->contract.kind != HN_CONTRACT_CHOICE)
        return hn_fail(err, HN_ERR_INPUT, c->p.scope->config_path, "calibration needs `output: {choice: [...]}`",
                       "answers that are not labels have no probabilities");
    HN_TRY(hn_run_find(c->p.store, cli->positional[0], &c->run, err));
    HN_TRY(hn_prediction_load(c->p.store, c->run->id, &c->list, err));
    c->corrected = c->run->spec.parameters_json && strstr(c->run->spec.parameters_json, "\"correction\":");
    c->confidence = hn_cli_real(cli, "confidence");
    return fit_methods(c, err);
}

static void close_run(calibration *c) {
    for (int m = 0; m <= HN_RECALIBRATE_ISOTONIC; m++)
        if (c->fitted[m]) hn_correction_fit_free(&c->fits[m]);
    hn_prediction_list_free(&c->list);
    hn_run_free(c->run);
    hn_cli_project_close(&c->p);
}

/* ---- showing ---- */

static hn_status print_reliability(hn_cli *cli, const hn_quality *q, hn_error *err) {
    char text[48];
    hn_output_print(cli->out, "How sure, and how often right (# right, | where the sureness lies):\n");
    hn_table *t = hn_table_create(cli->out);
    hn_table_column(t, "sure of it", HN_ALIGN_RIGHT);
    hn_table_column(t, "cases", HN_ALIGN_RIGHT);
    hn_table_column(t, "right", HN_ALIGN_RIGHT);
    hn_table_column(t, " ", HN_ALIGN_LEFT);
    for (int b = 0; b < HN_CALIBRATION_BINS; b++) {
        const hn_calibration_bin *bin = &q->bins[b];
        if (bin->count == 0) continue;
        char bar[BAR + 2] = "";
        int right = (int)lround(bin->accuracy * BAR), sure = (int)lround(bin->mean_confidence * BAR);
        memset(bar, ' ', BAR + 1);
        memset(bar, '#', (size_t)right);
        bar[sure] = '|';
        hn_interval i =
            hn_interval_wilson((int64_t)llround(bin->accuracy * (double)bin->count), (int64_t)bin->count, 0.05);
        hn_table_row(t);
        hn_table_cell(t, "%d to %d %%", b * 10, (b + 1) * 10);
        hn_table_cell(t, "%llu", (unsigned long long)bin->count);
        hn_table_cell(t, "%s", hn_cli_percent((hn_estimate){bin->accuracy, i.low, i.high}, text));
        hn_table_cell(t, "%s", bar);
    }
    return hn_table_print(t, err);
}

static hn_status print_methods(hn_cli *cli, const calibration *c, hn_error *err) {
    static const char *const keys[] = {"none", "temperature", "isotonic"};
    hn_table *t = hn_table_create(cli->out);
    hn_output_print(cli->out, "\n");
    hn_table_column(t, "calibrate", HN_ALIGN_LEFT);
    hn_table_column(t, "calibration error", HN_ALIGN_RIGHT);
    hn_table_column(t, "Brier score", HN_ALIGN_RIGHT);
    hn_table_column(t, "log loss", HN_ALIGN_RIGHT);
    hn_table_column(t, " ", HN_ALIGN_LEFT);
    for (int m = 0; m <= HN_RECALIBRATE_ISOTONIC; m++) {
        if (m > 0 && c->corrected) break;
        hn_table_row(t);
        hn_table_cell(t, "%s", m ? keys[m] : c->corrected ? "as answered" : "as it is");
        if (!c->fitted[m]) {
            hn_table_cell(t, "-"), hn_table_cell(t, "-"), hn_table_cell(t, "-");
            hn_table_cell(t, "cannot be fitted to these answers");
            continue;
        }
        const hn_quality *q = &c->fits[m].after;
        hn_table_cell(t, "%.1f points", 100 * q->ece);
        hn_table_cell(t, "%.3f", q->brier);
        hn_table_cell(t, "%.3f nats", q->log_loss);
        if (m == HN_RECALIBRATE_TEMPERATURE)
            hn_table_cell(t, "T = %.2f; each case by a fit on the others", c->fits[m].correction.temperature);
        else
            hn_table_cell(t, "%s", m ? "each case by a fit on the others" : "");
    }
    return hn_table_print(t, err);
}

static hn_status print_rules(hn_cli *cli, const calibration *c, hn_error *err) {
    const hn_correction_fit *f = &c->fits[0];
    hn_table *t = hn_table_create(cli->out);
    hn_output_print(cli->out,
                    "\nAnswer the sure cases, leave the rest to a person (promised with %.0f %% confidence):\n",
                    100 * c->confidence);
    hn_table_column(t, "wrong at most", HN_ALIGN_RIGHT);
    hn_table_column(t, "answer above", HN_ALIGN_RIGHT);
    hn_table_column(t, "answered", HN_ALIGN_RIGHT);
    hn_table_column(t, "wrong of these here", HN_ALIGN_RIGHT);
    for (int i = 0; i < N_TARGETS; i++) {
        hn_abstain_rule rule;
        HN_TRY(hn_correction_fit_rule(f, targets[i], c->confidence, &rule, err));
        hn_table_row(t);
        hn_table_cell(t, "%.0f %%", 100 * targets[i]);
        if (!rule.found) {
            hn_table_cell(t, "-"), hn_table_cell(t, "-"), hn_table_cell(t, "too few cases to promise it");
            continue;
        }
        if (isinf(rule.threshold))
            hn_table_cell(t, "all");
        else
            hn_table_cell(t, "%.1f %%", 100 * rule.threshold);
        hn_table_cell(t, "%.1f %%", 100 * rule.coverage);
        hn_table_cell(t, "%.1f %% (%zu of %zu)", 100 * rule.error, rule.n_wrong, rule.n_answered);
    }
    return hn_table_print(t, err);
}

static hn_status print_sets(hn_cli *cli, const calibration *c, hn_error *err) {
    hn_output_print(cli->out, "\nSets of labels instead of one (`abstain: {sets: ...}`):\n");
    for (int i = 0; i < N_SHARES; i++) {
        hn_conformal conformal;
        double size, held;
        HN_TRY(hn_correction_fit_sets(&c->fits[0], shares[i], &conformal, &size, &held, err));
        hn_output_print(cli->out, "  the right label within the set in %.0f %% of cases: %.1f labels on average\n",
                        100 * shares[i], size);
    }
    return HN_OK;
}

static void print_advice(hn_cli *cli, const calibration *c) {
    int best = 0;
    for (int m = 1; m <= HN_RECALIBRATE_ISOTONIC; m++)
        if (c->fitted[m] && c->fits[m].after.log_loss < c->fits[best].after.log_loss) best = m;
    hn_output_print(cli->out, "\nNext:\n");
    if (best)
        hn_output_print(cli->out,
                        "  `calibrate: [prior, %s]` in the prompt (or without prior, where it has none): the "
                        "next run on test applies it\n",
                        hn_recalibrate_name((hn_recalibrate)best));
    else
        hn_output_print(cli->out, "  leave the probabilities as they are: no correction makes them better on cases it "
                                  "has not seen\n");
    hn_output_print(cli->out, "  `abstain: {target_error: 0.05}` in hone.yaml: unsure cases are left to a person\n");
}

static hn_status print_all(hn_cli *cli, const calibration *c, hn_error *err) {
    const hn_correction_fit *f = &c->fits[0];
    hn_output_print(cli->out, "r%lld  %s, %zu %s cases with probabilities%s\n\n", (long long)c->run->id,
                    c->run->spec.prompt_name ? c->run->spec.prompt_name : "", f->n, c->run->spec.split,
                    c->corrected ? ", corrected by what was fitted on dev" : "");
    HN_TRY(print_reliability(cli, &f->before, err));
    HN_TRY(print_methods(cli, c, err));
    if (c->corrected) return HN_OK;
    if (f->n_independent < f->n)
        hn_output_print(cli->out, "\nOf related cases only the first counts below: %zu of %zu.\n", f->n_independent,
                        f->n);
    HN_TRY(print_rules(cli, c, err));
    HN_TRY(print_sets(cli, c, err));
    if (strcmp(c->run->spec.split, "dev") == 0) print_advice(cli, c);
    return HN_OK;
}

/* ---- as JSON ---- */

static hn_status rules_json(const calibration *c, json_t *rules, json_t *sets, hn_error *err) {
    for (int i = 0; i < N_TARGETS; i++) {
        hn_abstain_rule r;
        HN_TRY(hn_correction_fit_rule(&c->fits[0], targets[i], c->confidence, &r, err));
        json_array_append_new(rules, json_pack("{s:f, s:b, s:o, s:f, s:I, s:I, s:f}", "target_error", targets[i],
                                               "found", r.found, "threshold",
                                               isfinite(r.threshold) ? json_real(r.threshold) : json_null(), "coverage",
                                               r.coverage, "n_answered", (json_int_t)r.n_answered, "n_wrong",
                                               (json_int_t)r.n_wrong, "error_bound", r.error_bound));
    }
    for (int i = 0; i < N_SHARES; i++) {
        hn_conformal conformal;
        double size, held;
        HN_TRY(hn_correction_fit_sets(&c->fits[0], shares[i], &conformal, &size, &held, err));
        json_array_append_new(sets,
                              json_pack("{s:f, s:f, s:f}", "share", shares[i], "mean_size", size, "coverage", held));
    }
    return HN_OK;
}

static hn_status print_json(hn_cli *cli, const calibration *c, hn_error *err) {
    char name[32];
    snprintf(name, sizeof name, "r%lld", (long long)c->run->id);
    json_t *methods = json_object(), *rules = json_array(), *sets = json_array();
    hn_status st = methods && rules && sets ? rules_json(c, rules, sets, err) : hn_fail_memory(err, 0);
    for (int m = 0; m <= HN_RECALIBRATE_ISOTONIC && st == HN_OK; m++) {
        json_t *value;
        if (!c->fitted[m]) continue;
        st = hn_correction_fit_json(&c->fits[m], &value, err);
        if (st == HN_OK) json_object_set_new(methods, hn_recalibrate_name((hn_recalibrate)m), value);
    }
    json_t *result = st == HN_OK ? json_pack("{s:s, s:s?, s:b, s:f, s:O, s:O, s:O}", "run", name, "split",
                                             c->run->spec.split, "corrected", c->corrected, "confidence", c->confidence,
                                             "methods", methods, "rules", rules, "sets", sets)
                                 : NULL;
    json_decref(methods), json_decref(rules), json_decref(sets);
    return st == HN_OK ? hn_cli_result(cli, result, err) : st;
}

static hn_status run(hn_cli *cli, hn_error *err) {
    calibration c = {0};
    hn_status st = open_run(cli, &c, err);
    if (st == HN_OK) st = cli->out->json ? print_json(cli, &c, err) : print_all(cli, &c, err);
    close_run(&c);
    return st;
}

static const hn_option options[] = {{.name = "confidence",
                                     .kind = HN_OPTION_REAL,
                                     .value = "SHARE",
                                     .otherwise = "0.95",
                                     .low = 0.5,
                                     .high = 0.999,
                                     .help = "with which a share of wrong answers is promised"},
                                    {0}};

const hn_command hn_cmd_calibrate = {
    .name = "calibrate",
    .summary = "how far a run's probabilities can be believed, and which cases to leave to a person",
    .usage = "RUN [--confidence SHARE]",
    .description =
        "Shows reliability, what temperature and isotonic correction would bring (each case judged by a fit that has "
        "not "
        "seen it),\nwhat share of cases can be answered at a promised share of errors, and the sizes of label sets. "
        "Changes nothing: `calibrate:`\nin a prompt and `abstain:` in hone.yaml make `hone eval` fit on dev and apply "
        "on test.",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .examples = "  hone calibrate last\n  hone calibrate r6 --confidence 0.9",
    .run = run,
};
