/* Opening a training: what it is known by, its rows, its network, its room; see tune_training.h. */
#include "base/alloc.h"
#include "base/clock.h"
#include "lifecycle/eval/run_identity.h"
#include "lifecycle/iterate/kept_project.h"
#include "lifecycle/tune/tune_memory.h"
#include "lifecycle/tune/tune_method.h"
#include "lifecycle/tune/tune_rows.h"

#include <stdio.h>
#include <string.h>

hn_tune_options hn_tune_defaults(size_t n, const char *method) {
    hn_tune_options o = {.rank = 16, .alpha = 32, .learning_rate = 5e-4, .clip = 1, .warmup = 0.05, .seed = 1};
    const hn_tune_method *m;
    hn_error unused;
    if (hn_tune_method_find(method, &m, &unused) != HN_OK) m = &hn_tune_method_lora;
    if (m->learning_rate > 0) o.learning_rate = m->learning_rate;
    o.method = method;
    o.targets = HN_LORA_ALL;
    o.accumulate = 1;
    o.batch = n >= 2000 ? 32 : n >= 500 ? 16 : 8;
    size_t aim = m->steps ? (size_t)m->steps : 120, most = m->epochs_max ? (size_t)m->epochs_max : 10;
    size_t steps = (n + (size_t)o.batch - 1) / (size_t)o.batch, epochs = steps ? (aim + steps - 1) / steps : 3;
    o.epochs = (int)(epochs < 3 ? 3 : epochs > most ? most : epochs);
    return o;
}

/* ---- identity ---- */

/* Settings that are as they always were are left out, so that runs from before they existed are found again. */
static hn_status add_later_settings(const hn_tune_options *o, json_t *p, hn_error *err) {
    static const char *const schedules[] = {"cosine", "linear", "constant"};
    bool fine = true;
    if (o->accumulate > 1) fine = fine && json_object_set_new(p, "accumulate", json_integer(o->accumulate)) == 0;
    if (o->schedule != HN_TUNE_COSINE)
        fine = fine && json_object_set_new(p, "schedule", json_string(schedules[o->schedule])) == 0;
    if (o->memory_bytes)
        fine = fine && json_object_set_new(p, "memory_limit", json_integer((json_int_t)o->memory_bytes)) == 0;
    if (o->steps > 0) fine = fine && json_object_set_new(p, "steps", json_integer(o->steps)) == 0;
    if (o->balanced) fine = fine && json_object_set_new(p, "class_weights", json_string("balanced")) == 0;
    if (o->label_smoothing > 0)
        fine = fine && json_object_set_new(p, "label_smoothing", json_real(o->label_smoothing)) == 0;
    return fine ? HN_OK : hn_fail_memory(err, 0);
}

static hn_status parameters_text(const hn_training *t, hn_buf *text, hn_error *err) {
    const hn_tune_options *o = &t->setup->options;
    json_t *p = json_pack("{s:s, s:f, s:f, s:f, s:f, s:i, s:i, s:i, s:I, s:I, s:I, s:I}", "method", t->method->name,
                          "learning_rate", o->learning_rate, "weight_decay", o->weight_decay, "clip", o->clip, "warmup",
                          o->warmup, "epochs", o->epochs, "batch", o->batch, "max_length", o->max_length, "dev_limit",
                          (json_int_t)o->dev_limit, "seed", (json_int_t)o->seed, "train_cases",
                          (json_int_t)t->result->n_train, "dev_cases", (json_int_t)t->result->n_dev);
    if (!p) return hn_fail_memory(err, 0);
    hn_status st = add_later_settings(o, p, err);
    if (st == HN_OK && t->method->parameters) st = t->method->parameters(t, p, err);
    if (st == HN_OK) hn_json_write(p, &(hn_json_style){.sort_keys = true}, text);
    json_decref(p);
    return st == HN_OK ? hn_buf_check(text, "the run's parameters", err) : st;
}

/* Of a training without a project: the data's file stands for the prompt. */
static hn_run_spec data_spec(const hn_training *t) {
    const hn_provider_info *info = &t->base;
    const hn_train_data *d = t->setup->data;
    return (hn_run_spec){.prompt_name = hn_path_base(d->name),
                         .dataset_hash = d->hash,
                         .split = "held out",
                         .model_name = info->name,
                         .model_hash = info->model_hash,
                         .template_hash = info->template_hash,
                         .numeric_path = info->numeric_path,
                         .code_version = HONE_VERSION,
                         .metric = "loss"};
}

static hn_status begin(hn_training *t, const char *parameters, hn_error *err) {
    const hn_tune_setup *s = t->setup;
    char set[65];
    hn_run_identity id = {0};
    if (s->data)
        id.spec = data_spec(t);
    else {
        HN_TRY(hn_run_identify(s->project, s->store, s->dataset, s->prompt, s->base, &id, err));
        id.spec.split = "dev";
    }
    HN_TRY(hn_tune_rows_hash(t, set, err));
    id.spec.kind = "tune";
    id.spec.n_cases = (int64_t)t->result->n_dev;
    id.spec.case_set_hash = set;
    id.spec.parameters_json = parameters;
    HN_TRY(hn_run_begin(s->store, &id.spec, s->fresh, &t->result->run, &t->result->start, err));
    if (t->result->start == HN_RUN_DONE || s->data) return HN_OK;
    return hn_kept_put(s->store, t->result->run->id, hn_project_scope(s->project), err);
}

static hn_status make_folders(hn_training *t, hn_error *err) {
    char models[HN_PATH_MAX], own[HN_PATH_MAX];
    /* a fresh run of the same content id has a folder of its own */
    snprintf(own, sizeof own, "%.16s-r%lld", t->result->run->content_id, (long long)t->result->run->id);
    HN_TRY(hn_path_join(models, t->setup->store_dir, "models", err));
    HN_TRY(hn_path_join(t->folder, models, own, err));
    HN_TRY(hn_path_join(t->result->folder, t->folder, t->method->result, err));
    HN_TRY(hn_path_join(t->checkpoint, t->folder, "checkpoint.bin", err));
    t->result->is_whole = strcmp(t->method->result, "model") == 0;
    return hn_dir_create(t->result->folder, err);
}

hn_status hn_training_begin(hn_training *t, bool *done, hn_error *err) {
    hn_buf text;
    HN_TRY(hn_tune_rows_select(t, err));
    hn_buf_init(&text, 0);
    hn_status st = parameters_text(t, &text, err);
    if (st == HN_OK) st = begin(t, hn_buf_str(&text), err);
    hn_buf_free(&text);
    *done = st == HN_OK && t->result->start == HN_RUN_DONE;
    return st == HN_OK ? make_folders(t, err) : st;
}

/* ---- network and room ---- */

static hn_status make_network(hn_training *t, hn_error *err) {
    const hn_tune_options *o = &t->setup->options;
    const hn_kernels *kernels;
    hn_network_options n = {.seed = o->seed};
    HN_TRY(hn_kernels_choose(NULL, &kernels, err));
    HN_TRY(hn_pool_create(o->n_threads, &t->pool, err));
    t->method->network(t, &n);
    HN_TRY(hn_tune_memory_fit(t, &n, kernels, err));
    t->adam = (hn_adamw){.beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .weight_decay = (float)o->weight_decay};
    return hn_network_create(t->base.model, &n, kernels, t->pool, &t->network, err);
}

static hn_status make_room(hn_training *t, hn_error *err) {
    const hn_tune_options *o = &t->setup->options;
    size_t rows = 2 * (size_t)t->max_rows; /* a shared beginning stands before the rows of a piece */
    size_t step = (size_t)o->batch * (size_t)o->accumulate, dev = t->result->n_dev;
    if (step > t->n_units) step = t->n_units;
    t->ids = hn_calloc(rows, sizeof *t->ids);
    t->targets = hn_calloc(rows, sizeof *t->targets);
    t->weights = hn_calloc(rows, sizeof *t->weights);
    t->losses = hn_calloc(rows, sizeof *t->losses);
    t->starts = hn_calloc(rows, sizeof *t->starts);
    t->keys = hn_calloc(rows, sizeof *t->keys);
    t->order = hn_calloc(t->n_units, sizeof *t->order);
    t->rows = hn_calloc(step * t->examples.unit, sizeof *t->rows);
    t->best_scores = hn_calloc(dev, sizeof *t->best_scores);
    t->scores = hn_calloc(dev, sizeof *t->scores);
    t->ordered_epoch = -1;
    bool fine = t->ids && t->targets && t->weights && t->losses && t->starts && t->keys && t->order && t->rows &&
                t->best_scores && t->scores;
    return fine ? HN_OK : hn_fail_memory(err, rows * sizeof(int32_t));
}

hn_status hn_training_open(hn_training *t, hn_error *err) {
    hn_tune_result *r = t->result;
    HN_TRY((t->method->make_rows ? t->method->make_rows : hn_tune_rows_make)(t, err));
    t->n_units = t->examples.n / t->examples.unit;
    r->n_tokens = t->examples.n_tokens;
    r->n_supervised = t->examples.n_supervised;
    r->n_steps = hn_training_steps_of_epoch(t) * t->setup->options.epochs;
    if (t->setup->options.steps > 0 && t->setup->options.steps < r->n_steps) r->n_steps = t->setup->options.steps;
    HN_TRY(make_network(t, err));
    HN_TRY(make_room(t, err));
    return t->method->prepare ? t->method->prepare(t, err) : HN_OK;
}

void hn_training_close(hn_training *t) {
    if (t->method && t->method->close) t->method->close(t);
    hn_tune_examples_free(&t->examples);
    hn_tune_examples_free(&t->held);
    hn_adamw_free(&t->adam);
    hn_network_free(t->network);
    hn_pool_free(t->pool);
    hn_free(t->train), hn_free(t->dev), hn_free(t->order), hn_free(t->rows), hn_free(t->ids), hn_free(t->targets);
    hn_free(t->weights), hn_free(t->losses), hn_free(t->starts), hn_free(t->best_scores), hn_free(t->scores);
    hn_free(t->keys);
}
