/* What a training came to: its summary in the store, read again, and the model that it left. */
#include "base/alloc.h"
#include "lifecycle/tune/tune_method.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *real_or_null(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static json_t *estimate_or_null(const hn_estimate *e) {
    if (!isfinite(e->value)) return json_null();
    return json_pack("{s:f, s:o, s:o}", "value", e->value, "low", real_or_null(e->low), "high", real_or_null(e->high));
}

json_t *hn_tune_epochs_json(const hn_tune_epoch *epochs, size_t n, size_t best) {
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const hn_tune_epoch *e = &epochs[i];
        json_t *o = json_pack("{s:i, s:o, s:o, s:o, s:o, s:f, s:b}", "epoch", e->epoch, "train_loss",
                              real_or_null(e->train_loss), "n_correct",
                              e->n_correct >= 0 ? json_integer(e->n_correct) : json_null(), "held_out_loss",
                              estimate_or_null(&e->loss), "bits_per_byte", estimate_or_null(&e->bits_per_byte),
                              "seconds", e->seconds, "best", i == best);
        if (isfinite(e->reward_accuracy.value)) {
            json_object_set_new(o, "reward_accuracy", estimate_or_null(&e->reward_accuracy));
            json_object_set_new(o, "reward_margin", estimate_or_null(&e->reward_margin));
        }
        json_array_append_new(list, o);
    }
    return list;
}

/* [[step, loss]] */
static json_t *curve_of(const hn_training *t) {
    json_t *list = json_array();
    for (int i = 0; i < HN_TUNE_CURVE; i++) {
        /* the last step that falls into the share */
        int64_t to = ((i + 1) * t->result->n_steps + HN_TUNE_CURVE - 1) / HN_TUNE_CURVE;
        if (t->state.curve_n[i])
            json_array_append_new(
                list, json_pack("[I, f]", (json_int_t)to, t->state.curve_sum[i] / (double)t->state.curve_n[i]));
    }
    return list;
}

/* Right answers of dev as accuracy, or the loss of held-out answers. */
static json_t *metrics(const hn_training *t, const hn_tune_epoch *best) {
    int64_t n = (int64_t)t->result->n_dev;
    if (isfinite(best->bits_per_byte.value))
        return json_pack("{s:o, s:o}", "bits_per_byte", estimate_or_null(&best->bits_per_byte), "loss",
                         estimate_or_null(&best->loss));
    if (best->n_correct < 0) return json_pack("{s:o}", "loss", estimate_or_null(&best->loss));
    hn_interval i = hn_interval_wilson(best->n_correct, n, 0.05);
    return json_pack("{s:{s:f, s:f, s:f}}", "accuracy", "value", (double)best->n_correct / (double)n, "low", i.low,
                     "high", i.high);
}

static json_t *summary_of(const hn_training *t, hn_error *err) {
    const hn_tune_result *r = t->result;
    const hn_tune_epoch *best = &t->state.epochs[t->state.best];
    json_t *s = json_pack(
        "{s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:o, s:i, s:I, s:I, s:I, s:I, s:b, s:f}", "base", t->setup->base_source,
        "method", t->method->name, "result", t->method->result, "n", (json_int_t)r->n_dev, "n_correct",
        best->n_correct >= 0 ? json_integer(best->n_correct) : json_null(), "metrics", metrics(t, best), "epochs",
        hn_tune_epochs_json(t->state.epochs, (size_t)t->state.n_epochs, (size_t)t->state.best), "curve", curve_of(t),
        "best", t->state.best, "train_cases", (json_int_t)r->n_train, "train_tokens", (json_int_t)r->n_tokens,
        "supervised_tokens", (json_int_t)r->n_supervised, "steps", (json_int_t)t->state.step, "stopped_early",
        r->stopped_early, "seconds", t->state.seconds);
    if (!s) (void)hn_fail_memory(err, 0);
    return s;
}

/* What was there to go on with, or to score: the files of the last candidate, which is no more than a copy where it was the best. */
static void clear_away(const hn_training *t) {
    char candidate[HN_PATH_MAX], path[HN_PATH_MAX];
    hn_error unused;
    (void)remove(t->checkpoint);
    if (hn_path_join(candidate, t->folder, "candidate", &unused) != HN_OK) return;
    DIR *dir = opendir(candidate);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (hn_path_join(path, candidate, entry->d_name, &unused) == HN_OK && !hn_file_is_dir(path)) (void)remove(path);
    if (dir) closedir(dir);
    (void)remove(candidate);
}

hn_status hn_training_finish(hn_training *t, hn_error *err) {
    hn_buf text;
    json_t *summary = summary_of(t, err);
    if (!summary) return HN_ERR_MEMORY;
    hn_status st = t->method->summarise ? t->method->summarise(t, summary, err) : HN_OK;
    hn_buf_init(&text, 0);
    if (st == HN_OK) hn_json_write(summary, &(hn_json_style){.sort_keys = true}, &text);
    json_decref(summary);
    if (st == HN_OK) st = hn_buf_check(&text, "the run's summary", err);
    if (st == HN_OK) st = hn_run_finish(t->setup->store, t->result->run->id, hn_buf_str(&text), err);
    hn_buf_free(&text);
    if (st == HN_OK) clear_away(t);
    return st;
}

/* ---- reading ---- */

static double number_of(const json_t *v) { return json_is_number(v) ? json_number_value(v) : (double)NAN; }

static hn_estimate estimate_of(const json_t *v) {
    return (hn_estimate){number_of(json_object_get(v, "value")), number_of(json_object_get(v, "low")),
                         number_of(json_object_get(v, "high"))};
}

static hn_tune_epoch epoch_of(const json_t *e) {
    const json_t *correct = json_object_get(e, "n_correct");
    return (hn_tune_epoch){.epoch = (int)json_integer_value(json_object_get(e, "epoch")),
                           .train_loss = number_of(json_object_get(e, "train_loss")),
                           .n_correct = json_is_integer(correct) ? (int)json_integer_value(correct) : -1,
                           .loss = estimate_of(json_object_get(e, "held_out_loss")),
                           .bits_per_byte = estimate_of(json_object_get(e, "bits_per_byte")),
                           .reward_accuracy = estimate_of(json_object_get(e, "reward_accuracy")),
                           .reward_margin = estimate_of(json_object_get(e, "reward_margin")),
                           .seconds = json_number_value(json_object_get(e, "seconds")),
                           .best = json_is_true(json_object_get(e, "best"))};
}

hn_status hn_tune_result_read(hn_tune_result *r, hn_error *err) {
    json_t *s;
    HN_TRY(hn_json_parse(r->run->summary_json, strlen(r->run->summary_json), "the run's summary", 0, &s, err));
    const json_t *list = json_object_get(s, "epochs"), *metrics = json_object_get(s, "metrics");
    for (size_t i = 0; i < json_array_size(list) && i <= HN_TUNE_EPOCHS_MAX; i++)
        r->epochs[r->n_epochs++] = epoch_of(json_array_get(list, i));
    const json_t *curve = json_object_get(s, "curve");
    for (size_t i = 0; i < json_array_size(curve) && i < HN_TUNE_CURVE; i++) {
        const json_t *point = json_array_get(curve, i);
        r->curve[r->n_curve++] =
            (hn_tune_point){json_integer_value(json_array_get(point, 0)), number_of(json_array_get(point, 1))};
    }
    r->accuracy = estimate_of(json_object_get(metrics, "accuracy"));
    r->loss = estimate_of(json_object_get(metrics, "loss"));
    r->bits_per_byte = estimate_of(json_object_get(metrics, "bits_per_byte"));
    r->best = (size_t)json_integer_value(json_object_get(s, "best"));
    if (r->best >= r->n_epochs) r->best = 0;
    r->n_tokens = (size_t)json_integer_value(json_object_get(s, "train_tokens"));
    r->n_supervised = (size_t)json_integer_value(json_object_get(s, "supervised_tokens"));
    r->n_steps = json_integer_value(json_object_get(s, "steps"));
    r->stopped_early = json_is_true(json_object_get(s, "stopped_early"));
    r->seconds = json_number_value(json_object_get(s, "seconds"));
    json_decref(s);
    return HN_OK;
}

void hn_tune_result_free(hn_tune_result *result) {
    hn_run_free(result->run);
    memset(result, 0, sizeof *result);
}

/* ---- finding ---- */

static hn_status check_finished(const hn_run *run, const char *name, hn_error *err) {
    if (strcmp(run->kind, "tune") != 0)
        return hn_fail(err, HN_ERR_INPUT, name, "`hone log --kind tune` lists trainings", "this is no training but: %s",
                       run->kind);
    if (strcmp(run->state, "done") == 0) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, name, "the same `hone tune` again goes on with it",
                   "this training is not finished: %s", run->state);
}

static hn_status locate(const hn_run *run, const char *store_dir, const char *name, hn_tuned_model *found,
                        hn_error *err) {
    char models[HN_PATH_MAX], own[128], folder[HN_PATH_MAX];
    json_t *s;
    HN_TRY(hn_json_parse(run->summary_json, strlen(run->summary_json), "the run's summary", 0, &s, err));
    const char *base = json_string_value(json_object_get(s, "base")),
               *result = json_string_value(json_object_get(s, "result"));
    bool whole = result && strcmp(result, "model") == 0;
    snprintf(found->model, sizeof found->model, "%s", base ? base : run->spec.model_name);
    snprintf(own, sizeof own, "%.16s-r%lld/%s", run->content_id, (long long)run->id, whole ? "model" : "adapter");
    json_decref(s);
    HN_TRY(hn_path_join(models, store_dir, "models", err));
    HN_TRY(hn_path_join(folder, models, own, err));
    if (!hn_file_is_dir(folder))
        return hn_fail(err, HN_ERR_NOT_FOUND, folder, "train it again with --fresh", "what %s trained is gone", name);
    snprintf(whole ? found->model : found->adapter, HN_PATH_MAX, "%s", folder);
    return HN_OK;
}

hn_status hn_tune_find(hn_store *store, const char *store_dir, const char *name, hn_tuned_model *found, hn_error *err) {
    hn_run *run;
    memset(found, 0, sizeof *found);
    if (strncmp(name, "tune:", 5) == 0) name += 5;
    HN_TRY(hn_run_find(store, name, &run, err));
    hn_status st = check_finished(run, name, err);
    if (st == HN_OK) st = locate(run, store_dir, name, found, err);
    hn_run_free(run);
    return st;
}
