/* Strings; see str.h. Number parsing avoids strtod's locale by going through the "C" locale object. */
#include "base/str.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

hn_str hn_str_of(const char *text) { return (hn_str){text, text ? strlen(text) : 0}; }

bool hn_str_equal(hn_str a, hn_str b) { return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0); }
bool hn_starts_with(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

bool hn_ends_with(const char *text, const char *suffix) {
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && memcmp(text + n - m, suffix, m) == 0;
}

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

hn_str hn_str_trim(hn_str s) {
    while (s.len && is_space(s.data[0])) s.data++, s.len--;
    while (s.len && is_space(s.data[s.len - 1])) s.len--;
    return s;
}

bool hn_parse_int64(const char *text, int64_t *value) {
    if (!*text || is_space(*text)) return false;
    char *end;
    errno = 0;
    long long parsed = strtoll(text, &end, 10);
    if (errno || *end || end == text) return false;
    *value = parsed;
    return true;
}

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;
static void make_c_locale(void) { c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

bool hn_parse_double(const char *text, double *value) {
    if (!*text || is_space(*text)) return false;
    pthread_once(&c_locale_once, make_c_locale);
    char *end;
    errno = 0;
    double parsed = c_locale ? strtod_l(text, &end, c_locale) : strtod(text, &end);
    if (*end || end == text || !isfinite(parsed)) return false;
    *value = parsed;
    return true;
}

bool hn_parse_size(const char *text, size_t *size_bytes) {
    char number[32];
    size_t n = strlen(text);
    if (n == 0 || n >= sizeof number) return false;
    double unit = 1;
    memcpy(number, text, n + 1);
    const char *at = strchr("kKmMgGtT", number[n - 1]);
    if (at) {
        static const double units[] = {1024.0, 1048576.0, 1073741824.0, 1099511627776.0};
        unit = units[(at - "kKmMgGtT") / 2];
        number[n - 1] = 0;
    }
    double value;
    if (!hn_parse_double(number, &value) || value < 0 || value * unit > 9e18) return false;
    *size_bytes = (size_t)(value * unit);
    return true;
}

size_t hn_edit_distance_short(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b), row[65];
    if (n > 64 || m > 64) return SIZE_MAX;
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            size_t best = row[j] + 1 < row[j - 1] + 1 ? row[j] + 1 : row[j - 1] + 1;
            row[j] = change < best ? change : best;
        }
    }
    return row[m];
}

const char *hn_closest(const char *text, const char *const *names, size_t n_names) {
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    for (size_t i = 0; i < n_names; i++) {
        size_t distance = hn_edit_distance_short(text, names[i]), longest = strlen(names[i]);
        if (strlen(text) > longest) longest = strlen(text);
        if (distance == SIZE_MAX || distance * 3 > longest + 2 || distance >= best_distance) continue;
        best = names[i];
        best_distance = distance;
    }
    return best;
}

char *hn_format_bytes(uint64_t n_bytes, char out[32]) {
    static const char *units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)n_bytes;
    size_t unit = 0;
    while (value >= 1024 && unit < 4) value /= 1024, unit++;
    snprintf(out, 32,
             unit == 0     ? "%.0f %s"
             : value < 10  ? "%.2f %s"
             : value < 100 ? "%.1f %s"
                           : "%.0f %s",
             value, units[unit]);
    return out;
}

char *hn_format_count(int64_t n, char out[32]) {
    char digits[24];
    int n_digits = snprintf(digits, sizeof digits, "%lld", (long long)n), o = 0;
    for (int i = 0; i < n_digits; i++) {
        int left = n_digits - i;
        out[o++] = digits[i];
        if (digits[i] != '-' && left > 1 && (left - 1) % 3 == 0) out[o++] = ',';
    }
    out[o] = 0;
    return out;
}

char *hn_format_duration(double seconds, char out[32]) {
    if (seconds < 0.1)
        snprintf(out, 32, "%.1f ms", seconds * 1e3);
    else if (seconds < 10)
        snprintf(out, 32, "%.2f s", seconds);
    else if (seconds < 60)
        snprintf(out, 32, "%.1f s", seconds);
    else if (seconds < 3600)
        snprintf(out, 32, "%d min %02d s", (int)seconds / 60, (int)seconds % 60);
    else
        snprintf(out, 32, "%d h %02d min", (int)(seconds / 3600), (int)(seconds / 60) % 60);
    return out;
}
