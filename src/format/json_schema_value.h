/* What JSON Schema asks of JSON values: exact comparison of numbers, equality, multiples, short texts for messages.
 *
 *     if (hn_json_number_compare(value, minimum) < 0) ...          // int64 against double without rounding
 *
 * Equality follows JSON Schema: 1 equals 1.0, objects whatever their order. Threading: pure functions. */
#ifndef HN_FORMAT_JSON_SCHEMA_VALUE_H
#define HN_FORMAT_JSON_SCHEMA_VALUE_H

#include "format/json.h"

/* A number as digits * 10^exponent, digits without trailing zeros (0 is 0 * 10^0). */
typedef struct hn_decimal {
    bool negative;
    uint64_t digits;
    int exponent;
} hn_decimal;

/* Of a JSON number; a real is read as the shortest decimal that gives it. False: not a number. */
bool hn_decimal_from_json(const json_t *number, hn_decimal *decimal);
/* Both must be numbers: -1, 0 or 1. */
int hn_json_number_compare(const json_t *a, const json_t *b);
/* A number without a fractional part (1.0 too). */
bool hn_json_number_is_integer(const json_t *value);
/* `value` / `divisor` is an integer, exactly, on decimals; divisor > 0. */
bool hn_json_number_is_multiple(const json_t *value, const json_t *divisor);
/* Deep equality. Nesting past HN_JSON_DEPTH_MAX counts as unequal. */
bool hn_json_values_equal(const json_t *a, const json_t *b);
/* Equal values have equal hashes. */
uint64_t hn_json_value_hash(const json_t *value);
/* At most 60 bytes of the value, as JSON, cut with "..."; of containers what they are ("an array of 3"). */
void hn_json_value_preview(const json_t *value, char out[80]);

#endif
