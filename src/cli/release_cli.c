/* Opening runs and releases to be served; see release_cli.h. */
#include "cli/release_cli.h"

#include "cli/inference.h"
#include "lifecycle/deploy/release_evidence.h"

#include <stdio.h>
#include <string.h>

/* The KV type is part of the numeric path; where --kv does not say otherwise it is the run's. */
hn_status hn_cli_open_run_model(hn_cli *cli, const hn_cli_project *p, const hn_run *run, hn_provider **provider,
                                hn_error *err) {
    hn_local_options o = hn_cli_local_options(cli);
    const char *name = hn_cli_string(cli, "model"), *path = run->spec.numeric_path ? run->spec.numeric_path : "";
    char file[HN_PATH_MAX], adapter[HN_PATH_MAX];
    hn_error unknown;
    if (!hn_cli_given(cli, "kv") && strstr(path, "kv-q8_0")) o.kv_type = HN_KV_Q8_0;
    if (!name && run->spec.model_name && hn_cli_resolve_model(run->spec.model_name, file, adapter, &unknown) == HN_OK)
        name = run->spec.model_name; /* else the project's, whose hash is checked */
    return hn_cli_project_model(p, name, &o, provider, err);
}

static hn_status find_run_of(const hn_cli_project *p, hn_cli_served *s, hn_error *err) {
    char run[32];
    const hn_release *r = &s->release.rows[0];
    snprintf(run, sizeof run, "r%lld", (long long)r->run_id);
    snprintf(s->name, sizeof s->name, "%s", r->name);
    HN_TRY(hn_release_parse(r->manifest_json, &s->manifest, err));
    s->correction = json_object_get(s->manifest, "correction");
    if (json_is_null(s->correction)) s->correction = NULL;
    return hn_run_find(p->store, run, &s->run, err);
}

hn_status hn_cli_served_find(const hn_cli_project *p, const char *name, hn_cli_served *s, hn_error *err) {
    hn_error unknown;
    *s = (hn_cli_served){0};
    hn_status st = hn_release_find(p->store, name, &s->release, &unknown);
    if (st == HN_OK)
        st = find_run_of(p, s, err);
    else if (st != HN_ERR_NOT_FOUND || strchr(name, '@')) {
        if (err) *err = unknown;
    } else {
        st = hn_run_find(p->store, name, &s->run, err);
        if (st == HN_OK) snprintf(s->name, sizeof s->name, "r%lld", (long long)s->run->id);
    }
    if (st != HN_OK) hn_cli_served_close(s);
    return st;
}

hn_status hn_cli_served_open(hn_cli *cli, const hn_cli_project *p, const char *name, hn_cli_served *s, hn_error *err) {
    HN_TRY(hn_cli_served_find(p, name, s, err));
    hn_status st = hn_cli_open_run_model(cli, p, s->run, &s->provider, err);
    hn_frozen_setup setup = {.store = p->store,
                             .run = s->run,
                             .provider = s->provider,
                             .correction = s->correction,
                             .other_path = hn_cli_flag(cli, "other-path")};
    if (st == HN_OK) st = hn_frozen_open(&setup, &s->app, err);
    if (st == HN_OK) st = hn_frozen_warm(s->app, err);
    if (st != HN_OK) hn_cli_served_close(s);
    return st;
}

void hn_cli_served_close(hn_cli_served *s) {
    hn_frozen_close(s->app);
    if (s->provider) hn_provider_close(s->provider);
    json_decref(s->manifest);
    hn_release_list_free(&s->release);
    if (s->run) hn_run_free(s->run);
    *s = (hn_cli_served){0};
}
