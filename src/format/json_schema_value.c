/* Numbers and equality as JSON Schema sees them; see json_schema_value.h.
 * Surprise: jansson holds 64-bit integers and doubles. Comparing converts neither to the other: an integer is compared
 * with the double's whole part, then with its fraction. Multiples are decided on decimals, since 0.0075 and 0.0001 as
 * doubles are no multiples of each other. */
#include "format/json_schema_value.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers ---- */

bool hn_decimal_from_json(const json_t *number, hn_decimal *decimal) {
    *decimal = (hn_decimal){0};
    if (json_is_integer(number)) {
        json_int_t i = json_integer_value(number);
        decimal->negative = i < 0;
        decimal->digits = i < 0 ? (uint64_t)0 - (uint64_t)i : (uint64_t)i;
    } else if (json_is_real(number)) {
        hn_buf text;
        char *exponent = NULL;
        bool fraction = false;
        hn_buf_init(&text, 64);
        hn_json_write_real(json_real_value(number), &text);
        for (char *c = text.len ? text.data : NULL; c && *c && !exponent; c++) {
            if (*c == '-') decimal->negative = true;
            if (*c == '.') fraction = true;
            if (*c == 'e') exponent = c + 1;
            /* 17 digits at most; whole reals below 1e16 have no more */
            if (*c >= '0' && *c <= '9') {
                decimal->digits = decimal->digits * 10 + (uint64_t)(*c - '0');
                decimal->exponent -= fraction ? 1 : 0;
            }
        }
        if (exponent) decimal->exponent += (int)strtol(exponent, NULL, 10);
        hn_buf_free(&text);
    } else {
        return false;
    }
    while (decimal->digits && decimal->digits % 10 == 0) decimal->digits /= 10, decimal->exponent++;
    if (!decimal->digits) *decimal = (hn_decimal){0};
    return true;
}

static int compare_int_real(json_int_t i, double d) {
    if (d >= 9223372036854775808.0) return -1;
    if (d < -9223372036854775808.0) return 1;
    double whole = trunc(d);
    json_int_t t = (json_int_t)whole;
    if (i != t) return i < t ? -1 : 1;
    return d > whole ? -1 : d < whole ? 1 : 0;
}

int hn_json_number_compare(const json_t *a, const json_t *b) {
    if (json_is_integer(a) && json_is_integer(b)) {
        json_int_t x = json_integer_value(a), y = json_integer_value(b);
        return (x > y) - (x < y);
    }
    if (json_is_integer(a)) return compare_int_real(json_integer_value(a), json_real_value(b));
    if (json_is_integer(b)) return -compare_int_real(json_integer_value(b), json_real_value(a));
    double x = json_real_value(a), y = json_real_value(b);
    return (x > y) - (x < y);
}

bool hn_json_number_is_integer(const json_t *value) {
    if (json_is_integer(value)) return true;
    return json_is_real(value) && isfinite(json_real_value(value)) &&
           trunc(json_real_value(value)) == json_real_value(value);
}

typedef unsigned __int128 wide;

static uint64_t multiply_mod(uint64_t a, uint64_t b, uint64_t m) { return (uint64_t)((wide)a * b % m); }

bool hn_json_number_is_multiple(const json_t *value, const json_t *divisor) {
    hn_decimal v, d;
    if (!hn_decimal_from_json(value, &v) || !hn_decimal_from_json(divisor, &d) || !d.digits) return false;
    if (!v.digits) return true;
    if (v.exponent >= d.exponent) { /* v.digits * 10^k modulo d.digits */
        uint64_t rest = v.digits % d.digits, power = 10 % d.digits;
        for (unsigned k = (unsigned)(v.exponent - d.exponent); k; k >>= 1) {
            if (k & 1) rest = multiply_mod(rest, power, d.digits);
            power = multiply_mod(power, power, d.digits);
        }
        return rest == 0;
    }
    /* v.digits has no trailing zero, so it is no multiple of d.digits * 10^k, k >= 1, unless the division says so */
    wide scaled = d.digits;
    for (int k = d.exponent - v.exponent; k; k--) {
        scaled *= 10;
        if (scaled > v.digits) return false;
    }
    return v.digits % (uint64_t)scaled == 0;
}

/* ---- equality ---- */

static bool equal(const json_t *a, const json_t *b, int depth) {
    if (json_is_number(a) && json_is_number(b)) return hn_json_number_compare(a, b) == 0;
    if (!a || !b || json_typeof(a) != json_typeof(b) || depth > HN_JSON_DEPTH_MAX) return false;
    switch (json_typeof(a)) {
    case JSON_STRING:
        return json_string_length(a) == json_string_length(b) &&
               memcmp(json_string_value(a), json_string_value(b), json_string_length(a)) == 0;
    case JSON_ARRAY:
        if (json_array_size(a) != json_array_size(b)) return false;
        for (size_t i = 0; i < json_array_size(a); i++)
            if (!equal(json_array_get(a, i), json_array_get(b, i), depth + 1)) return false;
        return true;
    case JSON_OBJECT: {
        if (json_object_size(a) != json_object_size(b)) return false;
        json_t *object = (json_t *)a; /* iterating changes nothing */
        for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
            const json_t *other = json_object_getn(b, json_object_iter_key(it), json_object_iter_key_len(it));
            if (!equal(json_object_iter_value(it), other, depth + 1)) return false;
        }
        return true;
    }
    default: return true;
    }
}

bool hn_json_values_equal(const json_t *a, const json_t *b) { return equal(a, b, 0); }

static uint64_t hash_number(const json_t *value) {
    /* Equal numbers must meet: whole doubles within 64 bits hash as integers. */
    double d = json_is_real(value) ? json_real_value(value) : 0;
    int64_t i = json_is_integer(value) ? (int64_t)json_integer_value(value) : 0;
    if (json_is_real(value)) {
        if (!(trunc(d) == d && d >= -9223372036854775808.0 && d < 9223372036854775808.0))
            return hn_hash64(&d, sizeof d, 2);
        i = (int64_t)d;
    }
    return hn_hash64(&i, sizeof i, 1);
}

static uint64_t hash(const json_t *value, int depth) {
    if (depth > HN_JSON_DEPTH_MAX) return 0;
    uint64_t h = 0;
    switch (json_typeof(value)) {
    case JSON_INTEGER:
    case JSON_REAL: return hash_number(value);
    case JSON_STRING: return hn_hash64(json_string_value(value), json_string_length(value), 3);
    case JSON_ARRAY:
        for (size_t i = 0; i < json_array_size(value); i++) {
            uint64_t pair[2] = {h, hash(json_array_get(value, i), depth + 1)};
            h = hn_hash64(pair, sizeof pair, 4);
        }
        return h + 4;
    case JSON_OBJECT: {
        json_t *object = (json_t *)value;
        for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
            uint64_t pair[2] = {hn_hash64(json_object_iter_key(it), json_object_iter_key_len(it), 5),
                                hash(json_object_iter_value(it), depth + 1)};
            h += hn_hash64(pair, sizeof pair, 6); /* a sum: order does not matter */
        }
        return h + 5;
    }
    default: return 10 + (uint64_t)json_typeof(value);
    }
}

uint64_t hn_json_value_hash(const json_t *value) { return hash(value, 0); }

/* ---- for messages ---- */

void hn_json_value_preview(const json_t *value, char out[80]) {
    enum { SHOWN = 60 };
    if (json_is_array(value) || json_is_object(value)) {
        size_t n = json_is_array(value) ? json_array_size(value) : json_object_size(value);
        snprintf(out, 80, "%s with %zu %s", json_is_array(value) ? "an array" : "an object", n,
                 json_is_array(value) ? (n == 1 ? "item" : "items") : (n == 1 ? "property" : "properties"));
        return;
    }
    hn_buf text;
    hn_buf_init(&text, 1024);
    if (json_is_string(value)) {
        size_t n = json_string_length(value),
               shown = n > SHOWN ? hn_utf8_prefix(json_string_value(value), n, SHOWN) : n;
        hn_json_write_string(json_string_value(value), shown, false, &text);
    } else {
        hn_json_write(value, NULL, &text);
    }
    size_t n = text.len > SHOWN ? hn_utf8_prefix(hn_buf_str(&text), text.len, SHOWN) : text.len;
    bool cut = n < text.len || (json_is_string(value) && json_string_length(value) > SHOWN);
    snprintf(out, 80, "%.*s%s", (int)n, hn_buf_str(&text), cut ? "..." : "");
    hn_buf_free(&text);
}
