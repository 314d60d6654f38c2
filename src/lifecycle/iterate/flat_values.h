/* A prompt file, hone.yaml or a run's parameters as a flat list of settings, so that two of them can be set side by side.
 *
 *     hn_flat a, b;
 *     HN_TRY(hn_flat_yaml("prompts/v1.yaml", text, n, &a, &err));         // "messages[0].system" -> "You route ..."
 *     const char *pick = hn_flat_find(&a, "examples.pick");
 *     hn_flat_free(&a);
 *
 * Ownership: the list owns its texts. Threading: one list, one thread. */
#ifndef HN_LIFECYCLE_FLAT_VALUES_H
#define HN_LIFECYCLE_FLAT_VALUES_H

#include "base/alloc.h"
#include "format/json.h"

typedef struct hn_flat_value {
    const char *path; /* "split.train", "output.choice[3]" */
    const char *text; /* scalars as written; JSON strings unquoted */
} hn_flat_value;

typedef struct hn_flat {
    hn_flat_value *rows; /* in the file's order */
    size_t n;
    hn_arena *arena;
} hn_flat;

/* `name` stands for the text in errors. Free with hn_flat_free. */
hn_status hn_flat_yaml(const char *name, const char *text, size_t n, hn_flat *out, hn_error *err) HN_MUST_CHECK;
/* A JSON text; NULL or "" gives an empty list. */
hn_status hn_flat_json(const char *name, const char *text, hn_flat *out, hn_error *err) HN_MUST_CHECK;
void hn_flat_free(hn_flat *flat);
const char *hn_flat_find(const hn_flat *flat, const char *path); /* NULL: it is not there */

/* Calls `visit` for each path whose texts differ, in A's order, then for what only B has; NULL: not there. */
typedef hn_status hn_flat_visit(void *user, const char *path, const char *a, const char *b, hn_error *err);
hn_status hn_flat_compare(const hn_flat *a, const hn_flat *b, hn_flat_visit *visit, void *user,
                          hn_error *err) HN_MUST_CHECK;

#endif
