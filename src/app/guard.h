/* Guards: what the App refuses to ask or to answer, and how far an answer rests on its context; by the rules of hone.yaml's `guard`.
 *
 *     hn_guard *guard;
 *     HN_TRY(hn_guard_create(&scope->guard, scope->context_column, &scope->contract, &guard, &err));     // NULL where there are none
 *     HN_TRY(hn_guard_input(guard, c, &fired, &err));                        // "input.language", or NULL: fine
 *     HN_TRY(hn_guard_output(guard, c, text, &fired, &support, &err));
 *     hn_guard_free(guard);
 *
 * An input guard is asked before the model, which then is not run; an output guard when the answer is there. Names of guards are static texts.
 * Ownership: borrows the rules. Threading: one guard, one thread. */
#ifndef HN_APP_GUARD_H
#define HN_APP_GUARD_H

#include "base/str.h"
#include "project/project.h"

typedef struct hn_guard hn_guard;

/* *guard NULL: neither rules nor a context column. HN_ERR_INPUT: the fallback is none of the labels of a choice. */
hn_status hn_guard_create(const hn_scope *scope, hn_guard **guard, hn_error *err) HN_MUST_CHECK;
void hn_guard_free(hn_guard *guard);
/* *fired: the name of the first rule that refuses, or NULL. A pattern that takes too many steps refuses, too. HN_ERR_MEMORY, HN_ERR_LIMIT. */
hn_status hn_guard_input(hn_guard *guard, const hn_case *c, const char **fired, hn_error *err) HN_MUST_CHECK;
/* *support: the answer's by the case's context; NaN where there is no context column, or an answer without words. */
hn_status hn_guard_output(hn_guard *guard, const hn_case *c, hn_str text, const char **fired, double *support,
                          hn_error *err) HN_MUST_CHECK;
/* What is answered instead; NULL: the case is left to a person. *label: its index in a choice, else -1. */
const char *hn_guard_fallback(const hn_guard *guard, int *label);
/* The text of a case's context column, appended. */
hn_status hn_guard_context(const hn_scope *scope, const hn_case *c, hn_buf *out, hn_error *err) HN_MUST_CHECK;

#endif
