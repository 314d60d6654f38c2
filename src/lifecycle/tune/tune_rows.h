/* Which cases or rows are trained on and which scored, and their rows of tokens.
 *
 *     HN_TRY(hn_tune_rows_select(t, &err));            // t->train, t->dev
 *     HN_TRY(hn_tune_rows_make(t, &err));              // t->examples, t->held (tune_method.h)
 *
 * With cases, the splits decide. With data alone, rows are held out by the hash of their content: the share with the lowest ones. So a row stays where
 * it is when others come or go, and two equal rows never stand on both sides. Ownership: the training's. Threading: one thread. */
#ifndef HN_LIFECYCLE_TUNE_ROWS_H
#define HN_LIFECYCLE_TUNE_ROWS_H

#include "lifecycle/tune/tune_training.h"

/* HN_ERR_INPUT: a side has nothing. */
hn_status hn_tune_rows_select(hn_training *t, hn_error *err) HN_MUST_CHECK;
/* What the training's rows are: ids of the cases, or the data's hash with the rows of each side. */
hn_status hn_tune_rows_hash(const hn_training *t, char hex[65], hn_error *err) HN_MUST_CHECK;

#endif
