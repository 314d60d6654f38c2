/* Small things about strings that C lacks: slices, prefix tests, strict number parsing, nearest-word suggestions.
 *
 *     double value;
 *     if (!hn_parse_double("0.90", &value)) ...           // the whole text must be one finite number, locale-independent
 *     const char *word = hn_closest("acuracy", names, n); // "accuracy", or NULL when nothing is near
 *
 * Ownership: slices point into the caller's text. Threading: pure functions. */
#ifndef HN_BASE_STR_H
#define HN_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hn_str {
    const char *data;
    size_t len;
} hn_str;

hn_str hn_str_of(const char *text); /* NULL gives an empty slice */
bool hn_str_equal(hn_str a, hn_str b);
bool hn_starts_with(const char *text, const char *prefix);
bool hn_ends_with(const char *text, const char *suffix);
hn_str hn_str_trim(hn_str s); /* without ASCII white space at both ends */

/* The whole text must be the number: no white space, no trailing characters, no overflow; double: finite. */
bool hn_parse_int64(const char *text, int64_t *value);
bool hn_parse_double(const char *text, double *value);
/* "512", "64k", "1.5G" (powers of 1024) into bytes. */
bool hn_parse_size(const char *text, size_t *size_bytes);

/* Levenshtein distance in bytes, for suggestions; texts over 64 bytes count as far away (SIZE_MAX). */
size_t hn_edit_distance_short(const char *a, const char *b);
/* The entry of `names` nearest to `text` within a third of its length; NULL: none is near. */
const char *hn_closest(const char *text, const char *const *names, size_t n_names);

/* Formats bytes for people ("93.8 MiB") and counts with thousands separators ("98,362,432") into `out`; returns `out`. */
char *hn_format_bytes(uint64_t n_bytes, char out[32]);
char *hn_format_count(int64_t n, char out[32]);
char *hn_format_duration(double seconds, char out[32]); /* "0.42 s", "3 min 05 s", "2 h 10 min" */

#endif
