/* Replaying a run; see run_replay.h. The evaluation is the ordinary one, over the project as it was (kept_project.h). */
#include "lifecycle/iterate/run_replay.h"

#include "lifecycle/eval/parameter_grid.h"
#include "lifecycle/iterate/kept_project.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool same(const char *a, const char *b) {
    if (!a || !b) return a == b;
    return strcmp(a, b) == 0;
}

/* ---- what can be replayed ---- */

static hn_status check_run(const hn_replay_setup *s, hn_replay *out, hn_error *err) {
    const hn_run_spec *spec = &s->run->spec;
    char name[32];
    hn_provider_info info;
    snprintf(name, sizeof name, "r%lld", (long long)s->run->id);
    if (strcmp(s->run->state, "done") != 0)
        return hn_fail(err, HN_ERR_INPUT, name, "finish it: run the `hone eval` that began it once more",
                       "the run is not finished: %lld of %lld cases are answered", (long long)s->run->n_done,
                       (long long)spec->n_cases);
    if (strcmp(s->run->kind, "eval") != 0 && strcmp(s->run->kind, "replay") != 0)
        return hn_fail(err, HN_ERR_INPUT, name, "replay the run that it was made from: `hone show` names it",
                       "a %s computed no answers of its own", s->run->kind);
    HN_TRY(hn_provider_info_get(s->provider, &info, err));
    if (!same(info.model_hash, spec->model_hash))
        return hn_fail(err, HN_ERR_INPUT, name, "give the model that it ran on: -m PATH",
                       "it ran on %s (%.12s); this model is %s (%.12s)", spec->model_name ? spec->model_name : "?",
                       spec->model_hash ? spec->model_hash : "?", info.name, info.model_hash);
    out->same_path = same(info.numeric_path, spec->numeric_path) && same(info.template_hash, spec->template_hash);
    out->reproducible = info.reproducible;
    return HN_OK;
}

/* What was given on the command line beside the prompt's file, out of the run's parameters. */
hn_status hn_run_apply_set(const json_t *parameters, hn_prompt *prompt, json_t **set, hn_error *err) {
    char texts[HN_GRID_AXES_MAX][96];
    const char *list[HN_GRID_AXES_MAX], *key;
    size_t n = 0;
    json_t *value;
    hn_grid grid;
    *set = NULL;
    json_object_foreach(json_object_get(parameters, "set"), key, value) {
        if (n == HN_GRID_AXES_MAX) return hn_fail(err, HN_ERR_INPUT, "parameters", NULL, "too many were set");
        snprintf(texts[n], sizeof texts[n], "%.40s=%.17g", key, json_number_value(value));
        list[n] = texts[n];
        n++;
    }
    if (n == 0) return HN_OK;
    HN_TRY(hn_grid_parse(list, n, &grid, err));
    hn_status st = hn_grid_apply(&grid, 0, prompt, set, err);
    hn_grid_free(&grid);
    return st;
}

/* ---- comparing ---- */

/* Log-likelihoods of labels that were left out are NaN on both sides. */
static bool same_doubles(const double *a, const double *b, size_t n, double *largest) {
    bool equal = true;
    for (size_t i = 0; i < n; i++) {
        if (isnan(a[i]) && isnan(b[i])) continue;
        equal = equal && memcmp(&a[i], &b[i], sizeof a[i]) == 0;
        double difference = fabs(a[i] - b[i]);
        if (largest && isfinite(difference) && !(difference <= *largest)) *largest = difference;
    }
    return equal;
}

static bool same_rows(const double *a, const double *b, size_t n_a, size_t n_b, double *largest) {
    if (!a || !b) return a == b;
    return n_a == n_b && same_doubles(a, b, n_a, largest);
}

static const char *first_difference(const hn_prediction *a, const hn_prediction *b, double *largest) {
    *largest = (double)NAN;
    bool raw = same_rows(a->raw_logprobs, b->raw_logprobs, a->n_probabilities, b->n_probabilities, largest);
    bool probabilities = same_rows(a->probabilities, b->probabilities, a->n_probabilities, b->n_probabilities, NULL);
    if (!same(a->error, b->error)) return "error";
    if (!same(a->value, b->value)) return "answer";
    if (!same(a->text, b->text)) return "text";
    if (!raw) return "likelihoods";
    if (!probabilities) return "probabilities";
    if (a->prompt_tokens != b->prompt_tokens || a->completion_tokens != b->completion_tokens) return "tokens";
    if (!same(a->finish, b->finish)) return "finish";
    return NULL;
}

static hn_status compare(hn_replay *r, hn_error *err) {
    const hn_prediction_list *after = &r->after.predictions;
    r->largest = (double)NAN;
    r->changes = hn_calloc(after->n + 1, sizeof *r->changes);
    if (!r->changes) return hn_fail_memory(err, after->n * sizeof *r->changes);
    for (size_t i = 0, k = 0; i < after->n; i++) {
        const hn_prediction *b = &after->rows[i];
        while (k < r->before.n && r->before.rows[k].position < b->position) k++;
        const hn_prediction *a = k < r->before.n ? &r->before.rows[k] : NULL;
        if (!a || a->position != b->position || strcmp(a->case_id, b->case_id) != 0)
            return hn_fail(err, HN_ERR_INPUT, "replay", "the data kept with the run was read differently",
                           "case %s stands where the run has another", b->case_id);
        double largest;
        const char *what = first_difference(a, b, &largest);
        r->n++;
        r->n_same += !what;
        r->n_agree += same(a->value, b->value);
        if (isfinite(largest) && !(largest <= r->largest)) r->largest = largest;
        if (what) r->changes[r->n_changes++] = (hn_replay_change){a, b, what, largest};
    }
    return HN_OK;
}

/* ---- running ---- */

/* How the run's cases are answered again. */
typedef struct answering {
    const char *kind, *role;
    bool no_cache;
    hn_eval_on_progress *on_progress;
    void *user;
    hn_eval_result *result;
} answering;

static hn_status evaluate(const hn_replay_setup *s, const hn_kept_project *kept, const json_t *parameters,
                          const hn_dataset *data, hn_prompt *prompt, const answering *how, hn_error *err) {
    const hn_run_spec *spec = &s->run->spec;
    hn_split split;
    size_t n = (size_t)spec->n_cases;
    if (!spec->split || !hn_split_parse(spec->split, &split))
        return hn_fail(err, HN_ERR_INPUT, "run", NULL, "the run's split is not known");
    json_t *set;
    HN_TRY(hn_run_apply_set(parameters, prompt, &set, err));
    json_int_t repeat = json_integer_value(json_object_get(parameters, "repeat"));
    if (repeat > 1) prompt->seed += (uint64_t)(repeat - 1); /* as the matrix gave it */
    hn_eval_setup setup = {.project = kept->project,
                           .dataset = data,
                           .store = s->store,
                           .provider = s->provider,
                           .split = split,
                           .kind = how->kind,
                           .limit = s->limit && s->limit < n ? s->limit : n,
                           .no_cache = how->no_cache,
                           .set = set,
                           .repeat = (int)repeat};
    hn_status st = hn_eval_run(&setup, prompt, how->on_progress, how->user, how->result, err);
    json_decref(set);
    if (st == HN_OK) st = hn_run_link_add(s->store, how->result->run->id, s->run->id, how->role, err);
    return st;
}

static hn_status replay_kept(const hn_replay_setup *s, const hn_kept_project *kept, const json_t *parameters,
                             const answering *how, hn_error *err) {
    const hn_dataset *data;
    hn_prompt *prompt;
    if (!*kept->prompt_path)
        return hn_fail(err, HN_ERR_NOT_FOUND, "run", NULL, "the prompt of r%lld is not kept", (long long)s->run->id);
    HN_TRY(hn_project_dataset(kept->project, &data, err));
    if (!same(data->hash, s->run->spec.dataset_hash))
        return hn_fail(err, HN_ERR_INPUT, "data", "use the version of hone that made the run",
                       "the data kept with r%lld reads as %.12s now, the run has %.12s", (long long)s->run->id,
                       data->hash, s->run->spec.dataset_hash ? s->run->spec.dataset_hash : "none");
    HN_TRY(hn_prompt_load(kept->prompt_path, hn_project_scope(kept->project), data, &prompt, err));
    hn_status st = evaluate(s, kept, parameters, data, prompt, how, err);
    hn_prompt_free(prompt);
    return st;
}

static hn_status answer_again(const hn_replay_setup *s, const answering *how, hn_error *err) {
    hn_kept_project kept = {0};
    json_t *parameters = NULL;
    const char *text = s->run->spec.parameters_json;
    hn_status st = text && *text ? hn_json_parse(text, strlen(text), "parameters", 0, &parameters, err) : HN_OK;
    if (st == HN_OK) st = hn_kept_open(s->store, s->run, &kept, err);
    if (st == HN_OK) st = replay_kept(s, &kept, parameters, how, err);
    hn_kept_close(&kept);
    json_decref(parameters);
    return st;
}

hn_status hn_rerun(const hn_replay_setup *s, const char *role, hn_eval_on_progress *on_progress, void *user,
                   hn_eval_result *result, hn_error *err) {
    answering how = {.role = role, .on_progress = on_progress, .user = user, .result = result};
    *result = (hn_eval_result){0};
    hn_status st = answer_again(s, &how, err);
    if (st != HN_OK) hn_eval_result_free(result);
    return st;
}

hn_status hn_replay_run(const hn_replay_setup *s, hn_eval_on_progress *on_progress, void *user, hn_replay *out,
                        hn_error *err) {
    answering how = {.kind = "replay",
                     .role = "replay",
                     .no_cache = true,
                     .on_progress = on_progress,
                     .user = user,
                     .result = &out->after};
    *out = (hn_replay){0};
    hn_status st = check_run(s, out, err);
    if (st == HN_OK) st = answer_again(s, &how, err);
    if (st == HN_OK) st = hn_prediction_load(s->store, s->run->id, &out->before, err);
    if (st == HN_OK) st = compare(out, err);
    if (st != HN_OK) hn_replay_free(out);
    return st;
}

void hn_replay_free(hn_replay *r) {
    hn_prediction_list_free(&r->before);
    hn_eval_result_free(&r->after);
    hn_free(r->changes);
    *r = (hn_replay){0};
}

/* ---- JSON ---- */

static json_t *number_or_null(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *change_json(const hn_replay_change *c) {
    const char *a = c->before->value, *b = c->after->value;
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:b, s:b}", "case", c->after->case_id, "what", c->what, "before",
                     a ? json_stringn_nocheck(a, strlen(a)) : json_null(), "after",
                     b ? json_stringn_nocheck(b, strlen(b)) : json_null(), "largest", number_or_null(c->largest),
                     "right_before", c->before->correct, "right_after", c->after->correct);
}

hn_status hn_replay_json(const hn_replay *r, const hn_run *run, json_t **value, hn_error *err) {
    char name[32], again[32];
    json_t *changes = json_array();
    bool fine = changes != NULL;
    snprintf(name, sizeof name, "r%lld", (long long)run->id);
    snprintf(again, sizeof again, "r%lld", (long long)r->after.run->id);
    for (size_t i = 0; fine && i < r->n_changes; i++)
        fine = json_array_append_new(changes, change_json(&r->changes[i])) == 0;
    *value = fine ? json_pack("{s:s, s:s, s:b, s:b, s:{s:s?, s:s?}, s:I, s:I, s:I, s:o, s:f, s:O}", "run", name,
                              "replay", again, "same_bits", r->n_same == r->n, "same_path", r->same_path,
                              "numeric_path", "run", run->spec.numeric_path, "replay", r->after.run->spec.numeric_path,
                              "n", (json_int_t)r->n, "n_same", (json_int_t)r->n_same, "n_agree", (json_int_t)r->n_agree,
                              "largest", number_or_null(r->largest), "seconds", r->after.seconds, "changes", changes)
                  : NULL;
    json_decref(changes);
    return *value ? HN_OK : hn_fail_memory(err, 0);
}
