/* The models that graders use, beside the one that was evaluated; see grader.h. */
#include "lifecycle/eval/grader.h"
#include "model/catalogue.h"

#include <string.h>

static hn_status open_local(const char *name, hn_provider **provider, hn_error *err) {
    char path[HN_PATH_MAX];
    const hn_catalogue_entry *entry = hn_catalogue_find(name);
    HN_TRY(hn_model_resolve(name, path, err));
    return hn_provider_local_open(path, &(hn_local_options){.name = entry ? entry->name : NULL}, provider, err);
}

hn_status hn_grading_model(const hn_grading *g, const char *name, const char *place, hn_provider **provider, bool *own,
                           hn_error *err) {
    hn_provider_info info;
    *own = false;
    *provider = NULL;
    if (g->provider) {
        HN_TRY(hn_provider_info_get(g->provider, &info, err));
        const hn_catalogue_entry *entry = name ? hn_catalogue_find(name) : NULL;
        if (!name || strcmp(info.name, name) == 0 || (entry && strcmp(info.name, entry->name) == 0)) {
            *provider = g->provider;
            return HN_OK;
        }
    }
    if (!name) name = g->scope->model ? g->scope->model : "smollm2";
    hn_status st = g->open_model ? g->open_model(g->user, name, provider, err) : open_local(name, provider, err);
    *own = st == HN_OK;
    if (st != HN_OK && err && place) hn_error_prefix(err, place);
    return st;
}
