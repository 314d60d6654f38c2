/* Unicode's normal forms; see unicode_form.h. utf8proc_map would do, but takes its memory past base/alloc.h. */
#include "text/unicode_form.h"

#include "base/alloc.h"

#include <limits.h>
#include <utf8proc.h>

int32_t *hn_unicode_form(hn_str text, int options, size_t *n, bool *memory) {
    *n = 0;
    *memory = false;
    if (text.len > INT_MAX / 8) return NULL;
    utf8proc_ssize_t capacity = (utf8proc_ssize_t)text.len + 32, used;
    utf8proc_int32_t *letters = NULL;
    for (;;) {
        hn_free(letters);
        letters = hn_alloc((size_t)capacity * sizeof *letters);
        if (!letters) {
            *memory = true;
            return NULL;
        }
        used = utf8proc_decompose((const utf8proc_uint8_t *)text.data, (utf8proc_ssize_t)text.len, letters, capacity,
                                  options);
        if (used <= capacity) break;
        capacity = used;
    }
    if (used > 0) used = utf8proc_normalize_utf32(letters, used, options);
    if (used < 0) {
        hn_free(letters);
        return NULL;
    }
    *n = (size_t)used;
    return letters;
}
