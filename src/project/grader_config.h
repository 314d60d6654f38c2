/* `graders:` in hone.yaml: what marks answers besides their correctness, as a checked list of kinds with all their options.
 *
 *     HN_TRY(hn_grader_configs_parse(node, root_folder, arena, scope, err));      // while hone.yaml is read
 *     for (size_t i = 0; i < scope->n_graders; i++) puts(scope->graders[i].name);
 *     bool loose = json_is_true(json_object_get(scope->graders[0].options, "ignore_case"));
 *
 * An entry is a kind alone (`exact`), a kind with its main option (`similarity: tfidf`), or with several
 * (`json: {match: subset, name: shape}`). `options` holds every option of the kind, defaults filled in, and beside each file its
 * SHA-256, so that a scope's hash changes with what a rubric says. Which kinds there are and what they do: docs/graders.md;
 * what computes them: lifecycle/eval/grader.h. Ownership: the scope's arena, and hn_grader_configs_free for the JSON.
 * Threading: read-only once parsed. */
#ifndef HN_PROJECT_GRADER_CONFIG_H
#define HN_PROJECT_GRADER_CONFIG_H

#include "base/alloc.h"
#include "base/hash.h"
#include "format/json.h"
#include "format/yaml.h"

enum { HN_GRADERS_MAX = 64 };

typedef struct hn_grader_config {
    char *name;       /* how reports, the store and `metric:` call it; unique */
    const char *kind; /* "exact", "lua", ...; a constant */
    json_t *options;  /* object, every option of the kind; absent ones are null */
    char *folder;     /* the project's, which paths are relative to */
    char *place;      /* "hone.yaml:12:5" */
} hn_grader_config;

/* `node` is the list; NULL gives none. Errors: HN_ERR_INPUT and HN_ERR_NOT_FOUND with the place. On failure what was made is
 * freed by hn_grader_configs_free, as on success. */
hn_status hn_grader_configs_parse(const hn_yaml_node *node, const char *folder, hn_arena *arena,
                                  hn_grader_config **configs, size_t *n, hn_error *err) HN_MUST_CHECK;
void hn_grader_configs_free(hn_grader_config *configs, size_t n);
/* The one with this name; NULL: none. */
const hn_grader_config *hn_grader_config_find(const hn_grader_config *configs, size_t n, const char *name);
/* What a run's marks depend on: name, kind and options of each. Nothing where n is 0. */
void hn_grader_configs_hash(hn_sha256 *h, const hn_grader_config *configs, size_t n);
/* The absolute path of a file option; false where the option is not set or the path is too long. */
bool hn_grader_config_path(const hn_grader_config *config, const char *option, char *out, size_t size);

#endif
