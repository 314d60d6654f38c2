/* Reading answers; see answer_parse.h. Texts are compared after folding: lower case by code point, runs of white space as one space. */
#include "app/answer_parse.h"

#include "base/str.h"
#include "base/utf8.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <math.h>
#include <pcre2.h>
#include <string.h>

enum { MATCH_STEPS_MAX = 1000000 };

typedef struct candidate {
    char *folded;
    size_t n;
    int label;
} candidate;

struct hn_answer_parser {
    const hn_json_schema *schema; /* JSON; borrowed */
    hn_contract_kind kind;
    double low, high;
    char **labels; /* (n_labels) copies */
    size_t n_labels;
    candidate
        *candidates; /* wordings first, then labels: of equal matches the wording wins, for it is what the model saw */
    size_t n_candidates;
    pcre2_code *regex;
};

static hn_str trim_decoration(hn_str s) {
    static const char around[] = " \t\r\n\"'`*_.,;:!?()[]{}<>-#";
    while (s.len && strchr(around, s.data[0]) && s.data[0]) s.data++, s.len--;
    while (s.len && strchr(around, s.data[s.len - 1]) && s.data[s.len - 1]) s.len--;
    return s;
}

static void fold(hn_str s, hn_buf *out) {
    bool space = false;
    for (size_t i = 0; i < s.len;) {
        uint32_t cp;
        i += hn_utf8_decode(s.data + i, s.len - i, &cp);
        if (hn_unicode_is_space(cp)) {
            space = true;
            continue;
        }
        if (space && out->len) hn_buf_append_char(out, ' ');
        space = false;
        hn_buf_append_codepoint(out, hn_unicode_lower(cp));
    }
}

static hn_status add_candidate(hn_answer_parser *p, const char *text, size_t label, hn_error *err) {
    hn_buf folded;
    hn_buf_init(&folded, 0);
    fold(hn_str_of(text), &folded);
    size_t n = folded.len;
    if (n == 0 && hn_buf_status(&folded) == HN_OK) return HN_OK; /* an empty wording is never found in a text */
    char *data = hn_buf_take(&folded);
    if (!data) {
        hn_buf_free(&folded);
        return hn_fail_memory(err, n);
    }
    p->candidates[p->n_candidates++] = (candidate){data, n, (int)label};
    return HN_OK;
}

static hn_status add_labels(hn_answer_parser *p, const hn_contract *contract, char *const *wordings, hn_error *err) {
    p->labels = hn_calloc(contract->n_labels, sizeof *p->labels);
    p->candidates = hn_calloc(contract->n_labels, 2 * sizeof *p->candidates);
    if (!p->labels || !p->candidates) return hn_fail_memory(err, contract->n_labels * sizeof *p->candidates);
    for (size_t i = 0; i < contract->n_labels; i++, p->n_labels++) {
        p->labels[i] = hn_strdup(contract->labels[i]);
        if (!p->labels[i]) return hn_fail_memory(err, strlen(contract->labels[i]));
    }
    for (size_t i = 0; wordings && i < contract->n_labels; i++) HN_TRY(add_candidate(p, wordings[i], i, err));
    for (size_t i = 0; i < contract->n_labels; i++) HN_TRY(add_candidate(p, contract->labels[i], i, err));
    return HN_OK;
}

static hn_status compile(hn_answer_parser *p, const char *pattern, hn_error *err) {
    int code;
    size_t at;
    p->regex = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED,
                             &code, &at, NULL);
    if (p->regex) return HN_OK;
    char text[128];
    pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text);
    return hn_fail(err, HN_ERR_INPUT, "output: regex", "correct the pattern", "%s at character %zu of `%.200s`", text,
                   at + 1, pattern);
}

hn_status hn_answer_parser_create(const hn_contract *contract, char *const *wordings, hn_answer_parser **parser,
                                  hn_error *err) {
    *parser = NULL;
    hn_answer_parser *p = hn_calloc(1, sizeof *p);
    if (!p) return hn_fail_memory(err, sizeof *p);
    p->kind = contract->kind;
    p->low = contract->low;
    p->high = contract->high;
    p->schema = contract->validator;
    hn_status st = HN_OK;
    if (p->kind == HN_CONTRACT_CHOICE) st = add_labels(p, contract, wordings, err);
    if (p->kind == HN_CONTRACT_REGEX) st = compile(p, contract->regex, err);
    if (st == HN_OK)
        *parser = p;
    else
        hn_answer_parser_free(p);
    return st;
}

void hn_answer_parser_free(hn_answer_parser *p) {
    if (!p) return;
    for (size_t i = 0; i < p->n_labels; i++) hn_free(p->labels[i]);
    for (size_t i = 0; i < p->n_candidates; i++) hn_free(p->candidates[i].folded);
    hn_free(p->labels);
    hn_free(p->candidates);
    pcre2_code_free(p->regex);
    hn_free(p);
}

/* ---- choice ---- */

static int equal_label(const hn_answer_parser *p, hn_str folded) {
    for (size_t i = 0; i < p->n_candidates; i++)
        if (hn_str_equal(folded, (hn_str){p->candidates[i].folded, p->candidates[i].n})) return p->candidates[i].label;
    return -1;
}

static bool is_word_character(uint32_t cp) {
    return hn_unicode_is_letter(cp) || hn_unicode_is_number(cp) || hn_unicode_is_mark(cp);
}

static uint32_t character_before(hn_str text, size_t at) {
    uint32_t cp = ' ';
    size_t start = at;
    while (start > 0 && at - start < 4) {
        start--;
        if (((unsigned char)text.data[start] & 0xC0) != 0x80) break;
    }
    if (at) hn_utf8_decode(text.data + start, at - start, &cp);
    return cp;
}

static bool starts_word(hn_str text, size_t at) {
    uint32_t cp;
    hn_utf8_decode(text.data + at, text.len - at, &cp);
    return !is_word_character(cp) || !is_word_character(character_before(text, at));
}

static bool ends_word(hn_str text, size_t end) {
    if (end == text.len) return true;
    uint32_t cp;
    hn_utf8_decode(text.data + end, text.len - end, &cp);
    return !is_word_character(cp) || !is_word_character(character_before(text, end));
}

/* The longest candidate that stands at `at` as whole words; NULL: none. */
static const candidate *match_at(const hn_answer_parser *p, hn_str text, size_t at) {
    const candidate *best = NULL;
    if (!starts_word(text, at)) return NULL;
    for (size_t i = 0; i < p->n_candidates; i++) {
        const candidate *c = &p->candidates[i];
        if (c->n > text.len - at || memcmp(text.data + at, c->folded, c->n) != 0 || !ends_word(text, at + c->n))
            continue;
        if (!best || c->n > best->n) best = c;
    }
    return best;
}

/* The one label that the text names; -1 where it names none or several. */
static int contained_label(const hn_answer_parser *p, hn_str text) {
    int found = -1;
    for (size_t at = 0; at < text.len;) {
        const candidate *c = match_at(p, text, at);
        if (c && found >= 0 && c->label != found) return -1;
        if (c) found = c->label;
        at += c ? c->n : 1;
    }
    return found;
}

static hn_status parse_choice(const hn_answer_parser *p, hn_str answer, hn_parsed *value, hn_error *err) {
    hn_buf folded;
    hn_buf_init(&folded, 0);
    fold(answer, &folded);
    hn_status st = hn_buf_check(&folded, "an answer", err);
    if (st == HN_OK) {
        hn_str text = {hn_buf_str(&folded), folded.len};
        value->label = equal_label(p, text);
        if (value->label < 0) value->label = equal_label(p, trim_decoration(text));
        if (value->label < 0) value->label = contained_label(p, text);
    }
    hn_buf_free(&folded);
    if (st != HN_OK || value->label < 0) return st;
    value->text = hn_strdup(p->labels[value->label]);
    value->valid = value->text != NULL;
    return value->valid ? HN_OK : hn_fail_memory(err, 0);
}

/* ---- number ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* The number that begins at `s` (after an optional sign), digits with optional thousands commas, fraction and exponent, without commas
 * into `out`. Returns the bytes read; 0: none. */
static size_t scan_number(hn_str s, char *out, size_t room) {
    size_t i = 0, n = 0;
    if (i < s.len && (s.data[i] == '-' || s.data[i] == '+')) {
        if (s.data[i] == '-' && n + 1 < room) out[n++] = '-';
        i++;
    }
    if (i >= s.len || !is_digit(s.data[i])) return 0;
    bool fraction = false;
    for (; i < s.len && n + 1 < room; i++) {
        char c = s.data[i];
        bool digit_next = i + 1 < s.len && is_digit(s.data[i + 1]);
        if (is_digit(c))
            out[n++] = c;
        else if (c == '.' && digit_next && !fraction)
            out[n++] = c, fraction = true;
        else if (c == ',' && !fraction && i + 3 < s.len && digit_next && is_digit(s.data[i + 2]) &&
                 is_digit(s.data[i + 3]) && (i + 4 >= s.len || !is_digit(s.data[i + 4])))
            continue;
        else
            break;
    }
    if (i < s.len && (s.data[i] == 'e' || s.data[i] == 'E')) {
        size_t j = i + 1;
        if (j < s.len && (s.data[j] == '-' || s.data[j] == '+')) j++;
        if (j < s.len && is_digit(s.data[j])) {
            while (j < s.len && is_digit(s.data[j])) j++;
            if (n + (j - i) + 1 >= room) return 0;
            memcpy(out + n, s.data + i, j - i);
            n += j - i;
            i = j;
        }
    }
    out[n] = 0;
    return i;
}

static hn_status parse_number(const hn_answer_parser *p, hn_str answer, hn_parsed *value, hn_error *err) {
    char text[128], only[128] = "";
    size_t n_found = 0;
    for (size_t at = 0; at < answer.len;) {
        bool inside_word = at > 0 && is_word_character(character_before(answer, at));
        size_t used = inside_word ? 0 : scan_number((hn_str){answer.data + at, answer.len - at}, text, sizeof text);
        if (used && n_found++ == 0) memcpy(only, text, sizeof only);
        at += used ? used : 1;
    }
    if (n_found != 1 || !hn_parse_double(only, &value->number)) return HN_OK;
    if (value->number < p->low || value->number > p->high) return HN_OK;
    value->text = hn_strdup(only);
    value->valid = value->text != NULL;
    return value->valid ? HN_OK : hn_fail_memory(err, sizeof only);
}

/* ---- regex and text ---- */

static hn_status match_regex(const hn_answer_parser *p, hn_str answer, bool *matches, hn_error *err) {
    *matches = false;
    if (!hn_utf8_valid(answer.data, answer.len, NULL)) return HN_OK;
    pcre2_match_data *found = pcre2_match_data_create_from_pattern(p->regex, NULL);
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    int code = PCRE2_ERROR_NOMEMORY;
    if (found && limits) {
        pcre2_set_match_limit(limits, MATCH_STEPS_MAX);
        code = pcre2_match(p->regex, (PCRE2_SPTR)answer.data, answer.len, 0, 0, found, limits);
    }
    pcre2_match_data_free(found);
    pcre2_match_context_free(limits);
    *matches = code >= 0;
    if (code == PCRE2_ERROR_NOMEMORY) return hn_fail_memory(err, 0);
    if (code < 0 && code != PCRE2_ERROR_NOMATCH)
        return hn_fail(err, HN_ERR_LIMIT, "output: regex", "write the pattern without nested repeats",
                       "matching an answer of %zu bytes takes more than %d steps", answer.len, MATCH_STEPS_MAX);
    return HN_OK;
}

static hn_status parse_text(const hn_answer_parser *p, hn_str answer, hn_parsed *value, hn_error *err) {
    bool matches = true;
    if (p->kind == HN_CONTRACT_REGEX) HN_TRY(match_regex(p, answer, &matches, err));
    if (!matches) return HN_OK;
    value->text = hn_strndup(answer.data, answer.len);
    value->valid = value->text != NULL;
    return value->valid ? HN_OK : hn_fail_memory(err, answer.len);
}

/* ---- json ---- */

/* Without a fence of three backticks, with or without a word behind the first. */
static hn_str without_fence(hn_str answer) {
    static const char fence[] = "```";
    if (answer.len < 6 || memcmp(answer.data, fence, 3) != 0 || memcmp(answer.data + answer.len - 3, fence, 3) != 0)
        return answer;
    hn_str inner = {answer.data + 3, answer.len - 6};
    while (inner.len && is_word_character((unsigned char)*inner.data)) inner.data++, inner.len--;
    return hn_str_trim(inner);
}

static hn_status parse_json(const hn_answer_parser *p, hn_str answer, hn_parsed *value, hn_error *err) {
    json_t *read;
    hn_json_schema_result result;
    hn_buf text;
    answer = without_fence(answer);
    hn_status st = hn_json_parse(answer.data, answer.len, "answer", HN_JSON_ANY | HN_JSON_NUL, &read, err);
    if (st != HN_OK) return st == HN_ERR_MEMORY ? st : HN_OK;
    st = hn_json_schema_validate(p->schema, read, &result, err);
    hn_buf_init(&text, 0);
    if (st == HN_OK && result.valid) {
        hn_json_write(read, NULL, &text);
        value->text = hn_buf_take(&text);
        value->valid = value->text != NULL;
        if (!value->valid) st = hn_fail_memory(err, answer.len);
    }
    hn_buf_free(&text);
    json_decref(read);
    return st;
}

hn_status hn_answer_parse(hn_answer_parser *p, const char *text, size_t n, hn_parsed *value, hn_error *err) {
    *value = (hn_parsed){.label = -1, .number = (double)NAN};
    hn_str answer = hn_str_trim((hn_str){text, n});
    switch (p->kind) {
    case HN_CONTRACT_CHOICE: return parse_choice(p, answer, value, err);
    case HN_CONTRACT_NUMBER: return parse_number(p, answer, value, err);
    case HN_CONTRACT_JSON: return parse_json(p, answer, value, err);
    case HN_CONTRACT_REGEX:
    case HN_CONTRACT_TEXT: return parse_text(p, answer, value, err);
    }
    return hn_fail(err, HN_ERR_INTERNAL, "output", NULL, "unknown kind of contract %d", (int)p->kind);
}

void hn_parsed_free(hn_parsed *value) {
    hn_free(value->text);
    *value = (hn_parsed){.label = -1, .number = (double)NAN};
}
