/* Markdown and HTML text: what is data stays data, whatever stands in it.
 *
 *     hn_md_append(&out, case_text);                        // "*" becomes "\*", "<" becomes "&lt;"
 *     hn_md_append_cell(&out, label);                       // the same on one line, for a table
 *     hn_html_append(&out, case_text);                      // for element content and for quoted attributes
 *
 * Invalid UTF-8 becomes U+FFFD; control characters are left out (line breaks and tabs stay). Threading: pure, but for the buffer. */
#ifndef HN_FORMAT_MARKDOWN_H
#define HN_FORMAT_MARKDOWN_H

#include "base/buf.h"

void hn_md_append(hn_buf *out, const char *text);
/* White space collapsed to single blanks, cut after `max_chars` characters with "..." (0: not cut). */
void hn_md_append_line(hn_buf *out, const char *text, size_t max_chars);
void hn_md_append_cell(hn_buf *out, const char *text);
/* A fenced block whose fence is longer than any in the text. */
void hn_md_append_code(hn_buf *out, const char *language, const char *text);

void hn_html_append(hn_buf *out, const char *text);
void hn_html_append_n(hn_buf *out, const char *text, size_t n);

#endif
