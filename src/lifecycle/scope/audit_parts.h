/* What the audit's files share; see audit.h. audit.c puts it together; audit_copies.c finds equal and near-equal texts; audit_leaks.c what
 * of that crosses splits; audit_cells.c looks at each text by itself; audit_labels.c at labels; audit_label_errors.c learns to doubt them;
 * audit_room.c what fits the model; audit_templates.c what is written by a form.
 * Ownership: as said at each. Threading: one thread. */
#ifndef HN_LIFECYCLE_AUDIT_PARTS_H
#define HN_LIFECYCLE_AUDIT_PARTS_H

#include "lifecycle/scope/audit.h"
#include "text/minhash.h"

/* All cases' texts in one block, and their keys: equal for texts that say the same. */
typedef struct hn_audit_texts {
    const hn_dataset *dataset;
    hn_buf bytes;
    hn_str *texts;  /* (n) */
    uint64_t *keys; /* (n) 0: nothing but white space */
    size_t n;
} hn_audit_texts;
hn_status hn_audit_texts_make(const hn_dataset *dataset, hn_audit_texts *out, hn_error *err) HN_MUST_CHECK;
void hn_audit_texts_free(hn_audit_texts *texts);

/* Rows with equal keys, side by side, each run in the files' order; rows that are left out or empty are not in it. */
typedef struct hn_copies {
    uint32_t *rows; /* (n_rows) in runs of two or more */
    size_t *starts; /* (n_runs + 1) */
    size_t n_rows, n_runs;
} hn_copies;
hn_status hn_copies_exact(const hn_audit_texts *texts, const unsigned char *left_out, hn_copies *out,
                          hn_error *err) HN_MUST_CHECK;
void hn_copies_free(hn_copies *copies);

/* Pairs of rows that are near and not exact, a < b: all within small clusters; in large ones those with the first rows of each split. */
typedef struct hn_near_list {
    hn_near_pair *pairs;
    size_t n, capacity;
} hn_near_list;
hn_status hn_copies_near(const hn_audit_texts *texts, const unsigned char *left_out, double threshold,
                         hn_near_list *out, hn_error *err) HN_MUST_CHECK;
void hn_near_list_free(hn_near_list *list);

/* Same target, as a person would take it (case and blanks aside); cases without one have none in common. */
bool hn_audit_same_target(const hn_case *a, const hn_case *b);

/* Leaks from what was searched already. */
hn_status hn_leaks_collect(const hn_dataset *dataset, const unsigned char *left_out, const hn_copies *exact,
                           const hn_near_list *near, hn_leaks *leaks, hn_error *err) HN_MUST_CHECK;

/* Adds a row to a finding: counts it, and keeps it while there is room. `c` may be NULL. HN_ERR_MEMORY. */
hn_status hn_audit_add(hn_audit *audit, hn_audit_kind kind, const hn_case *c, hn_error *err, const char *fmt, ...)
    HN_PRINTF(5, 6) HN_MUST_CHECK;
/* A sentence on what was not looked at. */
hn_status hn_audit_add_limit(hn_audit *audit, hn_error *err, const char *fmt, ...) HN_PRINTF(3, 4) HN_MUST_CHECK;

hn_status hn_audit_copies(const hn_audit_setup *setup, const hn_audit_texts *texts, hn_audit *audit,
                          hn_error *err) HN_MUST_CHECK;
hn_status hn_audit_cells(const hn_audit_setup *setup, const hn_audit_texts *texts, hn_audit *audit,
                         hn_error *err) HN_MUST_CHECK;
hn_status hn_audit_labels(const hn_audit_setup *setup, hn_audit *audit, hn_error *err) HN_MUST_CHECK;
hn_status hn_audit_label_errors(const hn_audit_setup *setup, const hn_audit_texts *texts, hn_audit *audit,
                                hn_error *err) HN_MUST_CHECK;
hn_status hn_audit_lengths(const hn_audit_setup *setup, hn_audit *audit, hn_error *err) HN_MUST_CHECK;
hn_status hn_audit_templates(const hn_audit_texts *texts, const hn_dataset *dataset, hn_audit *audit,
                             hn_error *err) HN_MUST_CHECK;

#endif
