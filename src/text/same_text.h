/* The form of a text in which two texts are compared that say the same: for finding copies that differ in layout only.
 *
 *     hn_buf a; hn_buf_init(&a, 0);
 *     hn_same_text(hn_str_of("Where's  my CARD?"), &a);      // "where s my card"
 *     uint64_t key = hn_hash64(hn_buf_str(&a), a.len, 0);    // equal for "where's my card"
 *     hn_buf_free(&a);
 *
 * Unicode's compatibility form with case folded (NFKC), white space as one blank, control and invisible characters left
 * out, punctuation as a blank. What may carry meaning stays: symbols ("c++", emoji), punctuation in front of a digit
 * ("1.5", "3-4"), and signs that stand alone as an operator ("3 - 4"). A text of nothing but punctuation stays as it is.
 * Ownership: appends to the caller's buffer; check its status. Threading: a pure function. */
#ifndef HN_TEXT_SAME_TEXT_H
#define HN_TEXT_SAME_TEXT_H

#include "base/buf.h"
#include "base/str.h"

void hn_same_text(hn_str text, hn_buf *out);

#endif
