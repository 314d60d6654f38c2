/* Releases: apps that were frozen under a name, which of a name is current, and the proofs that a server answers as was measured.
 *
 *     hn_release_list list;
 *     HN_TRY(hn_release_load(store, "router", &list, &err));            // NULL: of all names
 *     for (size_t i = 0; i < list.n; i++) if (list.rows[i].current) ...
 *     hn_release_list_free(&list);
 *
 * Ownership: rows belong to their list. Threading: as the store. */
#ifndef HN_STORE_RELEASE_H
#define HN_STORE_RELEASE_H

#include "store/store.h"

typedef struct hn_release {
    int64_t id, number, run_id, at_ms;
    const char *name, *content_id;
    const char *manifest_json, *evidence_json;
    const char *forced;     /* NULL: the evidence was for it */
    bool current;           /* of its name */
    int64_t checked_ms;     /* 0: never */
    bool passed;            /* the last check */
    const char *check_json; /* of the last check; NULL: none */
} hn_release;

typedef struct hn_release_list {
    hn_release *rows; /* by name, newest first */
    size_t n;
    hn_arena *arena;
} hn_release_list;

/* Adds a release with the next number of its name, which becomes the current one. Of `release`, name, run_id, content_id, manifest, evidence and
 * forced are read; id, number and at_ms are written. */
hn_status hn_release_add(hn_store *store, hn_release *release, hn_error *err) HN_MUST_CHECK;
/* Makes an earlier one the current one again. */
hn_status hn_release_make_current(hn_store *store, int64_t release_id, hn_error *err) HN_MUST_CHECK;
hn_status hn_release_load(hn_store *store, const char *name, hn_release_list *list, hn_error *err) HN_MUST_CHECK;
/* "router": the current one; "router@2": that one. A list of one row. HN_ERR_NOT_FOUND names those that are there. */
hn_status hn_release_find(hn_store *store, const char *name, hn_release_list *list, hn_error *err) HN_MUST_CHECK;
void hn_release_list_free(hn_release_list *list);
/* Keeps how a server's answers were held against the evidence; the newest is what lists show. */
hn_status hn_release_check_add(hn_store *store, int64_t release_id, bool passed, const char *result_json,
                               hn_error *err) HN_MUST_CHECK;

#endif
