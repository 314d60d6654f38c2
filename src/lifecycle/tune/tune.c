/* The loop of a training: steps, a scoring at each epoch's end, keeping the best; see tune.h, and tune_training.h for where the rest is. */
#include "lifecycle/tune/tune.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/interrupt.h"
#include "lifecycle/tune/tune_method.h"
#include "stats/paired.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { HOPELESS_MAX = 2, SAVING_SHARE = 20 };
static const double checkpoint_every_s = 30;

/* ---- keeping ---- */

static hn_status save_checkpoint(hn_training *t, hn_error *err) {
    size_t n;
    const hn_tensor *tensors = hn_network_tensors(t->network, &n);
    double from = hn_clock_seconds();
    t->state.seconds = t->seconds_before + from - t->session_began;
    HN_TRY(hn_tune_checkpoint_write(t->checkpoint, t->result->run->content_id, &t->state, t->best_scores,
                                    t->result->n_dev, tensors, n, &t->adam, err));
    t->saved_at = hn_clock_seconds();
    t->saving_s = t->saved_at - from;
    return HN_OK;
}

/* Every half minute, but where the state is so large that saving takes long, no more than a twentieth of the time. */
static bool is_time_to_save(const hn_training *t) {
    double every = SAVING_SHARE * t->saving_s > checkpoint_every_s ? SAVING_SHARE * t->saving_s : checkpoint_every_s;
    return hn_clock_seconds() - t->saved_at > every;
}

static hn_status resume(hn_training *t, hn_error *err) {
    size_t n;
    bool found;
    hn_tensor *tensors = hn_network_tensors(t->network, &n);
    HN_TRY(hn_tune_checkpoint_read(t->checkpoint, t->result->run->content_id, &t->state, t->best_scores,
                                   t->result->n_dev, tensors, n, &t->adam, &found, err));
    t->session_began = t->saved_at = hn_clock_seconds();
    t->seconds_before = t->state.seconds;
    return HN_OK;
}

/* ---- scoring ---- */

static double total(const double *scores, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += scores[i];
    return sum;
}

/* Whether the pair leaves no room for a gain that matters: of right answers one of the scope's smallest difference, of a loss any at all. */
static hn_status look_for_hope(const hn_training *t, const hn_tune_epoch *e, bool *hopeless, hn_error *err) {
    size_t n = t->result->n_dev;
    if (e->n_correct >= 0) {
        int64_t only_best = 0, only_now = 0;
        for (size_t i = 0; i < n; i++) {
            only_best += t->best_scores[i] > t->scores[i];
            only_now += t->scores[i] > t->best_scores[i];
        }
        double least = t->setup->project ? hn_project_scope(t->setup->project)->smallest_difference : 0.02;
        *hopeless = hn_paired_proportion_interval(only_best, only_now, (int64_t)n, 0.05).high < least;
        return HN_OK;
    }
    hn_clustered_mean gain;
    double *gains = hn_calloc(n, sizeof *gains);
    if (!gains) return hn_fail_memory(err, n * sizeof *gains);
    for (size_t i = 0; i < n; i++) gains[i] = t->scores[i] - t->best_scores[i];
    hn_status st = hn_interval_clustered_mean(gains, NULL, n, 0.05, &gain, err);
    hn_free(gains);
    *hopeless = st == HN_OK && gain.interval.high < 0;
    return st;
}

/* Writes the network as it is (epoch 0: the base, which is there already) and scores it. */
static hn_status measure(hn_training *t, int epoch, hn_tune_epoch *e, hn_tune_sample *sample, hn_error *err) {
    char candidate[HN_PATH_MAX];
    if (epoch) HN_TRY(save_checkpoint(t, err)); /* scoring can be interrupted, too */
    HN_TRY(hn_path_join(candidate, t->folder, "candidate", err));
    if (epoch) HN_TRY(t->method->write(t, candidate, err));
    return (t->method->score ? t->method->score : hn_tune_score_epoch)(t, epoch ? candidate : NULL, e, sample, err);
}

/* Where it is the best so far, it is kept; the state says so after the files do, and a kill in between does this again. */
static hn_status judge(hn_training *t, hn_tune_epoch *e, hn_error *err) {
    size_t n = t->result->n_dev;
    bool hopeless = false;
    double now = total(t->scores, n), best = total(t->best_scores, n);
    bool wins = now > best || (t->method->ties_to_later && !(now < best));
    e->best = e->epoch > 0 && (t->state.best == 0 || wins);
    if (e->epoch > 1 && !e->best) HN_TRY(look_for_hope(t, e, &hopeless, err));
    if (e->best) {
        HN_TRY(t->method->write(t, t->result->folder, err));
        memcpy(t->best_scores, t->scores, n * sizeof *t->scores);
        t->state.best = t->state.n_epochs;
    }
    t->state.n_hopeless = hopeless ? t->state.n_hopeless + 1 : 0;
    return HN_OK;
}

static hn_status score(hn_training *t, int epoch, hn_error *err) {
    hn_tune_sample sample = {0};
    static const hn_estimate none = {(double)NAN, (double)NAN, (double)NAN};
    hn_tune_epoch *e = &t->state.epochs[t->state.n_epochs];
    *e = (hn_tune_epoch){.epoch = epoch,
                         .n_correct = -1,
                         .loss = none,
                         .bits_per_byte = none,
                         .reward_accuracy = none,
                         .reward_margin = none};
    e->train_loss = t->state.loss_tokens ? t->state.loss_sum / (double)t->state.loss_tokens : (double)NAN;
    hn_status st = measure(t, epoch, e, &sample, err);
    e->seconds = t->state.seconds = t->seconds_before + hn_clock_seconds() - t->session_began;
    if (st == HN_OK) st = judge(t, e, err);
    if (st == HN_OK && t->hooks->on_epoch) t->hooks->on_epoch(t->hooks->user, e, t->result->n_dev, &sample);
    hn_tune_sample_free(&sample);
    HN_TRY(st);
    t->state.n_epochs++;
    t->state.loss_sum = 0;
    t->state.loss_tokens = 0;
    return save_checkpoint(t, err);
}

/* ---- the loop ---- */

static hn_status interrupted(hn_training *t, hn_error *err) {
    HN_TRY(save_checkpoint(t, err));
    HN_TRY(hn_run_stop(t->setup->store, t->result->run->id, err));
    return hn_fail(err, HN_ERR_INTERRUPTED, "training", "the same command goes on from there",
                   "stopped after step %lld of %lld; all of it is kept", (long long)t->state.step,
                   (long long)t->result->n_steps);
}

static hn_status train(hn_training *t, hn_error *err) {
    int64_t steps = hn_training_steps_of_epoch(t), n_steps = t->result->n_steps;
    int n_scorings = (int)((n_steps + steps - 1) / steps);
    if (t->state.n_epochs == 0) HN_TRY(score(t, 0, err));
    while (t->state.n_epochs <= n_scorings && t->state.n_hopeless < HOPELESS_MAX) {
        int64_t due = t->state.n_epochs * steps < n_steps ? t->state.n_epochs * steps : n_steps;
        if (t->state.step >= due) { /* also where it was killed between an epoch's last step and its scoring */
            HN_TRY(score(t, t->state.n_epochs, err));
            continue;
        }
        if (hn_interrupted()) return interrupted(t, err);
        HN_TRY(hn_training_step(t, err));
        if (is_time_to_save(t)) HN_TRY(save_checkpoint(t, err));
    }
    t->result->stopped_early = t->state.step < n_steps;
    return HN_OK;
}

static hn_status reload(hn_training *t, hn_error *err) {
    hn_run *run;
    char name[32];
    snprintf(name, sizeof name, "r%lld", (long long)t->result->run->id);
    HN_TRY(hn_run_find(t->setup->store, name, &run, err));
    hn_run_free(t->result->run);
    t->result->run = run;
    return hn_tune_result_read(t->result, err);
}

static hn_status run_training(hn_training *t, hn_error *err) {
    bool done;
    HN_TRY(hn_training_begin(t, &done, err));
    if (done) return hn_tune_result_read(t->result, err);
    hn_status st = hn_training_open(t, err);
    if (st == HN_OK) st = resume(t, err);
    if (st == HN_OK) st = train(t, err);
    if (st == HN_OK) st = hn_training_finish(t, err);
    if (st == HN_OK) return reload(t, err);
    hn_error unused;
    if (st == HN_ERR_INTERRUPTED)
        (void)!hn_run_stop(t->setup->store, t->result->run->id, &unused);
    else if (err)
        (void)!hn_run_fail(t->setup->store, t->result->run->id, err->message, &unused);
    return st;
}

/* What cannot be trained, or would be trained otherwise than it is served. */
static hn_status check_setup(hn_training *t, hn_error *err) {
    const hn_tune_setup *s = t->setup;
    HN_TRY(hn_tune_method_find(s->options.method, &t->method, err));
    HN_TRY(hn_provider_info_get(s->base, &t->base, err));
    if (!t->base.model)
        return hn_fail(err, HN_ERR_UNSUPPORTED, t->base.name, "give a local model with --base, such as smollm2",
                       "a model elsewhere cannot be trained here");
    if (hn_model_weights(t->base.model)->layers[0].low_rank)
        return hn_fail(err, HN_ERR_UNSUPPORTED, t->base.name,
                       "train from the base model, or merge with `hone export --model`",
                       "a model that has an adapter already cannot get a second one");
    if (s->prompt && s->prompt->reasoning_max_tokens != 0)
        return hn_fail(err, HN_ERR_UNSUPPORTED, s->prompt->path, "train with a prompt that has no `reasoning:`",
                       "the cases say what the answer is, not how to reason towards it, so it would be trained without "
                       "and served with reasoning");
    return t->method->check ? t->method->check(t, err) : HN_OK;
}

hn_status hn_tune_run(const hn_tune_setup *setup, const hn_tune_hooks *hooks, hn_tune_result *result, hn_error *err) {
    hn_training *t = hn_calloc(1, sizeof *t);
    memset(result, 0, sizeof *result);
    if (!t) return hn_fail_memory(err, sizeof *t);
    t->setup = setup;
    t->hooks = hooks;
    t->result = result;
    hn_status st = check_setup(t, err);
    if (st == HN_OK) st = run_training(t, err);
    hn_training_close(t);
    hn_free(t);
    if (st != HN_OK) hn_tune_result_free(result);
    return st;
}
