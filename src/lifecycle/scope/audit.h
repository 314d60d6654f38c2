/* The data audit: what is wrong with a project's cases before any model sees them.
 *
 *     hn_audit audit;
 *     hn_audit_setup setup = {.scope = scope, .dataset = dataset, .store = store};
 *     HN_TRY(hn_audit_run(&setup, &audit, &err));
 *     for (size_t i = 0; i < audit.n; i++) printf("%s: %zu\n", audit.findings[i].name, audit.findings[i].n);
 *     hn_audit_free(&audit);
 *
 * A finding says how many cases, their share, the first of them with what is wrong in each, why it matters and what to do. Values that
 * look like personal data are counted and located, never copied. Leakage stops: see audit_leaks.h.
 * Ownership: the audit owns its rows' texts, cases are the dataset's. Threading: one thread (two work on label errors). */
#ifndef HN_LIFECYCLE_AUDIT_H
#define HN_LIFECYCLE_AUDIT_H

#include "lifecycle/scope/audit_leaks.h"
#include "model/model.h"
#include "store/store.h"

typedef enum hn_audit_kind {
    HN_AUDIT_LEAK_EXACT,
    HN_AUDIT_LEAK_NEAR,
    HN_AUDIT_LEAK_GROUP,
    HN_AUDIT_CONTRADICTION,
    HN_AUDIT_NEAR_CONTRADICTION,
    HN_AUDIT_LABEL_SPELLING,
    HN_AUDIT_LABEL_ERROR,
    HN_AUDIT_NO_TRAIN,
    HN_AUDIT_NO_DEV,
    HN_AUDIT_IMBALANCE,
    HN_AUDIT_DUPLICATE,
    HN_AUDIT_NEAR_DUPLICATE,
    HN_AUDIT_EMPTY,
    HN_AUDIT_TOO_LONG,
    HN_AUDIT_REPLACEMENT,
    HN_AUDIT_MOJIBAKE,
    HN_AUDIT_CONTROL,
    HN_AUDIT_MIXED_FORMS,
    HN_AUDIT_TEMPLATE,
    HN_AUDIT_EMAIL,
    HN_AUDIT_PHONE,
    HN_AUDIT_IBAN,
    HN_AUDIT_CARD,
    HN_AUDIT_IP,
    HN_AUDIT_KINDS
} hn_audit_kind;

/* STOP: results would be wrong. WARN: they may be. NOTE: worth knowing. */
typedef enum hn_audit_level { HN_AUDIT_STOP, HN_AUDIT_WARN, HN_AUDIT_NOTE } hn_audit_level;

typedef struct hn_audit_row {
    const hn_case *c; /* NULL: about the data as a whole, such as a label */
    char *what;       /* "is data/t.csv:9 (train) word for word"; without personal data */
} hn_audit_row;

typedef struct hn_audit_finding {
    hn_audit_kind kind;
    hn_audit_level level;
    const char *name;      /* "leak_exact": fixed, for programs */
    const char *title;     /* "in two splits, word for word" */
    const char *why, *fix; /* sentences */
    size_t n, of;          /* cases (or labels) with it, of so many looked at */
    hn_audit_row *rows;    /* (n_rows) the first of them in the files' order, at most HN_AUDIT_ROWS_MAX */
    size_t n_rows, rows_capacity;
} hn_audit_finding;

enum { HN_AUDIT_ROWS_MAX = 1000, HN_AUDIT_LIMITS_MAX = 6 };

/* The room that prompts leave, for what would not fit: see hn_audit_room in audit_room.h. */
typedef struct hn_audit_prompt {
    const char *name;
    int overhead; /* tokens beside the case's own, at most, as far as it was tried */
    int longest;  /* tokens of the longest case tried, rendered */
    int answer;   /* tokens kept for reasoning and answer */
} hn_audit_prompt;

typedef struct hn_audit_setup {
    const hn_scope *scope;
    const hn_dataset *dataset;
    hn_store *store;                /* what takes seconds is kept there; NULL: it is not */
    const int *tokens;              /* (n_cases) length of each case's text in tokens; NULL: not known */
    int context;                    /* the model's window; 0: not known */
    const hn_audit_prompt *prompts; /* (n_prompts) */
    size_t n_prompts;
    bool quick; /* without the search for label errors */
} hn_audit_setup;

typedef struct hn_audit {
    hn_audit_finding findings[HN_AUDIT_KINDS]; /* (n) the worst first; those without cases are left out */
    size_t n, n_cases;
    bool stops;                        /* leakage */
    char *limits[HN_AUDIT_LIMITS_MAX]; /* (n_limits) what was not looked at, and why; sentences */
    size_t n_limits;
    double seconds;
    hn_leaks leaks;
    hn_arena *arena;
} hn_audit;

hn_status hn_audit_run(const hn_audit_setup *setup, hn_audit *audit, hn_error *err) HN_MUST_CHECK;
void hn_audit_free(hn_audit *audit);
/* NULL: nothing of that kind. */
const hn_audit_finding *hn_audit_find(const hn_audit *audit, hn_audit_kind kind);
/* {"stops","cases","seconds","not_checked":[...],"findings":[{"name","level","title","n","of","share","why","fix","rows":[...]}]} */
hn_status hn_audit_json(const hn_audit *audit, json_t **value, hn_error *err) HN_MUST_CHECK;

#endif
