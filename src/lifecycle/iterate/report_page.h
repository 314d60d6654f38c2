/* What every page of a report has in common: style, script, and the policy that lets nothing else run or load.
 *
 *     hn_report_page_begin("r7 nearest", &out);
 *     hn_buf_append_str(&out, "<h2>Labels</h2>");
 *     hn_report_page_end(&out);
 *
 * The one script (it filters lists by what is typed) is allowed by its hash, so a script that slipped in with data would not run. Threading: pure, but for
 * the buffer. */
#ifndef HN_LIFECYCLE_REPORT_PAGE_H
#define HN_LIFECYCLE_REPORT_PAGE_H

#include "base/buf.h"

void hn_report_page_begin(const char *title, hn_buf *out);
void hn_report_page_end(hn_buf *out);
/* The script's text, for the test of its hash. */
extern const char hn_report_page_script[];

#endif
