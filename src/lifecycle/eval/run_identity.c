/* What runs are known by; see run_identity.h. */
#include "lifecycle/eval/run_identity.h"

#include "base/alloc.h"
#include "base/file.h"

enum { FILE_BYTES_MAX = 16 << 20 };

static hn_status put_file(hn_store *store, const char *path, char hash[65], hn_error *err) {
    char *bytes;
    size_t n;
    hash[0] = 0;
    if (!path) return HN_OK;
    HN_TRY(hn_file_read(path, FILE_BYTES_MAX, &bytes, &n, err));
    hn_status st = hn_object_put(store, bytes, n, hash, err);
    hn_free(bytes);
    return st;
}

hn_status hn_run_identify(hn_project *project, hn_store *store, const hn_dataset *dataset, const hn_prompt *prompt,
                          hn_provider *provider, hn_run_identity *id, hn_error *err) {
    const hn_scope *scope = hn_project_scope(project);
    HN_TRY(put_file(store, prompt->path, id->prompt_object, err));
    HN_TRY(put_file(store, scope->config_path, id->scope_object, err));
    HN_TRY(hn_provider_info_get(provider, &id->info, err));
    id->spec = (hn_run_spec){.prompt_name = prompt->name,
                             .prompt_hash = prompt->hash,
                             .prompt_object = id->prompt_object,
                             .scope_object = id->scope_object,
                             .scope_hash = hn_project_scope_hash(project),
                             .dataset_hash = dataset->hash,
                             .model_name = id->info.name,
                             .model_hash = id->info.model_hash,
                             .template_hash = id->info.template_hash,
                             .numeric_path = id->info.numeric_path,
                             .code_version = HONE_VERSION,
                             .metric = scope->metric};
    return HN_OK;
}
