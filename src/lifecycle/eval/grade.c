/* Grading; see grade.h. */
#include "lifecycle/eval/grade.h"

#include "base/str.h"
#include "format/json_schema_value.h"

#include <math.h>
#include <string.h>

bool hn_grade_read_number(const char *text, double *value) {
    char plain[64];
    size_t n = 0;
    hn_str s = hn_str_trim(hn_str_of(text));
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == ',') continue;
        if (n + 1 >= sizeof plain) return false;
        plain[n++] = s.data[i];
    }
    plain[n] = 0;
    return hn_parse_double(plain, value);
}

static bool same_json(const char *target, const char *value) {
    json_t *a = NULL, *b = NULL;
    bool same = hn_json_parse(target, strlen(target), "target", HN_JSON_ANY | HN_JSON_NUL, &a, NULL) == HN_OK &&
                hn_json_parse(value, strlen(value), "answer", HN_JSON_ANY | HN_JSON_NUL, &b, NULL) == HN_OK &&
                hn_json_values_equal(a, b);
    json_decref(a);
    json_decref(b);
    return same;
}

bool hn_grade_answer(const hn_contract *contract, const char *target, const char *value) {
    double wanted, given;
    if (!target || !value) return false;
    if (contract->kind == HN_CONTRACT_JSON) return same_json(target, value);
    if (contract->kind == HN_CONTRACT_NUMBER && hn_grade_read_number(target, &wanted) &&
        hn_grade_read_number(value, &given))
        return fabs(wanted - given) <= 1e-9 * fmax(1, fabs(wanted));
    return hn_str_equal(hn_str_trim(hn_str_of(target)), hn_str_trim(hn_str_of(value)));
}
