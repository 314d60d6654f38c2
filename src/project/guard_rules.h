/* `guard:` in hone.yaml: what an input and an answer must be like, and what is answered where they are not.
 *
 *     guard:
 *       input: {max_characters: 4000, language: [en, de], must_not_match: 'BEGIN PRIVATE KEY'}
 *       output: {max_characters: 600, grounded: 0.5}
 *       fallback: abstain
 *
 * Patterns are checked when the file is read. Ownership: the scope's arena. Threading: read-only after loading. */
#ifndef HN_PROJECT_GUARD_RULES_H
#define HN_PROJECT_GUARD_RULES_H

#include "base/alloc.h"
#include "format/json.h"
#include "format/yaml.h"

#include <stdbool.h>

typedef struct hn_guard_side {
    int64_t min_characters, max_characters; /* -1: none */
    char **languages; /* (n_languages) a text of another one is refused; of none that can be told: let through */
    char **must_match, **must_not_match; /* found anywhere in the text */
    size_t n_languages, n_must_match, n_must_not_match;
    double grounded; /* output: the least support by the context; NaN: none */
} hn_guard_side;

typedef struct hn_guard_rules {
    bool given;
    hn_guard_side input, output;
    char *fallback; /* the answer where a guard refuses; NULL: none, the case is left to a person */
} hn_guard_rules;

/* `node`: the value of `guard`, or NULL: no guards. `has_context`: hone.yaml names a `context` column, which `grounded` needs. */
hn_status hn_guard_rules_parse(const hn_yaml_node *node, bool has_context, hn_arena *arena, hn_guard_rules *rules,
                               hn_error *err) HN_MUST_CHECK;
/* As a run's parameters keep it: a new reference; NULL: memory is used up. */
json_t *hn_guard_rules_json(const hn_guard_rules *rules);

#endif
