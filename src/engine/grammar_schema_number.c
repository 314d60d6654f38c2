/* Numbers between limits as grammars over their digits; see grammar_schema_parts.h.
 * A number is written as digits, for "number" with a fraction of at most FRACTION digits (and an exponent where there are no
 * limits). While digits are chosen, two flags say whether what stands so far still equals the lower or the upper limit's
 * beginning: only then do the next digits matter. Negative numbers are the mirror image.
 * At most 15 significant digits are written (integers: 18): these survive the way through a double. */
#include "engine/grammar_schema_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WHOLE_MAX = 18, REAL_MAX = 15, FRACTION = 6, RESIDUES_MAX = 128, LISTED_MAX = 1000 };

/* A magnitude: whole and fractional digits, without the zeros around them ("0" is no whole digits). */
typedef struct magnitude {
    char whole[24], fraction[24];
    int n_whole, n_fraction;
    bool strict;  /* itself excluded */
    bool endless; /* an upper limit that is none */
} magnitude;

typedef struct writer {
    hn_gschema *c;
    magnitude low, high;
    int n_whole, n_fraction; /* digits being written; most that may be */
} writer;

static hn_grammar_node digits(hn_gschema *c, char first, char last) {
    hn_code_range range = {(uint32_t)first, (uint32_t)last};
    return hn_grammar_class(c->b, &range, 1, false);
}

static hn_grammar_node some_digits(hn_gschema *c, int min, int max) {
    return hn_grammar_repeat(c->b, digits(c, '0', '9'), min, max);
}

/* ---- limits ---- */

/* |decimal| as digits; false: more than 18 whole or 15 fractional ones. */
static bool to_magnitude(const hn_decimal *d, magnitude *m) {
    char text[24];
    *m = (magnitude){0};
    int n = d->digits ? snprintf(text, sizeof text, "%llu", (unsigned long long)d->digits) : 0;
    int point = n + d->exponent; /* whole digits; negative: zeros behind the point */
    if (point > WHOLE_MAX || d->exponent < -REAL_MAX) return false;
    for (int i = 0; i < n || i < point; i++) {
        char digit = i < n ? text[i] : '0';
        if (i < point)
            m->whole[m->n_whole++] = digit;
        else
            m->fraction[m->n_fraction + (point < 0 ? -point : 0)] = digit, m->n_fraction++;
    }
    if (point < 0 && n) {
        memset(m->fraction, '0', (size_t)-point);
        m->n_fraction += -point;
    }
    return true;
}

typedef struct limits {
    bool has_low, has_high, strict_low, strict_high;
    hn_decimal low, high;
    const json_t *low_json, *high_json;
} limits;

static limits limits_of(const json_t *base) {
    limits l = {0};
    const json_t *low = json_object_get(base, "minimum"), *over = json_object_get(base, "exclusiveMinimum");
    const json_t *high = json_object_get(base, "maximum"), *under = json_object_get(base, "exclusiveMaximum");
    l.strict_low = over && (!low || hn_json_number_compare(over, low) >= 0);
    l.strict_high = under && (!high || hn_json_number_compare(under, high) <= 0);
    l.low_json = l.strict_low ? over : low;
    l.high_json = l.strict_high ? under : high;
    l.has_low = l.low_json && hn_decimal_from_json(l.low_json, &l.low);
    l.has_high = l.high_json && hn_decimal_from_json(l.high_json, &l.high);
    return l;
}

/* ---- digits between limits ---- */

static int limit_digit(const magnitude *m, int n_whole, int at) {
    if (at < n_whole) { /* whole digits, aligned to the right */
        int i = at - (n_whole - m->n_whole);
        return i < 0 ? 0 : m->whole[i] - '0';
    }
    return at - n_whole < m->n_fraction ? m->fraction[at - n_whole] - '0' : 0;
}

/* From `at` on the limit has only zeros. */
static bool zeros_from(const magnitude *m, int n_whole, int at) {
    for (; at < n_whole + m->n_fraction; at++)
        if (limit_digit(m, n_whole, at)) return false;
    return true;
}

/* What stands before `at`, with zeros behind it, is within the limits. */
static bool may_end(const writer *w, int at, bool at_low, bool at_high) {
    if (at_low && (!zeros_from(&w->low, w->n_whole, at) || w->low.strict)) return false;
    return !at_high || !zeros_from(&w->high, w->n_whole, at) || !w->high.strict;
}

static hn_grammar_node write_digits(const writer *w, int at, bool at_low, bool at_high);

/* Behind the last whole digit: nothing, or a point and at least one digit. */
static hn_grammar_node write_fraction(const writer *w, bool at_low, bool at_high);

/* One digit at `at` of those that are allowed, and all that may follow. */
static hn_grammar_node write_digit(const writer *w, int at, bool at_low, bool at_high) {
    hn_grammar_node nodes[12];
    size_t n = 0;
    int low = at_low ? limit_digit(&w->low, w->n_whole, at) : 0,
        high = at_high ? limit_digit(&w->high, w->n_whole, at) : 9;
    int limit_low = at_low ? low : -1, limit_high = at_high ? high : -1;
    if (at == 0 && w->n_whole > 1 && low == 0) low = 1; /* no leading zeros; a lower limit of that length has none */
    for (int d = low; d <= high;) {
        int last = d; /* digits that touch no limit go together */
        bool touches = d == limit_low || d == limit_high;
        while (!touches && last + 1 <= high && last + 1 != limit_low && last + 1 != limit_high) last++;
        hn_grammar_node rest = write_digits(w, at + 1, d == limit_low, d == limit_high);
        nodes[n++] = hn_gschema_seq(w->c, 2, digits(w->c, (char)('0' + d), (char)('0' + last)), rest);
        d = last + 1;
    }
    return n ? hn_grammar_choice(w->c->b, nodes, n) : hn_grammar_nothing(w->c->b);
}

static hn_grammar_node write_fraction(const writer *w, bool at_low, bool at_high) {
    hn_gschema *c = w->c;
    hn_grammar_node end = may_end(w, w->n_whole, at_low, at_high) ? hn_grammar_empty(c->b) : hn_grammar_nothing(c->b);
    if (!w->n_fraction) return end;
    hn_grammar_node some =
        !at_low && !at_high ? some_digits(c, 1, w->n_fraction) : write_digit(w, w->n_whole, at_low, at_high);
    return hn_gschema_either(c, 2, end, hn_gschema_seq(c, 2, hn_gschema_lit(c, "."), some));
}

static hn_grammar_node write_digits(const writer *w, int at, bool at_low, bool at_high) {
    hn_gschema *c = w->c;
    if (hn_gschema_failed(c)) return HN_GRAMMAR_BAD;
    if (at < w->n_whole) {
        if (at_low || at_high) return write_digit(w, at, at_low, at_high);
        return hn_gschema_seq(c, 2, some_digits(c, w->n_whole - at, w->n_whole - at), write_fraction(w, false, false));
    }
    if (at == w->n_whole) return write_fraction(w, at_low, at_high);
    int left = w->n_whole + w->n_fraction - at;
    if (!at_low && !at_high) return some_digits(c, 0, left);
    hn_grammar_node end = may_end(w, at, at_low, at_high) ? hn_grammar_empty(c->b) : hn_grammar_nothing(c->b);
    return left ? hn_gschema_either(c, 2, end, write_digit(w, at, at_low, at_high)) : end;
}

/* All magnitudes from `low` to `high`, with at most `n_whole` whole and `n_fraction` fractional digits. */
static hn_grammar_node write_magnitudes(hn_gschema *c, const magnitude *low, const magnitude *high, int n_whole,
                                        int n_fraction, int n_digits) {
    hn_grammar_node nodes[24];
    size_t n = 0;
    int most = high->endless || high->n_whole > n_whole ? n_whole : high->n_whole > 1 ? high->n_whole : 1;
    for (int k = low->n_whole > 1 ? low->n_whole : 1; k <= most; k++) {
        int room = n_digits - k > 0 ? n_digits - k : 0;
        writer w = {c, *low, *high, k, n_fraction < room ? n_fraction : room};
        bool at_high = !high->endless && (high->n_whole > 1 ? high->n_whole : 1) == k;
        bool at_low = (low->n_whole > 1 ? low->n_whole : 1) == k;
        if (!at_low) w.low = (magnitude){0};
        if (!at_low && !at_high) {
            hn_grammar_node first = digits(c, k > 1 ? '1' : '0', '9');
            nodes[n++] = hn_gschema_seq(c, 2, first, write_digits(&w, 1, false, false));
        } else {
            nodes[n++] = write_digit(&w, 0, at_low, at_high);
        }
    }
    return n ? hn_grammar_choice(c->b, nodes, n) : hn_grammar_nothing(c->b);
}

/* Both signs. `zero`: whether 0 is among the values is left to the limits; "-0" is never written. */
static hn_grammar_node write_range(hn_gschema *c, const limits *l, int n_whole, int n_fraction, int n_digits,
                                   const char *path) {
    magnitude low = {0}, high = {.endless = true}, none = {0};
    hn_grammar_node positive = hn_grammar_nothing(c->b), negative = positive;
    magnitude bound_low = {0}, bound_high = {0};
    if ((l->has_low && !to_magnitude(&l->low, &bound_low)) || (l->has_high && !to_magnitude(&l->high, &bound_high)))
        return hn_gschema_bad(c, HN_ERR_UNSUPPORTED, path, l->has_low ? "minimum" : "maximum",
                              "use limits with fewer digits",
                              "limits have at most %d digits before and %d behind the point while text is generated",
                              WHOLE_MAX, REAL_MAX);
    bound_low.strict = l->strict_low;
    bound_high.strict = l->strict_high;
    if (!l->has_high || !l->high.negative) { /* from max(low, 0) up to high */
        low = l->has_low && !l->low.negative ? bound_low : none;
        high = l->has_high ? bound_high : (magnitude){.endless = true};
        positive = write_magnitudes(c, &low, &high, n_whole, n_fraction, n_digits);
    }
    bool below_zero = !l->has_low || l->low.negative;
    if (below_zero) { /* magnitudes from max(-high, above 0) up to -low */
        low = l->has_high && l->high.negative ? bound_high : (magnitude){.strict = true};
        high = l->has_low ? bound_low : (magnitude){.endless = true};
        negative = hn_gschema_seq(c, 2, hn_gschema_lit(c, "-"),
                                  write_magnitudes(c, &low, &high, n_whole, n_fraction, n_digits));
    }
    return hn_gschema_either(c, 2, positive, negative);
}

/* ---- integers ---- */

static const int64_t integer_max = 999999999999999999; /* 18 digits */

/* The limits as integers that are allowed themselves; false: there are none. */
static bool integer_limits(const limits *l, int64_t *low, int64_t *high) {
    *low = -integer_max;
    *high = integer_max;
    for (int k = 0; k < 2; k++) {
        const json_t *bound = k ? l->high_json : l->low_json;
        bool strict = k ? l->strict_high : l->strict_low;
        if (!bound) continue;
        int64_t value;
        bool whole = true;
        if (json_is_real(bound)) {
            double d = json_real_value(bound), rounded = k ? floor(d) : ceil(d);
            whole = rounded == d;
            if (rounded > 1e18) rounded = 1e18;
            if (rounded < -1e18) rounded = -1e18;
            value = (int64_t)rounded;
        } else {
            value = json_integer_value(bound);
        }
        if (value > integer_max + 1) value = integer_max + 1;
        if (value < -integer_max - 1) value = -integer_max - 1;
        if (strict && whole) value += k ? -1 : 1;
        if (k && value < *high) *high = value;
        if (!k && value > *low) *low = value;
    }
    return *low <= *high;
}

static hn_decimal decimal_of(int64_t value) {
    hn_decimal d = {value < 0, value < 0 ? (uint64_t)-value : (uint64_t)value, 0};
    return d;
}

static hn_grammar_node integers_between(hn_gschema *c, int64_t low, int64_t high, const char *path) {
    limits l = {.has_low = true, .has_high = true, .low = decimal_of(low), .high = decimal_of(high)};
    return write_range(c, &l, WHOLE_MAX, 0, WHOLE_MAX, path);
}

/* The remainders are followed digit by digit: rule "multiple-M-R-K": K more digits whose value, behind remainder R, gives 0. */
static hn_grammar_node multiple_rule(hn_gschema *c, int m, int rest, int left) {
    char name[64];
    if (!left) return rest == 0 ? hn_grammar_empty(c->b) : hn_grammar_nothing(c->b);
    snprintf(name, sizeof name, "multiple-%d-%d-%d", m, rest, left);
    hn_grammar_node rule = hn_grammar_rule(c->b, name);
    if (json_object_get(c->known, name) || hn_gschema_failed(c)) return rule;
    if (json_object_set_new(c->known, name, json_true()) != 0) return hn_gschema_no_memory(c);
    hn_grammar_node nodes[10];
    for (int d = 0; d < 10; d++)
        nodes[d] = hn_gschema_seq(c, 2, digits(c, (char)('0' + d), (char)('0' + d)),
                                  multiple_rule(c, m, (rest * 10 + d) % m, left - 1));
    hn_grammar_define(c->b, name, hn_grammar_choice(c->b, nodes, 10));
    return rule;
}

/* Multiples of m with k digits between two k-digit texts (NULL: no limit on that side). */
static hn_grammar_node multiple_digits(hn_gschema *c, int m, const char *low, const char *high, int k, int at,
                                       int rest) {
    if (!low && !high) return multiple_rule(c, m, rest, k - at);
    if (at == k) return rest == 0 ? hn_grammar_empty(c->b) : hn_grammar_nothing(c->b);
    hn_grammar_node nodes[10];
    size_t n = 0;
    for (int d = low ? low[at] - '0' : 0; d <= (high ? high[at] - '0' : 9); d++) {
        const char *next_low = low && low[at] - '0' == d ? low : NULL,
                   *next_high = high && high[at] - '0' == d ? high : NULL;
        hn_grammar_node after = multiple_digits(c, m, next_low, next_high, k, at + 1, (rest * 10 + d) % m);
        nodes[n++] = hn_gschema_seq(c, 2, digits(c, (char)('0' + d), (char)('0' + d)), after);
    }
    return n ? hn_grammar_choice(c->b, nodes, n) : hn_grammar_nothing(c->b);
}

/* Multiples of m from low >= 1 to high, each followed by `zeros` zeros. */
static hn_grammar_node multiples(hn_gschema *c, int m, uint64_t low, uint64_t high, int zeros) {
    hn_grammar_node nodes[WHOLE_MAX + 1];
    size_t n = 0;
    uint64_t first = 1;
    for (int k = 1; k <= WHOLE_MAX; k++, first *= 10) {
        uint64_t last = first * 10 - 1, from = low > first ? low : first, to = high < last ? high : last;
        if (from > to) continue;
        char low_text[24], high_text[24];
        snprintf(low_text, sizeof low_text, "%llu", (unsigned long long)from);
        snprintf(high_text, sizeof high_text, "%llu", (unsigned long long)to);
        /* a lower limit of 100.. still forbids a leading zero, so it always stays */
        hn_grammar_node node = multiple_digits(c, m, low_text, to == last ? NULL : high_text, k, 0, 0);
        nodes[n++] = hn_gschema_seq(c, 2, node, hn_grammar_repeat(c->b, hn_gschema_lit(c, "0"), zeros, zeros));
    }
    return n ? hn_grammar_choice(c->b, nodes, n) : hn_grammar_nothing(c->b);
}

/* The few multiples of `step` between the limits, one by one. */
static hn_grammar_node listed_multiples(hn_gschema *c, int64_t step, int64_t low, int64_t high) {
    hn_grammar_node all = hn_grammar_nothing(c->b);
    int64_t first = low / step + (low > 0 && low % step), last = high / step - (high < 0 && high % step);
    for (int64_t i = first; i <= last && !hn_gschema_failed(c); i++) {
        char text[24];
        snprintf(text, sizeof text, "%lld", (long long)(i * step));
        all = hn_gschema_either(c, 2, all, hn_gschema_lit(c, text));
    }
    return all;
}

static hn_grammar_node integer_multiples(hn_gschema *c, int64_t step, int64_t low, int64_t high, const char *path) {
    int zeros = 0;
    int64_t m = step, unit = 1;
    if (high / step - low / step <= 32) return listed_multiples(c, step, low, high);
    for (; m % 10 == 0; m /= 10, unit *= 10) zeros++;
    if (m > RESIDUES_MAX) {
        if (high / step - low / step <= LISTED_MAX) return listed_multiples(c, step, low, high);
        return hn_gschema_bad(c, HN_ERR_UNSUPPORTED, path, "multipleOf",
                              "use a smaller one, or minimum and maximum closer together",
                              "multiples of %lld cannot be enforced while text is generated", (long long)step);
    }
    hn_grammar_node zero = low <= 0 && high >= 0 ? hn_gschema_lit(c, "0") : hn_grammar_nothing(c->b), positive = zero,
                    negative = zero;
    if (high > 0) {
        int64_t from = low > 0 ? (low + unit - 1) / unit : 1;
        positive = multiples(c, (int)m, (uint64_t)from, (uint64_t)(high / unit), zeros);
    }
    if (low < 0) {
        int64_t from = high < 0 ? (-high + unit - 1) / unit : 1;
        negative = hn_gschema_seq(c, 2, hn_gschema_lit(c, "-"),
                                  multiples(c, (int)m, (uint64_t)from, (uint64_t)(-low / unit), zeros));
    }
    return hn_gschema_either(c, 3, zero, positive, negative);
}

static hn_grammar_node integers(hn_gschema *c, const limits *l, const hn_decimal *step, const char *path) {
    int64_t low, high, divisor = 1;
    if (!integer_limits(l, &low, &high)) return hn_grammar_nothing(c->b);
    if (low > integer_max || high < -integer_max)
        return hn_gschema_bad(c, HN_ERR_UNSUPPORTED, path, low > 0 ? "minimum" : "maximum", "use smaller limits",
                              "integers of more than %d digits are not written", WHOLE_MAX);
    if (step) {
        if (step->exponent < 0) { /* 0.5: n is a multiple of it exactly where n is one of 5 / gcd(5, 10) = 1 */
            uint64_t rest = step->digits, power = 1;
            for (int k = 0; k < -step->exponent && power < 1000000000000000000u; k++) power *= 10;
            uint64_t a = rest, b = power;
            while (b) {
                uint64_t t = a % b;
                a = b, b = t;
            }
            divisor = (int64_t)(rest / a);
        } else {
            divisor = (int64_t)step->digits;
            for (int k = 0; k < step->exponent && divisor <= integer_max / 10; k++) divisor *= 10;
            if (step->exponent > WHOLE_MAX) divisor = integer_max;
        }
        if (step->exponent < -WHOLE_MAX || step->exponent > WHOLE_MAX || step->digits > (uint64_t)integer_max)
            return hn_gschema_bad(c, HN_ERR_UNSUPPORTED, path, "multipleOf", "use fewer digits",
                                  "`multipleOf` has too many digits");
    }
    return divisor == 1 ? integers_between(c, low, high, path) : integer_multiples(c, divisor, low, high, path);
}

/* ---- numbers ---- */

static hn_grammar_node any_number(hn_gschema *c, int n_fraction, bool exponents) {
    hn_grammar_node whole = hn_gschema_either(
        c, 2, hn_gschema_lit(c, "0"),
        hn_gschema_seq(c, 2, digits(c, '1', '9'), some_digits(c, 0, REAL_MAX - 1 - (exponents ? 0 : n_fraction))));
    hn_grammar_node fraction = hn_gschema_seq(c, 2, hn_gschema_lit(c, "."), some_digits(c, 1, n_fraction));
    hn_grammar_node sign = hn_grammar_repeat(c->b, hn_gschema_lit(c, "-"), 0, 1);
    hn_grammar_node plus =
        hn_grammar_repeat(c->b, hn_gschema_either(c, 2, hn_gschema_lit(c, "+"), hn_gschema_lit(c, "-")), 0, 1);
    hn_grammar_node e = hn_gschema_either(c, 2, hn_gschema_lit(c, "e"), hn_gschema_lit(c, "E"));
    hn_grammar_node exponent = hn_gschema_seq(c, 3, e, plus, some_digits(c, 1, 2));
    return hn_gschema_seq(c, 4, sign, whole, hn_grammar_repeat(c->b, fraction, 0, 1),
                          hn_grammar_repeat(c->b, exponent, 0, exponents ? 1 : 0));
}

/* Fractional digits that are worth writing between such limits. */
static int fraction_of(const limits *l) {
    int n = FRACTION;
    if (l->has_low && -l->low.exponent + 2 > n) n = -l->low.exponent + 2;
    if (l->has_high && -l->high.exponent + 2 > n) n = -l->high.exponent + 2;
    return n < REAL_MAX ? n : REAL_MAX;
}

/* A strict limit must be told apart from its neighbours by 15 digits. */
static bool too_fine(const limits *l) {
    const uint64_t most = 999999999999999;
    return (l->strict_low && l->low.digits > most) || (l->strict_high && l->high.digits > most);
}

hn_grammar_node hn_gschema_number(hn_gschema *c, const json_t *base, bool integer, const char *path) {
    limits l = limits_of(base);
    hn_decimal step;
    const json_t *multiple = json_object_get(base, "multipleOf");
    bool stepped = multiple && hn_decimal_from_json(multiple, &step);
    if (integer) return integers(c, &l, stepped ? &step : NULL, path);
    if (stepped && step.exponent >= 0) return integers(c, &l, &step, path);
    if (stepped && (step.digits != 1 || step.exponent < -REAL_MAX + 3))
        return hn_gschema_bad(c, HN_ERR_UNSUPPORTED, path, "multipleOf", "use 0.1, 0.01, ... or an integer",
                              "numbers that are multiples of this one cannot be enforced while text is generated");
    if (too_fine(&l))
        return hn_gschema_bad(c, HN_ERR_UNSUPPORTED, path, l.strict_low ? "exclusiveMinimum" : "exclusiveMaximum",
                              "use a limit of at most 15 digits",
                              "the limit has more digits than a number keeps apart");
    int n_fraction = stepped ? -step.exponent : fraction_of(&l);
    if (!l.has_low && !l.has_high) return any_number(c, n_fraction, !stepped);
    return write_range(c, &l, REAL_MAX, n_fraction, REAL_MAX, path);
}
