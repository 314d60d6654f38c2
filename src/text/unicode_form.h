/* A whole text in one of Unicode's normal forms, as code points: what comparing texts is built on. For use inside src/text.
 *
 *     size_t n; bool memory;
 *     int32_t *letters = hn_unicode_form(text, UTF8PROC_STABLE | UTF8PROC_COMPOSE, &n, &memory);
 *     if (!letters && memory) return hn_fail_memory(err, text.len);       // else: the text is no UTF-8
 *     hn_free(letters);
 *
 * Ownership: the caller frees the block. Threading: a pure function. */
#ifndef HN_TEXT_UNICODE_FORM_H
#define HN_TEXT_UNICODE_FORM_H

#include "base/str.h"

/* `options` are utf8proc's. NULL: *memory says whether memory is used up; else the text is no UTF-8, or longer than 256 MiB. */
int32_t *hn_unicode_form(hn_str text, int options, size_t *n, bool *memory);

#endif
