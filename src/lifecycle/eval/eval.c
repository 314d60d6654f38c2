/* Evaluation; see eval.h. Each step keeps a window of cases in the App's queue; answers gather in a batch that is added to the store in one
 * short transaction. */
#include "lifecycle/eval/eval.h"

#include "app/app.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "lifecycle/eval/correction_run.h"
#include "lifecycle/eval/grade.h"
#include "lifecycle/eval/grade_run.h"
#include "lifecycle/eval/guard_report.h"
#include "lifecycle/eval/run_identity.h"
#include "lifecycle/iterate/kept_project.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WINDOW = 128, BATCH_MAX = 256, STEP_MS = 100 };
static const double BATCH_SECONDS = 0.5;

typedef struct hn_evaluation evaluation;

/* What the queue hands back with an answer. */
typedef struct slot {
    evaluation *e;
    size_t position;
} slot;

/* What is known of a case's answer in the store. */
enum { NOT_SAVED, SAVED_WRONG, SAVED_RIGHT };

struct hn_evaluation {
    hn_eval_setup setup;
    const hn_prompt *prompt;
    hn_app *app;
    uint32_t *cases; /* (n_cases) in the run's order */
    size_t n_cases;
    unsigned char *saved; /* (n_cases) NOT_SAVED, SAVED_WRONG, SAVED_RIGHT */
    slot *slots;          /* (n_cases) */
    size_t next, in_flight;
    hn_run *run;
    hn_run_start start;
    size_t n_resumed;
    double started;
    bool over;
    double *scores;          /* (n_cases) with `until`: what is saved, for looking */
    size_t n_prefix, looked; /* cases answered without a gap; as many of them were looked at */
    hn_repeated_looks sequence;
    bool decided;
    hn_prediction batch[BATCH_MAX];
    size_t n_batch;
    hn_arena *batch_arena;
    double batch_started;
    hn_status failed; /* an answer that ends the run */
    hn_error failure;
    hn_eval_on_progress *on_progress;
    void *user;
    hn_eval_progress progress;
    hn_correction correction; /* none on dev, where it is fitted */
};

/* ---- cases and identity ---- */

hn_status hn_eval_cases(const hn_eval_setup *setup, uint32_t **cases, size_t *n, hn_error *err) {
    uint32_t *all;
    size_t n_all, n_kept = 0;
    HN_TRY(hn_dataset_select(setup->dataset, setup->split, &all, &n_all, err));
    for (size_t i = 0; i < n_all; i++)
        if (setup->dataset->cases[all[i]].target) all[n_kept++] = all[i];
    if (n_kept == 0) {
        hn_free(all);
        return hn_fail(err, HN_ERR_INPUT, "split",
                       "give it a share under `split:` in hone.yaml, or choose another with --split",
                       "the %s split has no cases with a target", hn_split_name(setup->split));
    }
    *cases = all;
    *n = setup->limit && setup->limit < n_kept ? setup->limit : n_kept;
    return HN_OK;
}

static hn_status case_set_hash(const hn_dataset *d, const uint32_t *cases, size_t n, char hex[HN_SHA256_HEX],
                               hn_error *err) {
    hn_sha256 *h = hn_sha256_create();
    if (!h) return hn_fail_memory(err, 0);
    for (size_t i = 0; i < n; i++) hn_sha256_field_str(h, d->cases[cases[i]].id);
    hn_sha256_finish(h, hex);
    return HN_OK;
}

static hn_status begin_run(evaluation *e, const char *parameters, hn_run **run, hn_run_start *start, hn_error *err) {
    const hn_eval_setup *s = &e->setup;
    char set_hash[65];
    hn_run_identity id;
    HN_TRY(hn_run_identify(s->project, s->store, s->dataset, e->prompt, s->provider, &id, err));
    HN_TRY(case_set_hash(s->dataset, e->cases, e->n_cases, set_hash, err));
    id.spec.kind = s->kind ? s->kind : "eval";
    id.spec.split = hn_split_name(s->split);
    id.spec.n_cases = (int64_t)e->n_cases;
    id.spec.case_set_hash = set_hash;
    id.spec.parameters_json = parameters;
    return hn_run_begin(s->store, &id.spec, s->no_cache, run, start, err);
}

static hn_status begin(evaluation *e, hn_run **run, hn_run_start *start, hn_error *err) {
    json_t *parameters;
    hn_buf text;
    hn_buf_init(&text, 0);
    HN_TRY(hn_app_parameters(e->app, &parameters, err));
    bool fine = true;
    if (json_object_size(e->setup.set)) fine = json_object_set(parameters, "set", e->setup.set) == 0;
    if (fine && e->setup.n_leaks)
        fine = json_object_set_new(parameters, "leaking_cases", json_integer((json_int_t)e->setup.n_leaks)) == 0;
    if (fine && e->setup.repeat > 1)
        fine = json_object_set_new(parameters, "repeat", json_integer(e->setup.repeat)) == 0;
    if (!fine) {
        json_decref(parameters);
        return hn_fail_memory(err, 0);
    }
    hn_json_write(parameters, &(hn_json_style){.sort_keys = true}, &text);
    json_decref(parameters);
    hn_status st = hn_buf_check(&text, "the run's parameters", err);
    if (st == HN_OK) st = begin_run(e, hn_buf_str(&text), run, start, err);
    hn_buf_free(&text);
    return st;
}

/* What the app's dev run says of its probabilities; see correction_run.h. */
static hn_status choose_correction(evaluation *e, hn_app_parts *parts, hn_error *err) {
    const hn_eval_setup *s = &e->setup;
    const hn_scope *scope = hn_project_scope(s->project);
    hn_provider_info info;
    if (s->split == HN_SPLIT_DEV || !hn_correction_wanted(scope, e->prompt)) return HN_OK;
    HN_TRY(hn_provider_info_get(s->provider, &info, err));
    hn_run_spec like = {.prompt_hash = e->prompt->hash,
                        .model_hash = info.model_hash,
                        .template_hash = info.template_hash,
                        .numeric_path = info.numeric_path,
                        .dataset_hash = s->dataset->hash,
                        .scope_hash = hn_project_scope_hash(s->project)};
    HN_TRY(hn_correction_find(s->store, scope, e->prompt, &like, &e->correction, err));
    parts->correction = &e->correction;
    return HN_OK;
}

/* ---- answers into the store ---- */

static const char *finish_name(hn_finish finish) {
    switch (finish) {
    case HN_FINISH_STOP: return "stop";
    case HN_FINISH_LENGTH: return "length";
    case HN_FINISH_CANCELLED: return "cancelled";
    case HN_FINISH_ERROR: return "error";
    }
    return "error";
}

static void write_set(const hn_answer *a, char *const *labels, hn_buf *out) {
    hn_buf_append_str(out, "\"label_set\":[");
    for (size_t k = 0, n = 0; k < a->n_labels; k++) {
        if (!a->label_set[k]) continue;
        if (n++) hn_buf_append_char(out, ',');
        hn_json_write_string(labels[k], strlen(labels[k]), false, out);
    }
    hn_buf_append_str(out, "],");
}

/* {"examples":[ids],"reasoning","abstained":true,"label_set":[labels],"guard","support","unsupported":[sentences]}, each where it applies; "" where there is nothing to say. */
static hn_status write_details(const hn_scope *scope, const hn_case *c, const hn_answer *a, hn_buf *out,
                               hn_error *err) {
    bool guarded = a->guard || !isnan(a->support);
    if (!a->n_examples && !a->reasoning && !a->abstained && !a->label_set && !guarded) return HN_OK;
    hn_buf_append_char(out, '{');
    for (size_t i = 0; i < a->n_examples; i++) {
        hn_buf_append_str(out, i ? "," : "\"examples\":[");
        hn_json_write_string(a->examples[i]->id, strlen(a->examples[i]->id), false, out);
    }
    if (a->n_examples) hn_buf_append_str(out, "],");
    if (a->abstained) hn_buf_append_str(out, "\"abstained\":true,");
    if (a->label_set) write_set(a, scope->contract.labels, out);
    if (guarded) HN_TRY(hn_guard_details(scope, c, a, out, err));
    if (a->reasoning) {
        hn_buf_append_str(out, "\"reasoning\":");
        hn_json_write_string(a->reasoning, strlen(a->reasoning), false, out);
        hn_buf_append_char(out, ',');
    }
    HN_TRY(hn_buf_check(out, "an answer's details", err));
    out->data[out->len - 1] = '}'; /* in place of the last comma */
    return HN_OK;
}

static const double *copy_doubles(hn_arena *arena, const double *values, size_t n) {
    double *copy = values ? hn_arena_alloc(arena, n * sizeof *copy) : NULL;
    if (copy) memcpy(copy, values, n * sizeof *copy);
    return copy;
}

static hn_status add_row(evaluation *e, size_t position, const hn_answer *a, hn_error *err) {
    const hn_case *c = &e->setup.dataset->cases[e->cases[position]];
    const hn_contract *contract = &hn_project_scope(e->setup.project)->contract;
    hn_arena *arena = e->batch_arena;
    hn_buf details;
    hn_buf_init(&details, 0);
    bool correct = a->status == HN_OK && hn_grade_answer(contract, c->target, a->value);
    hn_status st = write_details(hn_project_scope(e->setup.project), c, a, &details, err);
    hn_prediction p = {.case_id = c->id,
                       .position = (int64_t)position,
                       .target = c->target,
                       .group = c->group,
                       .value = a->value ? hn_arena_strdup(arena, a->value) : NULL,
                       .text = a->text ? hn_arena_strndup(arena, a->text, a->text_bytes) : NULL,
                       .correct = correct,
                       .score = correct,
                       .probabilities = copy_doubles(arena, a->probabilities, a->n_labels),
                       .raw_logprobs = copy_doubles(arena, a->raw_logprobs, a->n_labels),
                       .n_probabilities = a->n_labels,
                       .prompt_tokens = a->usage.prompt_tokens,
                       .completion_tokens = a->usage.completion_tokens,
                       .prefill_ms = a->timing.prefill_ms,
                       .decode_ms = a->timing.decode_ms,
                       .cost = a->usage.cost,
                       .finish = finish_name(a->finish),
                       .error = a->status != HN_OK ? hn_arena_strdup(arena, a->error.message) : NULL,
                       .cache_key = a->cache_key ? hn_arena_strdup(arena, a->cache_key) : NULL,
                       .from_cache = a->from_cache,
                       .details_json = details.len ? hn_arena_strdup(arena, hn_buf_str(&details)) : NULL};
    bool lost = (a->value && !p.value) || (a->text && !p.text) || (a->probabilities && !p.probabilities) ||
                (a->raw_logprobs && !p.raw_logprobs) || (a->status != HN_OK && !p.error) ||
                (a->cache_key && !p.cache_key) || (details.len && !p.details_json);
    hn_buf_free(&details);
    if (st == HN_OK && lost) st = hn_fail_memory(err, 0);
    if (st != HN_OK) return st;
    if (e->n_batch == 0) e->batch_started = hn_clock_seconds();
    e->batch[e->n_batch++] = p;
    return HN_OK;
}

/* Puts the prompt's file and the case in front of where an error is. */
static void name_place(const evaluation *e, size_t position, hn_error *err) {
    char where[384];
    snprintf(where, sizeof where, "%.250s, case %.100s", e->prompt->path,
             e->setup.dataset->cases[e->cases[position]].id);
    hn_error_prefix(err, where);
}

/* An error of one case is that case's (wrong) answer; any other ends the run. */
static void on_answer(void *user, uint64_t ticket, const hn_answer *a) {
    slot *s = user;
    evaluation *e = s->e;
    size_t position = s->position;
    (void)ticket;
    if (e->failed != HN_OK) return;
    bool own =
        a->status == HN_OK || a->status == HN_ERR_CONTEXT || a->status == HN_ERR_LIMIT || a->status == HN_ERR_TIMEOUT;
    if (!own) {
        e->failed = a->status;
        e->failure = a->error;
        if (a->status != HN_ERR_BUDGET) name_place(e, position, &e->failure);
        return;
    }
    e->failed = add_row(e, position, a, &e->failure);
}

static void report(evaluation *e) {
    hn_app_calibration(e->app, &e->progress.n_prior, &e->progress.n_prior_cases);
    if (e->on_progress) e->on_progress(e->user, &e->progress);
}

static hn_status save_batch(evaluation *e, hn_error *err) {
    if (e->n_batch == 0) return HN_OK;
    HN_TRY(hn_prediction_add(e->setup.store, e->progress.run_id, e->batch, e->n_batch, err));
    for (size_t i = 0; i < e->n_batch; i++) {
        e->saved[e->batch[i].position] = e->batch[i].correct ? SAVED_RIGHT : SAVED_WRONG;
        e->progress.n_correct += e->batch[i].correct;
    }
    e->progress.n_saved += e->n_batch;
    e->n_batch = 0;
    hn_arena_free(e->batch_arena);
    e->batch_arena = hn_arena_create(0);
    if (!e->batch_arena) return hn_fail_memory(err, 0);
    report(e);
    return HN_OK;
}

/* ---- the loop ---- */

/* Queues the next case that has no answer yet, where one is left. */
static hn_status submit_next(evaluation *e, hn_error *err) {
    while (e->next < e->n_cases && e->saved[e->next]) e->next++;
    if (e->next == e->n_cases) return HN_OK;
    const hn_case *c = &e->setup.dataset->cases[e->cases[e->next]];
    e->slots[e->next] = (slot){e, e->next};
    hn_status st = hn_app_submit(e->app, c, 0, on_answer, &e->slots[e->next], NULL, err);
    if (st != HN_OK) {
        name_place(e, e->next, err);
        return st;
    }
    e->next++;
    e->in_flight++;
    return HN_OK;
}

/* Looks at the cases answered without a gap, at fixed numbers of them: what has been answered behind a gap would be those that were quick. */
static hn_status look(evaluation *e, hn_error *err) {
    const hn_eval_until *u = e->setup.until;
    if (!u) return HN_OK;
    for (; e->n_prefix < e->n_cases && e->saved[e->n_prefix]; e->n_prefix++)
        e->scores[e->n_prefix] = e->saved[e->n_prefix] == SAVED_RIGHT;
    size_t n = e->n_prefix == e->n_cases ? e->n_cases : e->n_prefix / u->every * u->every;
    if (n == e->looked) return HN_OK;
    e->looked = n;
    HN_TRY(hn_repeated_looks_judge(u->reference, e->scores, u->groups, n, u->every, u->alpha, &e->sequence, err));
    e->decided = e->sequence.kind != HN_VERDICT_CANNOT_TELL;
    if (e->decided) e->over = true;
    return HN_OK;
}

hn_status hn_evaluation_step(hn_evaluation *e, int timeout_ms, bool *over, hn_error *err) {
    if (!e->over) HN_TRY(look(e, err));
    *over = e->over;
    if (e->over) return HN_OK;
    while (e->next < e->n_cases && e->in_flight < WINDOW) {
        HN_TRY(hn_interrupt_check(err));
        HN_TRY(submit_next(e, err));
    }
    HN_TRY(hn_interrupt_check(err));
    HN_TRY(hn_app_step(e->app, timeout_ms, &e->in_flight, err));
    if (e->failed != HN_OK) {
        if (err) *err = e->failure;
        return e->failed;
    }
    e->over = e->in_flight == 0 && e->next == e->n_cases;
    /* A whole window of answers must fit behind what is there. */
    bool due =
        e->n_batch > BATCH_MAX - WINDOW || (e->n_batch && hn_clock_seconds() - e->batch_started >= BATCH_SECONDS);
    if (e->over || due)
        HN_TRY(save_batch(e, err));
    else
        report(e);
    HN_TRY(look(e, err));
    *over = e->over;
    return HN_OK;
}

static hn_status load_saved(evaluation *e, hn_error *err) {
    hn_prediction_list list;
    HN_TRY(hn_prediction_load(e->setup.store, e->progress.run_id, &list, err));
    for (size_t i = 0; i < list.n; i++) {
        if (list.rows[i].position < 0 || (size_t)list.rows[i].position >= e->n_cases) continue;
        e->saved[list.rows[i].position] = list.rows[i].correct ? SAVED_RIGHT : SAVED_WRONG;
        e->progress.n_saved++;
        e->progress.n_correct += list.rows[i].correct;
    }
    hn_prediction_list_free(&list);
    return HN_OK;
}

/* What was computed is kept whatever the reason for stopping; a failure in doing so does not hide that reason. */
void hn_evaluation_stop(hn_evaluation *e, hn_status why, hn_error *err) {
    hn_error unused;
    hn_store *store = e->setup.store;
    if (e->start == HN_RUN_DONE) return;
    hn_status st = save_batch(e, &unused);
    if (st == HN_OK) st = hn_app_flush(e->app, &unused);
    if (st == HN_OK) st = hn_run_stop(store, e->progress.run_id, &unused);
    if (err && (why == HN_ERR_BUDGET || why == HN_ERR_NETWORK)) {
        size_t n = strlen(err->message);
        snprintf(err->message + n, sizeof err->message - n, "; %zu of %zu answers are saved as r%lld",
                 e->progress.n_saved, e->n_cases, (long long)e->progress.run_id);
    }
    if (why == HN_ERR_INTERRUPTED)
        hn_fail(err, HN_ERR_INTERRUPTED, NULL, "run the same command again to go on from there",
                "stopped: %zu of %zu answers are saved as r%lld", e->progress.n_saved, e->n_cases,
                (long long)e->progress.run_id);
}

/* What answering one case at a time takes, in bytes: the evaluation itself holds many at once. 0: not known (remote). */
static size_t one_case_bytes(const hn_provider_info *info, const hn_prediction_list *list) {
    int64_t longest = 0;
    if (!info->model) return 0;
    for (size_t i = 0; i < list->n; i++) {
        int64_t n = list->rows[i].prompt_tokens + list->rows[i].completion_tokens;
        if (n > longest) longest = n;
    }
    return info->model_bytes + info->kv_bytes_per_token * (size_t)longest;
}

static hn_status machine_json(evaluation *e, const hn_prediction_list *list, json_t **machine, hn_error *err) {
    hn_provider_info info;
    HN_TRY(hn_provider_info_get(e->setup.provider, &info, err));
    size_t one = one_case_bytes(&info, list);
    *machine = json_pack("{s:I, s:b, s:o}", "memory_bytes", (json_int_t)info.memory_bytes, "reproducible",
                         info.reproducible, "one_case_bytes", one ? json_integer((json_int_t)one) : json_null());
    return *machine ? HN_OK : hn_fail_memory(err, 0);
}

static hn_status build_report(evaluation *e, hn_eval_result *r, hn_error *err) {
    const hn_contract *contract = &hn_project_scope(e->setup.project)->contract;
    bool choice = contract->kind == HN_CONTRACT_CHOICE;
    HN_TRY(hn_prediction_load(e->setup.store, r->run->id, &r->predictions, err));
    return hn_report_build(&r->predictions, choice ? (const char *const *)contract->labels : NULL, contract->n_labels,
                           &r->report, err);
}

static hn_status finish_run(evaluation *e, hn_eval_result *r, hn_error *err) {
    json_t *summary, *machine;
    hn_buf text;
    HN_TRY(hn_app_flush(e->app, err));
    HN_TRY(build_report(e, r, err));
    if (r->report.n_failed == r->report.n) {
        hn_error unused;
        hn_status st = hn_run_fail(e->setup.store, r->run->id, r->predictions.rows[0].error, &unused);
        (void)st; /* the reason for the failure is what the user must read, also where it cannot be kept */
        return hn_fail(err, HN_ERR_CONTEXT, e->prompt->path,
                       "shorten the prompt, show fewer examples, or take a model with a larger context",
                       "none of the %zu cases could be answered; the first: %s", r->report.n,
                       r->predictions.rows[0].error);
    }
    HN_TRY(machine_json(e, &r->predictions, &machine, err));
    hn_grading grading = {.scope = hn_project_scope(e->setup.project),
                          .dataset = e->setup.dataset,
                          .store = e->setup.store,
                          .provider = e->setup.provider,
                          .open_model = e->setup.open_model,
                          .user = e->setup.open_user,
                          .no_cache = e->setup.no_cache};
    hn_status st = hn_grade_into(&grading, r->run->id, &r->predictions, machine, err);
    if (st == HN_OK) st = hn_report_summary(&r->report, r->seconds, machine, &summary, err);
    json_decref(machine);
    HN_TRY(st);
    hn_buf_init(&text, 0);
    hn_json_write(summary, NULL, &text);
    json_decref(summary);
    st = hn_buf_check(&text, "the run's summary", err);
    if (st == HN_OK) st = hn_run_finish(e->setup.store, r->run->id, hn_buf_str(&text), err);
    if (st == HN_OK && !(r->run->summary_json = hn_arena_strdup(r->run->arena, hn_buf_str(&text))))
        st = hn_fail_memory(err, text.len);
    hn_buf_free(&text);
    return st;
}

/* Decided before all cases were answered: what there is is kept, and reported. */
static hn_status finish_early(evaluation *e, hn_eval_result *r, hn_error *err) {
    HN_TRY(save_batch(e, err));
    HN_TRY(hn_app_flush(e->app, err));
    HN_TRY(hn_run_stop(e->setup.store, r->run->id, err));
    HN_TRY(hn_test_look_add(e->setup.store, r->run->id, err));
    r->stopped_early = true;
    return build_report(e, r, err);
}

/* A finished run is looked at, too, as if it were running. */
static hn_status look_at_all(const evaluation *e, hn_eval_result *r, hn_error *err) {
    const hn_eval_until *u = e->setup.until;
    if (!u || r->predictions.n != u->n) return HN_OK;
    for (size_t i = 0; i < u->n; i++) e->scores[i] = r->predictions.rows[i].correct;
    return hn_repeated_looks_judge(u->reference, e->scores, u->groups, u->n, u->every, u->alpha, &r->sequence, err);
}

hn_status hn_evaluation_finish(hn_evaluation *e, hn_eval_result *r, hn_error *err) {
    *r = (hn_eval_result){.run = e->run, .start = e->start, .n_resumed = e->n_resumed};
    e->run = NULL;
    hn_status st;
    if (r->start == HN_RUN_DONE) {
        st = build_report(e, r, err);
        r->seconds = hn_clock_seconds() - e->started;
        r->n_cached = r->report.n;
        if (st == HN_OK) st = look_at_all(e, r, err);
        if (st == HN_OK) st = hn_test_look_add(e->setup.store, r->run->id, err);
    } else {
        r->seconds = hn_clock_seconds() - e->started;
        r->sequence = e->sequence;
        st = e->decided && e->progress.n_saved + e->n_batch < e->n_cases ? finish_early(e, r, err)
                                                                         : finish_run(e, r, err);
        r->n_cached = r->report.n_cached;
    }
    if (st != HN_OK) hn_eval_result_free(r);
    return st;
}

static hn_status open_run(evaluation *e, hn_error *err) {
    hn_app_parts parts = {.scope = hn_project_scope(e->setup.project),
                          .dataset = e->setup.dataset,
                          .prompt = e->prompt,
                          .provider = e->setup.provider,
                          .store = e->setup.no_cache || e->setup.repeat > 1 ? NULL : e->setup.store};
    if (!(e->batch_arena = hn_arena_create(0))) return hn_fail_memory(err, 0);
    HN_TRY(hn_eval_cases(&e->setup, &e->cases, &e->n_cases, err));
    e->saved = hn_calloc(e->n_cases, 1);
    e->slots = hn_calloc(e->n_cases, sizeof *e->slots);
    e->scores = hn_calloc(e->setup.until ? e->n_cases : 1, sizeof *e->scores);
    if (!e->saved || !e->slots || !e->scores) return hn_fail_memory(err, e->n_cases * sizeof *e->slots);
    if (e->setup.until && e->setup.until->n != e->n_cases)
        return hn_fail(err, HN_ERR_INTERNAL, "until", NULL, "the reference has %zu cases, the run %zu",
                       e->setup.until->n, e->n_cases);
    HN_TRY(choose_correction(e, &parts, err));
    HN_TRY(hn_app_create(&parts, &e->app, err));
    e->started = hn_clock_seconds();
    HN_TRY(begin(e, &e->run, &e->start, err));
    if (!hn_store_is_read_only(e->setup.store))
        HN_TRY(hn_kept_put(e->setup.store, e->run->id, hn_project_scope(e->setup.project), err));
    e->progress.run_id = e->run->id;
    e->progress.n_cases = e->n_cases;
    e->over = e->start == HN_RUN_DONE;
    if (e->over) return HN_OK;
    HN_TRY(load_saved(e, err));
    e->n_resumed = e->progress.n_saved;
    report(e);
    return HN_OK;
}

hn_status hn_evaluation_open(const hn_eval_setup *setup, const hn_prompt *prompt, hn_eval_on_progress *on_progress,
                             void *user, hn_evaluation **out, hn_error *err) {
    *out = NULL;
    evaluation *e = hn_calloc(1, sizeof *e);
    if (!e) return hn_fail_memory(err, sizeof *e);
    *e = (evaluation){.setup = *setup,
                      .prompt = prompt,
                      .on_progress = on_progress,
                      .user = user,
                      .correction = hn_correction_none()};
    hn_status st = open_run(e, err);
    if (st == HN_OK)
        *out = e;
    else
        hn_evaluation_free(e);
    return st;
}

void hn_evaluation_free(hn_evaluation *e) {
    if (!e) return;
    hn_app_free(e->app);
    hn_correction_free(&e->correction);
    hn_arena_free(e->batch_arena);
    hn_run_free(e->run);
    hn_free(e->saved);
    hn_free(e->slots);
    hn_free(e->scores);
    hn_free(e->cases);
    hn_free(e);
}

hn_status hn_eval_run(const hn_eval_setup *setup, const hn_prompt *prompt, hn_eval_on_progress *on_progress, void *user,
                      hn_eval_result *result, hn_error *err) {
    hn_evaluation *e;
    *result = (hn_eval_result){0};
    HN_TRY(hn_evaluation_open(setup, prompt, on_progress, user, &e, err));
    hn_status st = HN_OK;
    for (bool over = false; st == HN_OK && !over;) st = hn_evaluation_step(e, STEP_MS, &over, err);
    if (st == HN_OK)
        st = hn_evaluation_finish(e, result, err);
    else
        hn_evaluation_stop(e, st, err);
    hn_evaluation_free(e);
    return st;
}

void hn_eval_result_free(hn_eval_result *r) {
    hn_report_free(&r->report);
    hn_prediction_list_free(&r->predictions);
    hn_run_free(r->run);
    *r = (hn_eval_result){0};
}

hn_status hn_eval_json(const hn_eval_result *r, const json_t *baselines, json_t **value, hn_error *err) {
    char name[32];
    snprintf(name, sizeof name, "r%lld", (long long)r->run->id);
    const hn_run_spec *s = &r->run->spec;
    json_t *metrics = json_pack("{s:o}", "accuracy", hn_report_estimate_json(r->report.accuracy));
    bool fine = metrics && (!r->report.n_labels ||
                            json_object_set_new(metrics, "macro_f1", hn_report_estimate_json(r->report.macro_f1)) == 0);
    *value =
        !fine ? NULL
              : json_pack("{s:s, s:s, s:s, s:s?, s:s, s:I, s:O, s:O, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}",
                          "run", name, "id", r->run->content_id, "prompt", s->prompt_name, "model", s->model_name,
                          "split", s->split, "n", (json_int_t)r->report.n, "metrics", metrics, "baselines", baselines,
                          "tokens", (json_int_t)(r->report.prompt_tokens + r->report.completion_tokens), "seconds",
                          r->seconds, "cached_cases", (json_int_t)r->n_cached, "resumed_cases",
                          (json_int_t)r->n_resumed, "invalid_cases", (json_int_t)r->report.n_invalid, "cut_cases",
                          (json_int_t)r->report.n_cut, "failed_cases", (json_int_t)r->report.n_failed, "prompt_tokens",
                          (json_int_t)r->report.prompt_tokens, "completion_tokens",
                          (json_int_t)r->report.completion_tokens, "numeric_path",
                          s->numeric_path ? s->numeric_path : "");
    json_decref(metrics);
    double cost = r->report.cost, each = r->report.cost_per_1000;
    fine = *value && json_object_set_new(*value, "cost", isfinite(cost) ? json_real(cost) : json_null()) == 0 &&
           json_object_set_new(*value, "cost_per_1000", isfinite(each) ? json_real(each) : json_null()) == 0;
    if (fine) return HN_OK;
    json_decref(*value);
    *value = NULL;
    return hn_fail_memory(err, 0);
}
