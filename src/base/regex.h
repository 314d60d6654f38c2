/* Regular expressions: PCRE2 with its JIT, over any bytes (text is read as UTF-8; a byte that is not UTF-8 matches
 * nothing).
 *
 *     hn_regex *re;
 *     HN_TRY(hn_regex_compile("\\p{N}+", 6, &re, &err));
 *     hn_regex_scratch *scratch = hn_regex_scratch_create();         // one a thread
 *     HN_TRY(hn_regex_find(re, scratch, text, n, 0, &match, &err));  // match.found, match.start, match.end
 *     hn_regex_scratch_free(scratch); hn_regex_free(re);
 *
 * \s, \d, \w, \b follow Unicode; ^ and $ match at lines. Work per search is limited: a pattern that backtracks
 * without end is
 * HN_ERR_LIMIT. Ownership: the caller's. Threading: an hn_regex is read-only; a scratch belongs to one thread. */
#ifndef HN_BASE_REGEX_H
#define HN_BASE_REGEX_H

#include "base/status.h"

#include <stdbool.h>

typedef struct hn_regex hn_regex;
typedef struct hn_regex_scratch hn_regex_scratch;

typedef struct hn_regex_match {
    bool found;
    size_t start, end; /* byte offsets; equal for an empty match */
} hn_regex_match;

/* HN_ERR_INPUT: the pattern has an error (its place is in the message). */
hn_status hn_regex_compile(const char *pattern, size_t n, hn_regex **re, hn_error *err) HN_MUST_CHECK;
void hn_regex_free(hn_regex *re);
hn_regex_scratch *hn_regex_scratch_create(void); /* NULL: memory is used up */
void hn_regex_scratch_free(hn_regex_scratch *scratch);
/* The first match that starts at or after `from`. */
hn_status hn_regex_find(const hn_regex *re, hn_regex_scratch *scratch, const char *text, size_t n, size_t from,
                        hn_regex_match *match, hn_error *err) HN_MUST_CHECK;
/* Whether the whole text is one match (the empty text included). */
hn_status hn_regex_matches(const hn_regex *re, hn_regex_scratch *scratch, const char *text, size_t n, bool *matches,
                           hn_error *err) HN_MUST_CHECK;

#endif
