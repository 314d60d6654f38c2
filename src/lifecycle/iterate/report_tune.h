/* A training in a page: what it was, and its curves of loss and accuracy, from the run's summary.
 *
 *     if (hn_report_is_tuning(run)) HN_TRY(hn_report_tuning(summary, &out, &err));
 *
 * Threading: pure, but for the buffer. */
#ifndef HN_LIFECYCLE_REPORT_TUNE_H
#define HN_LIFECYCLE_REPORT_TUNE_H

#include "base/buf.h"
#include "store/store.h"

bool hn_report_is_tuning(const hn_run *run);
/* `summary` NULL: not finished, nothing is written. */
hn_status hn_report_tuning(const json_t *summary, hn_buf *out, hn_error *err) HN_MUST_CHECK;

#endif
