/* Apps out of the store; see frozen_app.h. */
#include "lifecycle/deploy/frozen_app.h"

#include "lifecycle/eval/correction_run.h"
#include "lifecycle/iterate/run_replay.h"

#include <stdio.h>
#include <string.h>

static bool same(const char *a, const char *b) {
    if (!a || !b) return a == b;
    return strcmp(a, b) == 0;
}

static hn_status check_run(const hn_run *run, hn_error *err) {
    char name[32];
    snprintf(name, sizeof name, "r%lld", (long long)run->id);
    if (strcmp(run->kind, "eval") != 0 && strcmp(run->kind, "replay") != 0)
        return hn_fail(err, HN_ERR_INPUT, name, "give the evaluation of a prompt", "a %s has no app", run->kind);
    if (strcmp(run->state, "done") == 0) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, name, "finish it: run the `hone eval` that began it once more",
                   "the run is not finished: %lld of %lld cases are answered", (long long)run->n_done,
                   (long long)run->spec.n_cases);
}

static hn_status check_model(const hn_frozen_setup *s, hn_provider_info *info, hn_error *err) {
    const hn_run_spec *spec = &s->run->spec;
    char name[32];
    snprintf(name, sizeof name, "r%lld", (long long)s->run->id);
    HN_TRY(hn_provider_info_get(s->provider, info, err));
    if (!same(info->model_hash, spec->model_hash) || !same(info->template_hash, spec->template_hash))
        return hn_fail(err, HN_ERR_INPUT, name, "give the model that it ran on: -m PATH",
                       "it ran on %s (%.12s); this model is %s (%.12s)", spec->model_name ? spec->model_name : "?",
                       spec->model_hash ? spec->model_hash : "?", info->name, info->model_hash);
    if (s->other_path || same(info->numeric_path, spec->numeric_path)) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, name,
                   "serve it where it was measured, or evaluate it here; --other-path serves it all the same",
                   "it was measured on the numeric path %s; here it would run on %s, and answers can differ",
                   spec->numeric_path ? spec->numeric_path : "?", info->numeric_path);
}

static hn_status load_prompt(const hn_frozen_setup *s, hn_frozen_app *f, const hn_provider_info *info, hn_error *err) {
    json_t *parameters = NULL;
    const char *text = s->run->spec.parameters_json;
    if (!*f->kept.prompt_path)
        return hn_fail(err, HN_ERR_NOT_FOUND, "run", NULL, "the prompt of r%lld is not kept", (long long)s->run->id);
    HN_TRY(hn_prompt_load(f->kept.prompt_path, f->scope, f->dataset, &f->prompt, err));
    if (text && *text) HN_TRY(hn_json_parse(text, strlen(text), "parameters", 0, &parameters, err));
    hn_status st = hn_run_apply_set(parameters, f->prompt, &f->set, err);
    json_decref(parameters);
    if (st == HN_OK && info->generates_only) st = hn_prompt_generate(f->prompt, info->name, err);
    return st;
}

static hn_status choose_correction(const hn_frozen_setup *s, hn_frozen_app *f, hn_error *err) {
    f->correction = hn_correction_none();
    if (s->correction) {
        f->corrected = true;
        return hn_correction_parse(s->correction, &f->correction, err);
    }
    if (!hn_correction_wanted(f->scope, f->prompt)) return HN_OK;
    f->corrected = true;
    return hn_correction_find(s->store, f->scope, f->prompt, &s->run->spec, &f->correction, err);
}

hn_status hn_frozen_restart(hn_frozen_app *f, hn_provider *provider, hn_error *err) {
    hn_app_parts parts = {.scope = f->scope,
                          .dataset = f->dataset,
                          .prompt = f->prompt,
                          .provider = provider,
                          .correction = f->corrected ? &f->correction : NULL};
    hn_app_free(f->app);
    f->app = NULL;
    return hn_app_create(&parts, &f->app, err);
}

static hn_status open_parts(const hn_frozen_setup *s, hn_frozen_app *f, hn_error *err) {
    hn_provider_info info;
    HN_TRY(check_run(s->run, err));
    HN_TRY(check_model(s, &info, err));
    HN_TRY(hn_kept_open(s->store, s->run, &f->kept, err));
    f->scope = hn_project_scope(f->kept.project);
    HN_TRY(hn_project_dataset(f->kept.project, &f->dataset, err));
    if (!same(f->dataset->hash, s->run->spec.dataset_hash))
        return hn_fail(err, HN_ERR_INPUT, "data", "use the version of hone that made the run",
                       "the data kept with r%lld is read differently now", (long long)s->run->id);
    HN_TRY(load_prompt(s, f, &info, err));
    HN_TRY(choose_correction(s, f, err));
    return hn_frozen_restart(f, s->provider, err);
}

hn_status hn_frozen_open(const hn_frozen_setup *setup, hn_frozen_app **frozen, hn_error *err) {
    *frozen = NULL;
    hn_frozen_app *f = hn_calloc(1, sizeof *f);
    if (!f) return hn_fail_memory(err, sizeof *f);
    hn_status st = open_parts(setup, f, err);
    if (st == HN_OK)
        *frozen = f;
    else
        hn_frozen_close(f);
    return st;
}

static void ignore_answer(void *user, uint64_t ticket, const hn_answer *answer) {
    (void)user, (void)ticket, (void)answer;
}

hn_status hn_frozen_warm(hn_frozen_app *f, hn_error *err) {
    if (f->dataset->n_cases == 0) return HN_OK;
    HN_TRY(hn_app_submit(f->app, &f->dataset->cases[0], 0, ignore_answer, NULL, NULL, err));
    for (size_t pending = 1; pending;) HN_TRY(hn_app_step(f->app, 100, &pending, err));
    return HN_OK;
}

void hn_frozen_close(hn_frozen_app *f) {
    if (!f) return;
    hn_app_free(f->app);
    hn_correction_free(&f->correction);
    if (f->prompt) hn_prompt_free(f->prompt);
    json_decref(f->set);
    hn_kept_close(&f->kept);
    hn_free(f);
}
