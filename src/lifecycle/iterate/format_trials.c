/* Which smaller format still does the job; see format_trials.h. */
#include "lifecycle/iterate/format_trials.h"

#include "base/file.h"
#include "lifecycle/iterate/compare.h"
#include "lifecycle/iterate/run_replay.h"
#include "model/export_gguf.h"
#include "stats/multiple.h"
#include "stats/noninferior.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *hn_format_verdict_name(hn_format_verdict kind) {
    static const char *const names[] = {"cannot_tell", "not_worse", "worse"};
    return names[kind];
}

/* ---- what can be asked ---- */

hn_status hn_format_trials_check(const hn_run *run, hn_error *err) {
    char name[32];
    snprintf(name, sizeof name, "r%lld", (long long)run->id);
    if (strcmp(run->kind, "eval") != 0 || strcmp(run->state, "done") != 0)
        return hn_fail(err, HN_ERR_INPUT, name, "name a finished run of `hone eval`", "it is %s, %s", run->kind,
                       run->state);
    if (run->spec.split && strcmp(run->spec.split, "test") == 0)
        return hn_fail(err, HN_ERR_INPUT, name,
                       "name a run on dev; measure the format that was chosen with `hone eval --split test`",
                       "it is of the test split, which is for the last look and not for choosing a format");
    return HN_OK;
}

static hn_status check_model(const hn_format_setup *s, hn_error *err) {
    char name[32], hash[65];
    const hn_run *run = s->run;
    snprintf(name, sizeof name, "r%lld", (long long)run->id);
    HN_TRY(hn_model_hash(s->model, hash, err));
    if (run->spec.model_hash && strcmp(hash, run->spec.model_hash) == 0) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, name, "give the model that it ran on: -m MODEL",
                   "it ran on %s (%.12s); this model is %s (%.12s)", run->spec.model_name ? run->spec.model_name : "?",
                   run->spec.model_hash ? run->spec.model_hash : "?", hn_model_path(s->model), hash);
}

/* ---- the files ---- */

/* FOLDER/NAME-HASH-q8_0.gguf: what is in it stands in its name. */
static hn_status file_name(const hn_format_setup *s, hn_format_trial *t, hn_error *err) {
    char hash[65], name[160], base[48];
    const char *from = hn_path_base(s->run->spec.model_name ? s->run->spec.model_name : "model");
    size_t n = 0;
    for (; from[n] && n + 1 < sizeof base; n++)
        base[n] = isalnum((unsigned char)from[n]) || from[n] == '.' || from[n] == '_' ? from[n] : '-';
    base[n] = 0;
    if (n > 5 && strcmp(base + n - 5, ".gguf") == 0) base[n - 5] = 0;
    HN_TRY(hn_model_hash(s->model, hash, err));
    int at = snprintf(name, sizeof name, "%s-%.12s-", base, hash);
    const char *format = hn_dtype_of(t->format).name;
    for (; format && *format && at + 6 < (int)sizeof name; format++) name[at++] = (char)tolower((unsigned char)*format);
    snprintf(name + at, sizeof name - (size_t)at, ".gguf");
    return hn_path_join(t->path, s->folder, name, err);
}

typedef struct weights_progress {
    const hn_format_hooks *hooks;
    hn_dtype format;
} weights_progress;

static void on_weights(void *user, uint64_t done, uint64_t total) {
    weights_progress *p = user;
    if (p->hooks->on_weights) p->hooks->on_weights(p->hooks->user, p->format, done, total);
}

static hn_status write_file(const hn_format_setup *s, hn_format_trial *t, hn_error *err) {
    HN_TRY(file_name(s, t, err));
    t->was_there = hn_file_exists(t->path);
    if (!t->was_there) {
        hn_export_gguf_result r;
        weights_progress progress = {&s->hooks, t->format};
        hn_quantize_options options = {.format = t->format, .on_progress = on_weights, .user = &progress};
        HN_TRY(hn_pool_create(s->n_threads, &options.pool, err));
        hn_status st = hn_export_gguf(s->model, t->path, &options, &r, err);
        hn_pool_free(options.pool);
        HN_TRY(st);
        t->n_fallbacks = r.report.n_fallbacks;
        hn_export_gguf_result_free(&r);
    }
    int64_t size = hn_file_size(t->path);
    t->bytes = size > 0 ? (uint64_t)size : 0;
    return HN_OK;
}

/* ---- measuring ---- */

typedef struct cases_progress {
    const hn_format_hooks *hooks;
    hn_dtype format;
} cases_progress;

static void on_cases(void *user, const hn_eval_progress *progress) {
    cases_progress *p = user;
    if (p->hooks->on_cases) p->hooks->on_cases(p->hooks->user, p->format, progress);
}

static double tokens_per_second(const hn_prediction_list *list) {
    double tokens = 0, ms = 0;
    for (size_t i = 0; i < list->n; i++) {
        tokens += (double)(list->rows[i].prompt_tokens + list->rows[i].completion_tokens);
        ms += list->rows[i].prefill_ms + list->rows[i].decode_ms;
    }
    return ms > 0 && isfinite(ms) ? 1000 * tokens / ms : (double)NAN;
}

static hn_status measure(const hn_format_setup *s, hn_format_trial *t, hn_error *err) {
    hn_provider *provider;
    cases_progress progress = {&s->hooks, t->format};
    HN_TRY(s->hooks.open(s->hooks.user, t->path, &provider, err));
    hn_replay_setup setup = {.store = s->store, .run = s->run, .provider = provider};
    hn_status st = hn_rerun(&setup, "quantized", on_cases, &progress, &t->result, err);
    hn_provider_close(provider);
    if (st == HN_OK) t->tokens_per_second = tokens_per_second(&t->result.predictions);
    return st;
}

/* ---- judging ---- */

static hn_status judge_pair(const hn_comparison *c, double margin, hn_format_trial *t, hn_error *err) {
    size_t n = c->shared_b.n, n_groups;
    bool several;
    double *scores = hn_calloc(n + 1, 2 * sizeof *scores);
    uint32_t *groups = hn_calloc(n + 1, sizeof *groups);
    hn_status st = scores && groups ? HN_OK : hn_fail_memory(err, 2 * n * sizeof *scores);
    if (st == HN_OK) st = hn_report_groups(c->shared_b.rows, n, groups, &n_groups, &several, err);
    for (size_t i = 0; st == HN_OK && i < n; i++) {
        scores[i] = c->shared_a.rows[i].correct;
        scores[n + i] = c->shared_b.rows[i].correct;
    }
    hn_verdict_options options = {.smallest_difference = margin, .seed = HN_REPORT_SEED};
    const uint32_t *g = several ? groups : NULL;
    if (st == HN_OK) st = hn_verdict_judge(scores, scores + n, g, n, &options, &t->difference, err);
    if (st == HN_OK) st = hn_noninferiority_p(scores, scores + n, g, n, margin, HN_REPORT_SEED, &t->p, err);
    hn_free(scores);
    hn_free(groups);
    return st;
}

static hn_status compare(const hn_format_setup *s, hn_format_trial *t, hn_error *err) {
    char a[32], b[32];
    hn_comparison c;
    hn_compare_options options = {.smallest_difference = s->margin};
    snprintf(a, sizeof a, "r%lld", (long long)s->run->id);
    snprintf(b, sizeof b, "r%lld", (long long)t->result.run->id);
    HN_TRY(hn_compare_runs_with(s->store, a, b, s->scope, &options, &c, err));
    hn_status st = judge_pair(&c, s->margin, t, err);
    hn_comparison_free(&c);
    return st;
}

static hn_status judge_all(hn_format_trials *t, hn_error *err) {
    double p[HN_FORMAT_TRIALS_MAX];
    for (size_t i = 0; i < t->n; i++) p[i] = t->trials[i].p;
    HN_TRY(hn_holm(p, t->n, p, err));
    t->best = t->n;
    for (size_t i = 0; i < t->n; i++) {
        hn_format_trial *one = &t->trials[i];
        one->p_adjusted = p[i];
        one->kind = p[i] <= 0.025                         ? HN_FORMAT_NOT_WORSE
                    : one->difference.difference.high < 0 ? HN_FORMAT_WORSE
                                                          : HN_FORMAT_CANNOT_TELL;
        if (one->kind == HN_FORMAT_NOT_WORSE && (t->best == t->n || one->bytes < t->trials[t->best].bytes)) t->best = i;
    }
    return HN_OK;
}

static hn_status describe_run(const hn_format_setup *s, hn_format_trials *t, hn_error *err) {
    hn_prediction_list list;
    hn_report report;
    t->source_format = hn_model_shape(s->model)->main_dtype;
    t->quantised = hn_dtype_of(t->source_format).block_values > 1;
    HN_TRY(hn_prediction_load(s->store, s->run->id, &list, err));
    hn_status st = hn_report_build(&list, NULL, 0, &report, err);
    if (st == HN_OK) {
        t->accuracy = report.accuracy;
        hn_report_free(&report);
    }
    t->tokens_per_second = tokens_per_second(&list);
    hn_prediction_list_free(&list);
    return st;
}

static hn_status try_all(const hn_format_setup *s, hn_format_trials *t, hn_error *err) {
    HN_TRY(hn_format_trials_check(s->run, err));
    HN_TRY(check_model(s, err));
    HN_TRY(describe_run(s, t, err));
    HN_TRY(hn_dir_create(s->folder, err));
    t->trials = hn_calloc(s->n, sizeof *t->trials);
    if (!t->trials) return hn_fail_memory(err, s->n * sizeof *t->trials);
    t->n = s->n;
    for (size_t i = 0; i < s->n; i++) {
        t->trials[i].format = s->formats[i];
        HN_TRY(write_file(s, &t->trials[i], err));
        HN_TRY(measure(s, &t->trials[i], err));
        HN_TRY(compare(s, &t->trials[i], err));
    }
    return judge_all(t, err);
}

hn_status hn_format_trials_run(const hn_format_setup *s, hn_format_trials *t, hn_error *err) {
    *t = (hn_format_trials){.margin = s->margin};
    if (s->n == 0 || s->n > HN_FORMAT_TRIALS_MAX || !(s->margin > 0))
        return hn_fail(err, HN_ERR_USAGE, "formats", "name 1 to 16 formats, and a margin above 0",
                       "%zu formats with a margin of %g", s->n, s->margin);
    hn_status st = try_all(s, t, err);
    if (st != HN_OK) hn_format_trials_free(t);
    return st;
}

void hn_format_trials_free(hn_format_trials *t) {
    for (size_t i = 0; i < t->n; i++) hn_eval_result_free(&t->trials[i].result);
    hn_free(t->trials);
    *t = (hn_format_trials){0};
}

/* ---- JSON ---- */

static const char *format_name(hn_dtype format) {
    const char *name = hn_dtype_of(format).name;
    return name ? name : "unknown";
}

static json_t *number_or_null(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *trial_json(const hn_format_trial *t) {
    char name[32];
    snprintf(name, sizeof name, "r%lld", (long long)t->result.run->id);
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:o, s:o, s:f, s:f, s:s, s:I, s:I, s:I, s:I, s:o, s:o}", "format",
                     format_name(t->format), "run", name, "path", t->path, "bytes", (json_int_t)t->bytes, "fallbacks",
                     (json_int_t)t->n_fallbacks, "accuracy", hn_report_estimate_json(t->result.report.accuracy),
                     "difference", hn_report_estimate_json(t->difference.difference), "p", t->p, "p_adjusted",
                     t->p_adjusted, "verdict", hn_format_verdict_name(t->kind), "n", (json_int_t)t->difference.n,
                     "only_run_right", (json_int_t)t->difference.only_a_right, "only_format_right",
                     (json_int_t)t->difference.only_b_right, "cases_needed", (json_int_t)t->difference.cases_needed,
                     "latency_median_ms", number_or_null(t->result.report.latency_median_ms), "tokens_per_second",
                     number_or_null(t->tokens_per_second));
}

hn_status hn_format_trials_json(const hn_format_trials *t, const hn_run *run, json_t **value, hn_error *err) {
    char name[32];
    json_t *list = json_array();
    bool fine = list != NULL;
    snprintf(name, sizeof name, "r%lld", (long long)run->id);
    for (size_t i = 0; fine && i < t->n; i++) fine = json_array_append_new(list, trial_json(&t->trials[i])) == 0;
    json_t *best = t->best < t->n ? json_string(format_name(t->trials[t->best].format)) : json_null();
    *value = fine ? json_pack("{s:s, s:f, s:s, s:b, s:o, s:o, s:O, s:o}", "run", name, "margin", t->margin,
                              "source_format", format_name(t->source_format), "starts_quantised", t->quantised,
                              "accuracy", hn_report_estimate_json(t->accuracy), "tokens_per_second",
                              number_or_null(t->tokens_per_second), "formats", list, "smallest", best)
                  : NULL;
    json_decref(list);
    return *value ? HN_OK : hn_fail_memory(err, 0);
}
