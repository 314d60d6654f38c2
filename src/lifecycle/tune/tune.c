/* Fine-tuning; see tune.h. One optimizer step at a time: a step's cases are cut into pieces that fit the activations' memory, whose gradients add up
 * to exactly those of the whole. */
#include "lifecycle/tune/tune.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/rng.h"
#include "lifecycle/eval/run_identity.h"
#include "lifecycle/iterate/kept_project.h"
#include "lifecycle/tune/tune_checkpoint.h"
#include "lifecycle/tune/tune_examples.h"
#include "lifecycle/tune/tune_score.h"
#include "model/adapter_write.h"
#include "stats/paired.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PIECE_ROWS = 1024, HOPELESS_MAX = 2, TARGETS_MAX = 16 };
static const double checkpoint_every_s = 30, runaway = 3;

/* Where everything of a training is. */
typedef struct training {
    const hn_tune_setup *setup;
    const hn_tune_hooks *hooks;
    hn_tune_result *result;
    uint32_t *train, *dev; /* (n_train) (n_dev) indices of cases */
    hn_tune_examples examples;
    uint32_t *order; /* (n_train) of the epoch at hand */
    int ordered_epoch;
    int32_t *ids, *targets; /* (piece rows) */
    float *weights;
    double *losses;
    int32_t *starts;
    int max_rows;
    hn_pool *pool;
    hn_network *network;
    hn_adamw adam;
    hn_tune_state state;
    unsigned char *best_scores, *scores; /* (n_dev) */
    char folder[HN_PATH_MAX], checkpoint[HN_PATH_MAX];
    double session_began, seconds_before, saved_at;
} training;

hn_tune_options hn_tune_defaults(size_t n) {
    hn_tune_options o = {.rank = 16, .alpha = 32, .learning_rate = 5e-4, .clip = 1, .warmup = 0.05, .seed = 1};
    o.targets = HN_LORA_ALL;
    o.batch = n >= 2000 ? 32 : n >= 500 ? 16 : 8;
    size_t steps = (n + (size_t)o.batch - 1) / (size_t)o.batch, epochs = steps ? (120 + steps - 1) / steps : 3;
    o.epochs = epochs < 3 ? 3 : epochs > 10 ? 10 : (int)epochs;
    return o;
}

/* ---- opening ---- */

static hn_status labelled(const hn_dataset *d, hn_split split, size_t limit, uint32_t **cases, size_t *n,
                          hn_error *err) {
    size_t all;
    HN_TRY(hn_dataset_select(d, split, cases, &all, err));
    *n = 0;
    for (size_t i = 0; i < all; i++)
        if (d->cases[(*cases)[i]].target) (*cases)[(*n)++] = (*cases)[i];
    if (limit && *n > limit) *n = limit;
    if (*n) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, "split", "give it a share under `split:` in hone.yaml",
                   "the %s split has no cases with a target", hn_split_name(split));
}

static hn_status make_examples(training *t, hn_error *err) {
    const hn_tune_setup *s = t->setup;
    hn_provider_info info;
    hn_app *app;
    HN_TRY(hn_provider_info_get(s->base, &info, err));
    int most = s->options.max_length ? s->options.max_length : info.context;
    if (most > info.context) most = info.context;
    HN_TRY(hn_app_create(
        &(hn_app_parts){
            .scope = hn_project_scope(s->project), .dataset = s->dataset, .prompt = s->prompt, .provider = s->base},
        &app, err));
    hn_status st = hn_tune_examples_make(app, s->base, s->prompt, s->dataset, t->train, t->result->n_train, most,
                                         &t->examples, err);
    hn_app_free(app);
    t->result->n_tokens = t->examples.n_tokens;
    t->result->n_supervised = t->examples.n_supervised;
    return st;
}

static hn_status make_network(training *t, hn_error *err) {
    const hn_tune_options *o = &t->setup->options;
    const hn_kernels *kernels;
    hn_provider_info info;
    hn_network_options n = {.lora_rank = o->rank,
                            .lora_alpha = (float)o->alpha,
                            .rank_stabilised = o->rank_stabilised,
                            .lora_targets = o->targets,
                            .seed = o->seed};
    HN_TRY(hn_provider_info_get(t->setup->base, &info, err));
    HN_TRY(hn_kernels_choose(NULL, &kernels, err));
    HN_TRY(hn_pool_create(o->n_threads, &t->pool, err));
    t->adam = (hn_adamw){.beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .weight_decay = (float)o->weight_decay};
    return hn_network_create(info.model, &n, kernels, t->pool, &t->network, err);
}

static hn_status make_room(training *t, hn_error *err) {
    size_t rows = t->max_rows = PIECE_ROWS > t->examples.longest ? PIECE_ROWS : t->examples.longest;
    size_t n = t->result->n_train, dev = t->result->n_dev;
    t->ids = hn_calloc(rows, sizeof *t->ids);
    t->targets = hn_calloc(rows, sizeof *t->targets);
    t->weights = hn_calloc(rows, sizeof *t->weights);
    t->losses = hn_calloc(rows, sizeof *t->losses);
    t->starts = hn_calloc(rows, sizeof *t->starts);
    t->order = hn_calloc(n, sizeof *t->order);
    t->best_scores = hn_calloc(dev, 1);
    t->scores = hn_calloc(dev, 1);
    bool fine = t->ids && t->targets && t->weights && t->losses && t->starts && t->order && t->best_scores && t->scores;
    t->ordered_epoch = -1;
    return fine ? HN_OK : hn_fail_memory(err, rows);
}

static void close_training(training *t) {
    hn_tune_examples_free(&t->examples);
    hn_adamw_free(&t->adam);
    hn_network_free(t->network);
    hn_pool_free(t->pool);
    hn_free(t->train), hn_free(t->dev), hn_free(t->order), hn_free(t->ids), hn_free(t->targets);
    hn_free(t->weights), hn_free(t->losses), hn_free(t->starts), hn_free(t->best_scores), hn_free(t->scores);
}

/* ---- identity ---- */

static hn_status parameters_text(const training *t, hn_buf *text, hn_error *err) {
    const hn_tune_options *o = &t->setup->options;
    json_t *p = json_pack("{s:s, s:i, s:f, s:b, s:i, s:f, s:f, s:f, s:f, s:i, s:i, s:i, s:I, s:I, s:I, s:I}", "method",
                          "lora", "rank", o->rank, "alpha", o->alpha, "rank_stabilised", o->rank_stabilised, "targets",
                          (int)o->targets, "learning_rate", o->learning_rate, "weight_decay", o->weight_decay, "clip",
                          o->clip, "warmup", o->warmup, "epochs", o->epochs, "batch", o->batch, "max_length",
                          o->max_length, "dev_limit", (json_int_t)o->dev_limit, "seed", (json_int_t)o->seed,
                          "train_cases", (json_int_t)t->result->n_train, "dev_cases", (json_int_t)t->result->n_dev);
    if (!p) return hn_fail_memory(err, 0);
    hn_json_write(p, &(hn_json_style){.sort_keys = true}, text);
    json_decref(p);
    return hn_buf_check(text, "the run's parameters", err);
}

static hn_status case_set(const training *t, char hex[HN_SHA256_HEX], hn_error *err) {
    const hn_case *cases = t->setup->dataset->cases;
    hn_sha256 *h = hn_sha256_create();
    if (!h) return hn_fail_memory(err, 0);
    for (size_t i = 0; i < t->result->n_train; i++) hn_sha256_field_str(h, cases[t->train[i]].id);
    hn_sha256_field_str(h, "dev");
    for (size_t i = 0; i < t->result->n_dev; i++) hn_sha256_field_str(h, cases[t->dev[i]].id);
    hn_sha256_finish(h, hex);
    return HN_OK;
}

static hn_status begin(training *t, const char *parameters, hn_error *err) {
    const hn_tune_setup *s = t->setup;
    char set[HN_SHA256_HEX];
    hn_run_identity id;
    HN_TRY(hn_run_identify(s->project, s->store, s->dataset, s->prompt, s->base, &id, err));
    HN_TRY(case_set(t, set, err));
    id.spec.kind = "tune";
    id.spec.split = "dev";
    id.spec.n_cases = (int64_t)t->result->n_dev;
    id.spec.case_set_hash = set;
    id.spec.parameters_json = parameters;
    HN_TRY(hn_run_begin(s->store, &id.spec, s->fresh, &t->result->run, &t->result->start, err));
    if (t->result->start == HN_RUN_DONE) return HN_OK;
    return hn_kept_put(s->store, t->result->run->id, hn_project_scope(s->project), err);
}

static hn_status begin_run(training *t, hn_error *err) {
    hn_buf text;
    char models[HN_PATH_MAX], own[HN_PATH_MAX];
    hn_buf_init(&text, 0);
    hn_status st = parameters_text(t, &text, err);
    if (st == HN_OK) st = begin(t, hn_buf_str(&text), err);
    hn_buf_free(&text);
    if (st != HN_OK) return st;
    /* a fresh run of the same content id has a folder of its own */
    snprintf(own, sizeof own, "%.16s-r%lld", t->result->run->content_id, (long long)t->result->run->id);
    HN_TRY(hn_path_join(models, hn_project_store_dir(t->setup->project), "models", err));
    HN_TRY(hn_path_join(t->folder, models, own, err));
    HN_TRY(hn_path_join(t->result->folder, t->folder, "adapter", err));
    HN_TRY(hn_path_join(t->checkpoint, t->folder, "checkpoint.bin", err));
    return hn_dir_create(t->result->folder, err);
}

/* ---- one step ---- */

static const hn_tune_example *nth(training *t, int64_t step, int i, size_t *position) {
    size_t n = t->result->n_train, steps = (n + (size_t)t->setup->options.batch - 1) / (size_t)t->setup->options.batch;
    int epoch = (int)(step / (int64_t)steps);
    if (t->ordered_epoch != epoch) {
        hn_rng rng;
        hn_rng_seed(&rng, t->setup->options.seed, (uint64_t)epoch + 1);
        for (size_t k = 0; k < n; k++) t->order[k] = (uint32_t)k;
        hn_rng_shuffle_u32(&rng, t->order, n);
        t->ordered_epoch = epoch;
    }
    *position = (size_t)(step % (int64_t)steps) * (size_t)t->setup->options.batch + (size_t)i;
    return *position < n && i < t->setup->options.batch ? &t->examples.items[t->order[*position]] : NULL;
}

/* Appends an example's rows: each token's target is the next one, from the prompt's last token on. */
static void append(training *t, hn_train_batch *b, const hn_tune_example *x, float weight) {
    int at = b->n_rows;
    t->starts[b->n_sequences++] = at;
    for (int i = 0; i + 1 < x->n; i++) {
        bool answer = i + 1 >= x->n_prompt;
        t->ids[at + i] = x->ids[i];
        t->targets[at + i] = answer ? x->ids[i + 1] : HN_NO_TARGET;
        t->weights[at + i] = answer ? weight : 0;
    }
    b->n_rows += x->n - 1;
}

static hn_status run_piece(training *t, hn_train_batch *b, double *loss, hn_error *err) {
    HN_TRY(hn_network_forward(t->network, b, NULL, err));
    HN_TRY(hn_network_backward(t->network, b, t->losses, err));
    for (int i = 0; i < b->n_rows; i++)
        if (t->targets[i] != HN_NO_TARGET) *loss += t->losses[i];
    b->n_rows = b->n_sequences = 0;
    return HN_OK;
}

/* Linear warm-up, then half a cosine down to a tenth. */
static double rate_at(const hn_tune_options *o, int64_t step, int64_t n_steps) {
    double warm = ceil(o->warmup * (double)n_steps), at = (double)step + 1;
    if (at <= warm) return o->learning_rate * at / warm;
    double share = (double)n_steps > warm ? (at - warm) / ((double)n_steps - warm) : 1;
    return o->learning_rate * (0.1 + 0.9 * 0.5 * (1 + cos(acos(-1) * share)));
}

static hn_status check_loss(training *t, double loss, double norm, hn_error *err) {
    if (t->state.step == 0) t->state.first_loss = loss;
    /* a gradient of exactly 0: nothing gets through weights this large any more */
    if (isfinite(loss) && isfinite(norm) && norm > 0 && loss < runaway * t->state.first_loss + 10) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, "training",
                   "lower --learning-rate to a third; the best adapter so far is kept in the run's folder",
                   "the loss ran away: %.3g nats a token at step %lld, from %.3g at first (gradient norm %.3g)", loss,
                   (long long)t->state.step + 1, t->state.first_loss, norm);
}

static hn_status take_step(training *t, hn_error *err) {
    const hn_tune_options *o = &t->setup->options;
    hn_train_batch b = {.ids = t->ids, .targets = t->targets, .weights = t->weights, .starts = t->starts};
    const hn_tune_example *x;
    size_t position, n_tensors, supervised = 0, tokens = 0;
    double loss = 0, from = hn_clock_seconds();
    for (int i = 0; (x = nth(t, t->state.step, i, &position)); i++) supervised += (size_t)(x->n - x->n_prompt);
    hn_network_clear_gradients(t->network);
    for (int i = 0; (x = nth(t, t->state.step, i, &position)); i++) {
        if (b.n_rows + x->n - 1 > t->max_rows) HN_TRY(run_piece(t, &b, &loss, err));
        append(t, &b, x, 1.0f / (float)supervised);
        tokens += (size_t)x->n;
    }
    HN_TRY(run_piece(t, &b, &loss, err));
    hn_tensor *tensors = hn_network_tensors(t->network, &n_tensors);
    double norm = hn_gradient_clip(tensors, n_tensors, o->clip > 0 ? o->clip : INFINITY);
    HN_TRY(check_loss(t, loss / (double)supervised, norm, err));
    t->adam.learning_rate = (float)rate_at(o, t->state.step, t->result->n_steps);
    HN_TRY(hn_adamw_step(&t->adam, tensors, n_tensors, err));
    t->state.step++;
    t->state.loss_sum += loss;
    t->state.loss_tokens += (int64_t)supervised;
    if (t->hooks->on_step)
        t->hooks->on_step(t->hooks->user, t->state.step, t->result->n_steps, loss / (double)supervised,
                          (double)tokens / (hn_clock_seconds() - from));
    return HN_OK;
}

/* ---- keeping and scoring ---- */

static hn_status save_checkpoint(training *t, hn_error *err) {
    size_t n;
    const hn_tensor *tensors = hn_network_tensors(t->network, &n);
    t->saved_at = hn_clock_seconds();
    t->state.seconds = t->seconds_before + t->saved_at - t->session_began;
    return hn_tune_checkpoint_write(t->checkpoint, t->result->run->content_id, &t->state, t->best_scores,
                                    t->result->n_dev, tensors, n, &t->adam, err);
}

/* "model.layers.0.self_attn.q_proj.lora_A.weight" -> "q_proj" */
static bool target_of(const char *name, char out[32]) {
    const char *end = strstr(name, ".lora_A.");
    if (!end) return false;
    const char *from = end;
    while (from > name && from[-1] != '.') from--;
    snprintf(out, 32, "%.*s", (int)(end - from), from);
    return true;
}

static hn_status write_adapter(training *t, const char *folder, hn_error *err) {
    const hn_tune_options *o = &t->setup->options;
    size_t n, n_written = 0, n_targets = 0;
    char names[TARGETS_MAX][32];
    const char *targets[TARGETS_MAX];
    hn_provider_info info;
    HN_TRY(hn_provider_info_get(t->setup->base, &info, err));
    const hn_tensor *tensors = hn_network_tensors(t->network, &n);
    hn_adapter_tensor *written = hn_calloc(n, sizeof *written);
    if (!written) return hn_fail_memory(err, n * sizeof *written);
    for (size_t i = 0; i < n; i++) {
        char name[32];
        if (!tensors[i].dw) continue;
        written[n_written++] = (hn_adapter_tensor){tensors[i].name, tensors[i].rows, tensors[i].columns, tensors[i].w};
        bool known = !target_of(tensors[i].name, name);
        for (size_t k = 0; k < n_targets; k++) known = known || strcmp(names[k], name) == 0;
        if (known || n_targets == TARGETS_MAX) continue;
        memcpy(names[n_targets], name, sizeof name);
        targets[n_targets] = names[n_targets];
        n_targets++;
    }
    hn_adapter_description what = {.rank = o->rank,
                                   .alpha = (float)o->alpha,
                                   .rank_stabilised = o->rank_stabilised,
                                   .base_name = info.name,
                                   .targets = targets,
                                   .n_targets = n_targets};
    hn_status st = hn_dir_create(folder, err);
    if (st == HN_OK) st = hn_adapter_write(folder, &what, written, n_written, err);
    hn_free(written);
    return st;
}

static hn_status score_adapter(training *t, const char *adapter, hn_tune_wrong *wrong, hn_error *err) {
    hn_provider *provider = NULL;
    HN_TRY(t->hooks->open(t->hooks->user, adapter, &provider, err));
    hn_status st =
        hn_tune_score(t->setup, provider, t->dev, t->result->n_dev, t->state.n_epochs, t->scores, wrong, err);
    hn_provider_close(provider);
    return st;
}

/* Whether the pair leaves no room for a gain that matters. */
static bool hopeless(const training *t) {
    int64_t only_best = 0, only_now = 0;
    for (size_t i = 0; i < t->result->n_dev; i++) {
        only_best += t->best_scores[i] && !t->scores[i];
        only_now += t->scores[i] && !t->best_scores[i];
    }
    hn_interval gain = hn_paired_proportion_interval(only_best, only_now, (int64_t)t->result->n_dev, 0.05);
    return gain.high < hn_project_scope(t->setup->project)->smallest_difference;
}

/* Scores the network as it is (epoch 0: the base model), and keeps it where it is the best so far. */
static hn_status score(training *t, int epoch, hn_error *err) {
    char candidate[HN_PATH_MAX];
    hn_tune_wrong wrong;
    int right = 0;
    if (epoch) HN_TRY(save_checkpoint(t, err)); /* scoring can be interrupted, too */
    HN_TRY(hn_path_join(candidate, t->folder, "candidate", err));
    if (epoch) HN_TRY(write_adapter(t, candidate, err));
    HN_TRY(score_adapter(t, epoch ? candidate : NULL, &wrong, err));
    for (size_t i = 0; i < t->result->n_dev; i++) right += t->scores[i];
    hn_tune_epoch *e = &t->state.epochs[t->state.n_epochs];
    bool best = epoch > 0 && (t->state.best == 0 || right > t->state.epochs[t->state.best].n_correct);
    t->state.seconds = t->seconds_before + hn_clock_seconds() - t->session_began;
    *e = (hn_tune_epoch){epoch, t->state.loss_tokens ? t->state.loss_sum / (double)t->state.loss_tokens : (double)NAN,
                         right, t->state.seconds, best};
    bool no_hope = epoch > 1 && !best && hopeless(t);
    t->state.n_hopeless = no_hope ? t->state.n_hopeless + 1 : 0;
    hn_status st = HN_OK;
    if (best) {
        st = write_adapter(t, t->result->folder, err);
        memcpy(t->best_scores, t->scores, t->result->n_dev);
        t->state.best = t->state.n_epochs;
    }
    if (t->hooks->on_epoch) t->hooks->on_epoch(t->hooks->user, e, t->result->n_dev, wrong.c, wrong.said);
    t->state.n_epochs++;
    t->state.loss_sum = 0;
    t->state.loss_tokens = 0;
    hn_tune_wrong_free(&wrong);
    return st == HN_OK ? save_checkpoint(t, err) : st;
}

/* ---- the loop ---- */

static hn_status interrupted(training *t, hn_error *err) {
    HN_TRY(save_checkpoint(t, err));
    HN_TRY(hn_run_stop(t->setup->store, t->result->run->id, err));
    return hn_fail(err, HN_ERR_INTERRUPTED, "training", "the same command goes on from there",
                   "stopped after step %lld of %lld; all of it is kept", (long long)t->state.step,
                   (long long)t->result->n_steps);
}

static hn_status train(training *t, hn_error *err) {
    int64_t steps = t->result->n_steps / t->setup->options.epochs;
    if (t->state.n_epochs == 0) HN_TRY(score(t, 0, err));
    while (t->state.step < t->result->n_steps || t->state.n_epochs <= t->setup->options.epochs) {
        int done = (int)(t->state.step / steps);
        if (done >= t->state.n_epochs) { /* also where it was killed between an epoch's last step and its scoring */
            HN_TRY(score(t, done, err));
            if (t->state.n_hopeless >= HOPELESS_MAX) break;
            continue;
        }
        if (t->state.n_hopeless >= HOPELESS_MAX) break;
        if (hn_interrupted()) return interrupted(t, err);
        HN_TRY(take_step(t, err));
        if (hn_clock_seconds() - t->saved_at > checkpoint_every_s) HN_TRY(save_checkpoint(t, err));
    }
    t->result->stopped_early = t->state.step < t->result->n_steps;
    return HN_OK;
}

static hn_status resume(training *t, hn_error *err) {
    size_t n;
    bool found;
    hn_tensor *tensors = hn_network_tensors(t->network, &n);
    HN_TRY(hn_tune_checkpoint_read(t->checkpoint, t->result->run->content_id, &t->state, t->best_scores,
                                   t->result->n_dev, tensors, n, &t->adam, &found, err));
    t->session_began = t->saved_at = hn_clock_seconds();
    t->seconds_before = t->state.seconds;
    return HN_OK;
}

/* ---- the end ---- */

json_t *hn_tune_epochs_json(const hn_tune_epoch *epochs, size_t n, size_t best) {
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const hn_tune_epoch *e = &epochs[i];
        json_t *loss = isfinite(e->train_loss) ? json_real(e->train_loss) : json_null();
        json_array_append_new(list, json_pack("{s:i, s:o, s:i, s:f, s:b}", "epoch", e->epoch, "train_loss", loss,
                                              "n_correct", e->n_correct, "seconds", e->seconds, "best", i == best));
    }
    return list;
}

static hn_status finish(training *t, hn_error *err) {
    hn_tune_result *r = t->result;
    const hn_tune_epoch *best = &t->state.epochs[t->state.best];
    hn_interval i = hn_interval_wilson(best->n_correct, (int64_t)r->n_dev, 0.05);
    double accuracy = (double)best->n_correct / (double)r->n_dev;
    json_t *summary =
        json_pack("{s:s, s:I, s:I, s:{s:{s:f, s:f, s:f}}, s:o, s:i, s:I, s:I, s:I, s:I, s:b, s:f}", "base",
                  t->setup->base_source, "n", (json_int_t)r->n_dev, "n_correct", (json_int_t)best->n_correct, "metrics",
                  "accuracy", "value", accuracy, "low", i.low, "high", i.high, "epochs",
                  hn_tune_epochs_json(t->state.epochs, (size_t)t->state.n_epochs, (size_t)t->state.best), "best",
                  t->state.best, "train_cases", (json_int_t)r->n_train, "train_tokens", (json_int_t)r->n_tokens,
                  "supervised_tokens", (json_int_t)r->n_supervised, "steps", (json_int_t)t->state.step, "stopped_early",
                  r->stopped_early, "seconds", t->state.seconds);
    if (!summary) return hn_fail_memory(err, 0);
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_json_write(summary, &(hn_json_style){.sort_keys = true}, &text);
    json_decref(summary);
    hn_status st = hn_buf_check(&text, "the run's summary", err);
    if (st == HN_OK) st = hn_run_finish(t->setup->store, r->run->id, hn_buf_str(&text), err);
    hn_buf_free(&text);
    if (st == HN_OK) (void)remove(t->checkpoint); /* what it was for is over */
    return st;
}

static hn_status read_summary(hn_tune_result *r, hn_error *err) {
    json_t *s;
    HN_TRY(hn_json_parse(r->run->summary_json, strlen(r->run->summary_json), "the run's summary", 0, &s, err));
    const json_t *list = json_object_get(s, "epochs"), *a;
    for (size_t i = 0; i < json_array_size(list) && i <= HN_TUNE_EPOCHS_MAX; i++) {
        const json_t *e = json_array_get(list, i), *loss = json_object_get(e, "train_loss");
        r->epochs[r->n_epochs++] =
            (hn_tune_epoch){(int)json_integer_value(json_object_get(e, "epoch")),
                            json_is_number(loss) ? json_number_value(loss) : (double)NAN,
                            (int)json_integer_value(json_object_get(e, "n_correct")),
                            json_number_value(json_object_get(e, "seconds")), json_is_true(json_object_get(e, "best"))};
    }
    a = json_object_get(json_object_get(s, "metrics"), "accuracy");
    r->accuracy =
        (hn_estimate){json_number_value(json_object_get(a, "value")), json_number_value(json_object_get(a, "low")),
                      json_number_value(json_object_get(a, "high"))};
    r->best = (size_t)json_integer_value(json_object_get(s, "best"));
    r->n_tokens = (size_t)json_integer_value(json_object_get(s, "train_tokens"));
    r->n_supervised = (size_t)json_integer_value(json_object_get(s, "supervised_tokens"));
    r->stopped_early = json_is_true(json_object_get(s, "stopped_early"));
    r->seconds = json_number_value(json_object_get(s, "seconds"));
    json_decref(s);
    return HN_OK;
}

static hn_status reload(training *t, hn_error *err) {
    hn_run *run;
    char name[32];
    snprintf(name, sizeof name, "r%lld", (long long)t->result->run->id);
    HN_TRY(hn_run_find(t->setup->store, name, &run, err));
    hn_run_free(t->result->run);
    t->result->run = run;
    return read_summary(t->result, err);
}

static hn_status run_training(training *t, hn_error *err) {
    const hn_tune_setup *s = t->setup;
    const hn_tune_options *o = &s->options;
    HN_TRY(labelled(s->dataset, HN_SPLIT_TRAIN, o->limit, &t->train, &t->result->n_train, err));
    HN_TRY(labelled(s->dataset, HN_SPLIT_DEV, o->dev_limit, &t->dev, &t->result->n_dev, err));
    t->result->n_steps = (int64_t)((t->result->n_train + (size_t)o->batch - 1) / (size_t)o->batch) * o->epochs;
    HN_TRY(begin_run(t, err));
    if (t->result->start == HN_RUN_DONE) return read_summary(t->result, err);
    hn_status st = make_examples(t, err);
    if (st == HN_OK) st = make_network(t, err);
    if (st == HN_OK) st = make_room(t, err);
    if (st == HN_OK) st = resume(t, err);
    if (st == HN_OK) st = train(t, err);
    if (st == HN_OK) st = finish(t, err);
    if (st == HN_OK) return reload(t, err);
    hn_error unused;
    if (st == HN_ERR_INTERRUPTED)
        (void)!hn_run_stop(s->store, t->result->run->id, &unused);
    else if (err)
        (void)!hn_run_fail(s->store, t->result->run->id, err->message, &unused);
    return st;
}

/* What would be trained otherwise than it is served. */
static hn_status check_served(const hn_tune_setup *setup, const hn_provider_info *info, hn_error *err) {
    if (hn_model_weights(info->model)->layers[0].low_rank)
        return hn_fail(err, HN_ERR_UNSUPPORTED, info->name,
                       "train from the base model, or merge with `hone export --model`",
                       "a model that has an adapter already cannot get a second one");
    if (setup->prompt->reasoning_max_tokens == 0) return HN_OK;
    return hn_fail(err, HN_ERR_UNSUPPORTED, setup->prompt->path, "train with a prompt that has no `reasoning:`",
                   "the cases say what the answer is, not how to reason towards it, so it would be trained without and "
                   "served with reasoning");
}

hn_status hn_tune_run(const hn_tune_setup *setup, const hn_tune_hooks *hooks, hn_tune_result *result, hn_error *err) {
    training *t = hn_calloc(1, sizeof *t);
    hn_provider_info info;
    *result = (hn_tune_result){0};
    if (!t) return hn_fail_memory(err, sizeof *t);
    t->setup = setup;
    t->hooks = hooks;
    t->result = result;
    hn_status st = hn_provider_info_get(setup->base, &info, err);
    if (st == HN_OK && !info.model)
        st = hn_fail(err, HN_ERR_UNSUPPORTED, info.name, "give a local model with --base, such as smollm2",
                     "a model elsewhere cannot be trained here");
    if (st == HN_OK) st = check_served(setup, &info, err);
    if (st == HN_OK) st = run_training(t, err);
    close_training(t);
    hn_free(t);
    if (st != HN_OK) hn_tune_result_free(result);
    return st;
}

void hn_tune_result_free(hn_tune_result *result) {
    hn_run_free(result->run);
    *result = (hn_tune_result){0};
}

static hn_status read_base(const hn_run *run, char base[HN_PATH_MAX], hn_error *err) {
    json_t *s;
    HN_TRY(hn_json_parse(run->summary_json, strlen(run->summary_json), "the run's summary", 0, &s, err));
    const char *source = json_string_value(json_object_get(s, "base"));
    snprintf(base, HN_PATH_MAX, "%s", source ? source : run->spec.model_name);
    json_decref(s);
    return HN_OK;
}

hn_status hn_tune_find(hn_store *store, const char *store_dir, const char *name, char folder[HN_PATH_MAX],
                       char base[HN_PATH_MAX], hn_error *err) {
    hn_run *run;
    char models[HN_PATH_MAX], own[HN_PATH_MAX];
    if (strncmp(name, "tune:", 5) == 0) name += 5;
    HN_TRY(hn_run_find(store, name, &run, err));
    hn_status st = HN_OK;
    if (strcmp(run->kind, "tune") != 0)
        st = hn_fail(err, HN_ERR_INPUT, name, "`hone log --kind tune` lists trainings", "this is no training but: %s",
                     run->kind);
    else if (strcmp(run->state, "done") != 0)
        st = hn_fail(err, HN_ERR_INPUT, name, "the same `hone tune` again goes on with it",
                     "this training is not finished: %s", run->state);
    snprintf(own, sizeof own, "%.16s-r%lld/adapter", run->content_id, (long long)run->id);
    if (st == HN_OK) st = read_base(run, base, err);
    if (st == HN_OK) st = hn_path_join(models, store_dir, "models", err);
    if (st == HN_OK) st = hn_path_join(folder, models, own, err);
    if (st == HN_OK && !hn_file_is_dir(folder))
        st = hn_fail(err, HN_ERR_NOT_FOUND, folder, "train it again with --fresh", "the adapter of %s is gone", name);
    hn_run_free(run);
    return st;
}
