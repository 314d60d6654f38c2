/* Methods of strings in the Jinja interpreter, with Python's behaviour; see jinja_value.h.
 * Surprise: upper and lower map character by character (only sharp s becomes two), without Python's rules for final
 * sigma and the like. */
#include "format/jinja_parse.h"

#include "base/utf8.h"

#include <string.h>

static const hn_jn_str *self_text(hn_jn_value self) { return self.as.str; }

/* An argument that must be a string; raises for others. */
static const hn_jn_str *string_argument(hn_jn_ctx *ctx, hn_jn_value v, const char *method) {
    static const hn_jn_str empty = {.data = ""};
    if (v.type == HN_JN_STRING) return v.as.str;
    hn_jn_raise(ctx, NULL, "method `%s` needs a string, not %s", method, hn_jn_type_name(v));
    return &empty;
}

/* NULL where the argument is none or not given. */
static const hn_jn_str *optional_string(hn_jn_ctx *ctx, hn_jn_value v, const char *method) {
    return v.type == HN_JN_MISSING || v.type == HN_JN_NONE ? NULL : string_argument(ctx, v, method);
}

static int64_t integer_argument(hn_jn_ctx *ctx, hn_jn_value v, int64_t fallback, const char *method) {
    if (v.type == HN_JN_MISSING || v.type == HN_JN_NONE) return fallback;
    if (!hn_jn_is_integer(v))
        hn_jn_raise(ctx, NULL, "method `%s` needs an integer, not %s", method, hn_jn_type_name(v));
    return hn_jn_integer(v);
}

static uint32_t char_at(const hn_jn_str *s, size_t i, size_t *used) {
    uint32_t cp;
    *used = hn_utf8_decode(s->data + i, s->len - i, &cp);
    return cp;
}

/* ---- case ---- */

static bool is_cased(uint32_t cp) { return hn_unicode_lower(cp) != cp || hn_unicode_upper(cp) != cp; }

hn_jn_value hn_jn_change_case(hn_jn_ctx *ctx, const hn_jn_str *s, hn_jn_case how) {
    hn_jn_text text;
    hn_jn_text_init(&text, ctx);
    bool word_start = true;
    for (size_t i = 0, used; i < s->len && hn_jn_charge(ctx, 1); i += used) {
        uint32_t cp = char_at(s, i, &used), source = hn_jn_source_at(s, i);
        bool upper = how == HN_JN_UPPER || (word_start && how >= HN_JN_TITLE && how <= HN_JN_CAPITALIZE) ||
                     (how == HN_JN_SWAP && hn_unicode_lower(cp) == cp);
        if (how == HN_JN_TITLE)
            word_start = !is_cased(cp);
        else if (how == HN_JN_TITLE_FILTER)
            word_start = hn_jn_is_space(cp) || (cp < 128 && cp && strchr("-({[<", (int)cp));
        else if (how == HN_JN_CAPITALIZE)
            word_start = false;
        if (upper && cp == 0xDF) {
            hn_jn_text_add_from(&text, how == HN_JN_UPPER || how == HN_JN_SWAP ? "SS" : "Ss", 2, source);
            continue;
        }
        hn_jn_text_add_codepoint(&text, upper ? hn_unicode_upper(cp) : hn_unicode_lower(cp), source);
    }
    return hn_jn_text_value(&text);
}

static hn_jn_value m_upper(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, (void)args, hn_jn_change_case(ctx, self_text(self), HN_JN_UPPER);
}
static hn_jn_value m_lower(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, (void)args, hn_jn_change_case(ctx, self_text(self), HN_JN_LOWER);
}
static hn_jn_value m_title(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, (void)args, hn_jn_change_case(ctx, self_text(self), HN_JN_TITLE);
}
static hn_jn_value m_capitalize(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, (void)args, hn_jn_change_case(ctx, self_text(self), HN_JN_CAPITALIZE);
}
static hn_jn_value m_swapcase(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, (void)args, hn_jn_change_case(ctx, self_text(self), HN_JN_SWAP);
}

/* ---- stripping and splitting ---- */

static hn_jn_value m_strip(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)args, hn_jn_strip(ctx, self_text(self), optional_string(ctx, p[0], "strip"), true, true);
}
static hn_jn_value m_lstrip(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)args, hn_jn_strip(ctx, self_text(self), optional_string(ctx, p[0], "lstrip"), true, false);
}
static hn_jn_value m_rstrip(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)args, hn_jn_strip(ctx, self_text(self), optional_string(ctx, p[0], "rstrip"), false, true);
}

/* The last place of `needle` that ends at or before byte `end`; SIZE_MAX: none. */
static size_t find_last(hn_jn_ctx *ctx, const hn_jn_str *s, const hn_jn_str *needle, size_t end) {
    if (needle->len > end || !hn_jn_charge(ctx, end / 16)) return SIZE_MAX;
    for (size_t i = end - needle->len + 1; i-- > 0;)
        if (memcmp(s->data + i, needle->data, needle->len) == 0) return i;
    return SIZE_MAX;
}

static void reverse_list(hn_jn_value list) {
    if (list.type != HN_JN_LIST) return;
    hn_jn_list *l = list.as.list;
    for (size_t i = 0; i < l->n / 2; i++) {
        hn_jn_value other = l->items[i];
        l->items[i] = l->items[l->n - 1 - i];
        l->items[l->n - 1 - i] = other;
    }
}

static hn_jn_value split_at(hn_jn_ctx *ctx, const hn_jn_str *s, const hn_jn_str *separator, int64_t max,
                            bool from_right) {
    hn_jn_value list = hn_jn_list_new(ctx, HN_JN_AS_LIST);
    size_t from = 0, to = s->len;
    if (separator->len == 0)
        return hn_jn_raise(ctx, "call split() without arguments for white space", "an empty separator");
    for (; max != 0 && !ctx->failed; max--) {
        size_t hit = from_right ? find_last(ctx, s, separator, to) : hn_jn_find(ctx, s, separator, from);
        if (hit == SIZE_MAX) break;
        if (from_right)
            hn_jn_list_push(ctx, list, hn_jn_slice_bytes(ctx, s, hit + separator->len, to)), to = hit;
        else
            hn_jn_list_push(ctx, list, hn_jn_slice_bytes(ctx, s, from, hit)), from = hit + separator->len;
    }
    hn_jn_list_push(ctx, list, hn_jn_slice_bytes(ctx, s, from, to));
    if (from_right && !ctx->failed) reverse_list(list);
    return list;
}

/* At runs of white space; the rest behind the last of `max` splits keeps its white space. */
static hn_jn_value split_words(hn_jn_ctx *ctx, const hn_jn_str *s, int64_t max) {
    hn_jn_value list = hn_jn_list_new(ctx, HN_JN_AS_LIST);
    size_t i = 0, used;
    while (!ctx->failed) {
        while (i < s->len && hn_jn_is_space(char_at(s, i, &used))) i += used;
        if (i >= s->len) break;
        size_t start = i;
        if (max == 0) {
            hn_jn_list_push(ctx, list, hn_jn_slice_bytes(ctx, s, start, s->len));
            break;
        }
        while (i < s->len && !hn_jn_is_space(char_at(s, i, &used))) i += used;
        hn_jn_list_push(ctx, list, hn_jn_slice_bytes(ctx, s, start, i));
        max--;
    }
    return list;
}

static size_t previous_char(const hn_jn_str *s, size_t at) {
    do at--;
    while (at > 0 && ((unsigned char)s->data[at] & 0xC0) == 0x80);
    return at;
}

static hn_jn_value split_words_right(hn_jn_ctx *ctx, const hn_jn_str *s, int64_t max) {
    hn_jn_value list = hn_jn_list_new(ctx, HN_JN_AS_LIST);
    size_t end = s->len, used;
    while (!ctx->failed) {
        while (end > 0 && hn_jn_is_space(char_at(s, previous_char(s, end), &used))) end = previous_char(s, end);
        if (end == 0) break;
        if (max == 0) {
            hn_jn_list_push(ctx, list, hn_jn_slice_bytes(ctx, s, 0, end));
            break;
        }
        size_t start = end;
        while (start > 0 && !hn_jn_is_space(char_at(s, previous_char(s, start), &used)))
            start = previous_char(s, start);
        hn_jn_list_push(ctx, list, hn_jn_slice_bytes(ctx, s, start, end));
        end = start;
        max--;
    }
    if (!ctx->failed) reverse_list(list);
    return list;
}

static hn_jn_value m_split(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    const hn_jn_str *separator = optional_string(ctx, p[0], "split");
    int64_t max = integer_argument(ctx, p[1], -1, "split");
    (void)args;
    return separator ? split_at(ctx, self_text(self), separator, max, false) : split_words(ctx, self_text(self), max);
}

static hn_jn_value m_rsplit(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    const hn_jn_str *separator = optional_string(ctx, p[0], "rsplit");
    int64_t max = integer_argument(ctx, p[1], -1, "rsplit");
    (void)args;
    return separator ? split_at(ctx, self_text(self), separator, max, true)
                     : split_words_right(ctx, self_text(self), max);
}

/* Bytes of the line end at `i`, 0: there is none. */
static size_t line_end(const hn_jn_str *s, size_t i) {
    size_t used;
    uint32_t cp = char_at(s, i, &used);
    if (cp == '\r' && i + 1 < s->len && s->data[i + 1] == '\n') return 2;
    return (cp >= '\n' && cp <= '\r') || (cp >= 0x1c && cp <= 0x1e) || cp == 0x85 || cp == 0x2028 || cp == 0x2029 ? used
                                                                                                                  : 0;
}

hn_jn_value hn_jn_split_lines(hn_jn_ctx *ctx, const hn_jn_str *s) {
    hn_jn_value list = hn_jn_list_new(ctx, HN_JN_AS_LIST);
    size_t start = 0;
    for (size_t i = 0; i < s->len && !ctx->failed;) {
        size_t end = line_end(s, i), used;
        if (!end) {
            char_at(s, i, &used);
            i += used;
            continue;
        }
        hn_jn_list_push(ctx, list, hn_jn_slice_bytes(ctx, s, start, i));
        start = i += end;
    }
    if (start < s->len) hn_jn_list_push(ctx, list, hn_jn_slice_bytes(ctx, s, start, s->len));
    return list;
}

static hn_jn_value m_splitlines(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    (void)args;
    if (p[0].type != HN_JN_MISSING && hn_jn_truth(p[0]))
        return hn_jn_raise(ctx, "call it without arguments", "splitlines with keepends is not supported");
    return hn_jn_split_lines(ctx, self_text(self));
}

static hn_jn_value partition(hn_jn_ctx *ctx, const hn_jn_str *s, const hn_jn_str *separator, bool from_right) {
    if (separator->len == 0) return hn_jn_raise(ctx, NULL, "an empty separator");
    size_t hit = from_right ? find_last(ctx, s, separator, s->len) : hn_jn_find(ctx, s, separator, 0);
    hn_jn_value list = hn_jn_list_new(ctx, HN_JN_AS_TUPLE);
    bool found = hit != SIZE_MAX;
    size_t left = found ? hit : from_right ? 0 : s->len, right = found ? hit + separator->len : left;
    hn_jn_list_push(ctx, list, hn_jn_slice_bytes(ctx, s, 0, left));
    hn_jn_list_push(ctx, list, hn_jn_slice_bytes(ctx, s, left, right));
    hn_jn_list_push(ctx, list, hn_jn_slice_bytes(ctx, s, right, s->len));
    return list;
}

static hn_jn_value m_partition(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)args, partition(ctx, self_text(self), string_argument(ctx, p[0], "partition"), false);
}
static hn_jn_value m_rpartition(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)args, partition(ctx, self_text(self), string_argument(ctx, p[0], "rpartition"), true);
}

/* ---- searching ---- */

static bool has_affix(const hn_jn_str *s, const hn_jn_str *affix, bool at_end) {
    return affix->len <= s->len && memcmp(s->data + (at_end ? s->len - affix->len : 0), affix->data, affix->len) == 0;
}

static hn_jn_value test_affix(hn_jn_ctx *ctx, const hn_jn_str *s, hn_jn_value affix, bool at_end, const char *method) {
    if (affix.type != HN_JN_LIST || affix.as.list->kind != HN_JN_AS_TUPLE)
        return hn_jn_bool(has_affix(s, string_argument(ctx, affix, method), at_end));
    for (size_t i = 0; i < affix.as.list->n; i++)
        if (has_affix(s, string_argument(ctx, affix.as.list->items[i], method), at_end)) return hn_jn_bool(true);
    return hn_jn_bool(false);
}

static hn_jn_value m_startswith(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)args, test_affix(ctx, self_text(self), p[0], false, "startswith");
}
static hn_jn_value m_endswith(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)args, test_affix(ctx, self_text(self), p[0], true, "endswith");
}

static hn_jn_value m_removeprefix(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    const hn_jn_str *affix = string_argument(ctx, p[0], "removeprefix");
    return (void)args, has_affix(self_text(self), affix, false)
                           ? hn_jn_slice_bytes(ctx, self_text(self), affix->len, self_text(self)->len)
                           : self;
}

static hn_jn_value m_removesuffix(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    const hn_jn_str *affix = string_argument(ctx, p[0], "removesuffix");
    return (void)args, has_affix(self_text(self), affix, true)
                           ? hn_jn_slice_bytes(ctx, self_text(self), 0, self_text(self)->len - affix->len)
                           : self;
}

/* Byte offset of character `at` (negative: from the end), clamped. */
static size_t byte_offset(const hn_jn_str *s, int64_t at) {
    int64_t n = (int64_t)hn_utf8_count(s->data, s->len);
    size_t offset = 0, used;
    if (at < 0) at = at < -n ? 0 : at + n;
    for (int64_t i = 0; i < at && offset < s->len; i++) char_at(s, offset, &used), offset += used;
    return offset;
}

/* Position in characters of the first or last `needle` between the arguments start and end; -1: none. */
static int64_t position(hn_jn_ctx *ctx, const hn_jn_str *s, const hn_jn_value *p, bool last, const char *method) {
    const hn_jn_str *needle = string_argument(ctx, p[0], method);
    if (!hn_jn_charge(ctx, s->len / 16)) return -1;
    size_t from = byte_offset(s, integer_argument(ctx, p[1], 0, method));
    size_t to = p[2].type == HN_JN_MISSING || p[2].type == HN_JN_NONE
                    ? s->len
                    : byte_offset(s, integer_argument(ctx, p[2], 0, method));
    if (ctx->failed || from > to) return -1;
    hn_jn_str part = {.data = s->data + from, .len = to - from};
    size_t hit = last ? find_last(ctx, &part, needle, part.len) : hn_jn_find(ctx, &part, needle, 0);
    return hit == SIZE_MAX ? -1 : (int64_t)hn_utf8_count(s->data, from + hit);
}

static hn_jn_value m_find(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)args, hn_jn_int(position(ctx, self_text(self), p, false, "find"));
}
static hn_jn_value m_rfind(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)args, hn_jn_int(position(ctx, self_text(self), p, true, "rfind"));
}

static hn_jn_value m_index(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    int64_t at = position(ctx, self_text(self), p, false, "index");
    return (void)args,
           at >= 0 ? hn_jn_int(at)
                   : hn_jn_raise(ctx, "use find, which gives -1", "method `index`: the text is not in the string");
}

static hn_jn_value m_count(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    const hn_jn_str *s = self_text(self), *needle = string_argument(ctx, p[0], "count");
    int64_t n = 0;
    (void)args;
    if (needle->len == 0) return hn_jn_int((int64_t)hn_utf8_count(s->data, s->len) + 1);
    for (size_t at = 0; (at = hn_jn_find(ctx, s, needle, at)) != SIZE_MAX && !ctx->failed; at += needle->len) n++;
    return hn_jn_int(n);
}

static hn_jn_value m_replace(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    const hn_jn_str *old = string_argument(ctx, p[0], "replace"), *new_text = string_argument(ctx, p[1], "replace");
    return (void)args, hn_jn_replace(ctx, self_text(self), old, new_text, integer_argument(ctx, p[2], -1, "replace"));
}

static hn_jn_value m_join(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)args, hn_jn_join(ctx, self_text(self), hn_jn_iterate(ctx, p[0]), true);
}

/* ---- classes of characters ---- */

typedef enum char_class { DIGIT, ALPHA, ALNUM, SPACE, UPPER, LOWER } char_class;

/* Whether all characters are of the class, and there is one; case: all that have case, and there is one. */
static hn_jn_value all_are(hn_jn_ctx *ctx, hn_jn_value self, char_class class) {
    const hn_jn_str *s = self_text(self);
    bool any_cased = false;
    for (size_t i = 0, used; i < s->len && hn_jn_charge(ctx, 1); i += used) {
        uint32_t cp = char_at(s, i, &used);
        if (class == UPPER || class == LOWER) {
            if (!is_cased(cp)) continue;
            any_cased = true;
            if ((class == UPPER ? hn_unicode_upper(cp) : hn_unicode_lower(cp)) != cp) return hn_jn_bool(false);
            continue;
        }
        bool letter = hn_unicode_is_letter(cp), digit = hn_unicode_is_number(cp);
        if (!(class == DIGIT ? digit : class == ALPHA ? letter : class == ALNUM ? letter || digit : hn_jn_is_space(cp)))
            return hn_jn_bool(false);
    }
    return hn_jn_bool(class == UPPER || class == LOWER ? any_cased : s->len > 0);
}

static hn_jn_value m_isdigit(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, (void)args, all_are(ctx, self, DIGIT);
}
static hn_jn_value m_isalpha(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, (void)args, all_are(ctx, self, ALPHA);
}
static hn_jn_value m_isalnum(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, (void)args, all_are(ctx, self, ALNUM);
}
static hn_jn_value m_isspace(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, (void)args, all_are(ctx, self, SPACE);
}
static hn_jn_value m_isupper(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, (void)args, all_are(ctx, self, UPPER);
}
static hn_jn_value m_islower(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)p, (void)args, all_are(ctx, self, LOWER);
}

/* ---- filling and formatting ---- */

hn_jn_value hn_jn_pad(hn_jn_ctx *ctx, const hn_jn_str *s, int64_t width, bool left, bool right) {
    int64_t n = (int64_t)hn_utf8_count(s->data, s->len), missing = width > n ? width - n : 0;
    int64_t before = left && right ? missing / 2 + (missing & width & 1) : left ? missing : 0;
    hn_jn_text text;
    hn_jn_text_init(&text, ctx);
    for (int64_t i = 0; i < before && hn_jn_charge(ctx, 1); i++) hn_jn_text_add_str(&text, " ");
    hn_jn_text_add_all(&text, s);
    for (int64_t i = before; i < missing && right && hn_jn_charge(ctx, 1); i++) hn_jn_text_add_str(&text, " ");
    return hn_jn_text_value(&text);
}

static hn_jn_value m_ljust(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)args, hn_jn_pad(ctx, self_text(self), integer_argument(ctx, p[0], 0, "ljust"), false, true);
}
static hn_jn_value m_rjust(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)args, hn_jn_pad(ctx, self_text(self), integer_argument(ctx, p[0], 0, "rjust"), true, false);
}
static hn_jn_value m_center(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    return (void)args, hn_jn_pad(ctx, self_text(self), integer_argument(ctx, p[0], 0, "center"), true, true);
}

static hn_jn_value m_zfill(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    const hn_jn_str *s = self_text(self);
    int64_t width = integer_argument(ctx, p[0], 0, "zfill"), n = (int64_t)hn_utf8_count(s->data, s->len);
    size_t sign = s->len && (s->data[0] == '-' || s->data[0] == '+') ? 1 : 0;
    hn_jn_text text;
    (void)args;
    hn_jn_text_init(&text, ctx);
    hn_jn_text_add_slice(&text, s, 0, sign);
    for (; n < width && hn_jn_charge(ctx, 1); n++) hn_jn_text_add_str(&text, "0");
    hn_jn_text_add_slice(&text, s, sign, s->len);
    return hn_jn_text_value(&text);
}

/* The value for what stands between { and }: nothing, a number or a name. */
static hn_jn_value format_field(hn_jn_ctx *ctx, const hn_jn_str *s, size_t from, size_t to, const hn_jn_args *args,
                                size_t *next) {
    size_t number = 0, n = to - from;
    for (size_t i = 0; i < args->n_keywords; i++)
        if (strlen(args->keywords[i].name) == n && memcmp(args->keywords[i].name, s->data + from, n) == 0)
            return args->keywords[i].value;
    bool digits = n < 6;
    for (size_t i = from; i < to && digits; i++) {
        digits = s->data[i] >= '0' && s->data[i] <= '9';
        number = number * 10 + (size_t)(s->data[i] - '0');
    }
    if (n == 0) number = (*next)++;
    if (!digits)
        return hn_jn_raise(ctx, "use {}, {0} or {name}", "method `format` has no value for {%.*s}",
                           n < 40 ? (int)n : 40, s->data + from);
    return number < args->n
               ? args->values[number]
               : hn_jn_raise(ctx, NULL, "method `format` has %zu values, field %zu is used", args->n, number);
}

static hn_jn_value m_format(hn_jn_ctx *ctx, hn_jn_value self, const hn_jn_value *p, const hn_jn_args *args) {
    const hn_jn_str *s = self_text(self);
    size_t next = 0;
    hn_jn_text text;
    (void)p;
    hn_jn_text_init(&text, ctx);
    for (size_t i = 0; i < s->len && !ctx->failed;) {
        size_t stop = i;
        while (stop < s->len && s->data[stop] != '{' && s->data[stop] != '}') stop++;
        hn_jn_text_add_slice(&text, s, i, stop);
        if (stop == s->len) break;
        if (stop + 1 < s->len && s->data[stop + 1] == s->data[stop]) {
            hn_jn_text_add_slice(&text, s, stop, stop + 1);
            i = stop + 2;
            continue;
        }
        const char *close = s->data[stop] == '{' ? memchr(s->data + stop, '}', s->len - stop) : NULL;
        if (!close) return hn_jn_raise(ctx, "write {{ or }} for a brace", "method `format`: a single brace");
        size_t end = (size_t)(close - s->data);
        hn_jn_text_add_value(&text, format_field(ctx, s, stop + 1, end, args, &next));
        i = end + 1;
    }
    return hn_jn_text_value(&text);
}

const hn_jn_builtin hn_jn_string_methods[] = {
    {"capitalize", m_capitalize, "", 0},
    {"center", m_center, "width", 1},
    {"count", m_count, "sub", 1},
    {"endswith", m_endswith, "suffix", 1},
    {"find", m_find, "sub,start,end", 1},
    {"format", m_format, NULL, 0},
    {"index", m_index, "sub,start,end", 1},
    {"isalnum", m_isalnum, "", 0},
    {"isalpha", m_isalpha, "", 0},
    {"isdecimal", m_isdigit, "", 0},
    {"isdigit", m_isdigit, "", 0},
    {"islower", m_islower, "", 0},
    {"isnumeric", m_isdigit, "", 0},
    {"isspace", m_isspace, "", 0},
    {"isupper", m_isupper, "", 0},
    {"join", m_join, "iterable", 1},
    {"ljust", m_ljust, "width", 1},
    {"lower", m_lower, "", 0},
    {"lstrip", m_lstrip, "chars", 0},
    {"partition", m_partition, "sep", 1},
    {"removeprefix", m_removeprefix, "prefix", 1},
    {"removesuffix", m_removesuffix, "suffix", 1},
    {"replace", m_replace, "old,new,count", 2},
    {"rfind", m_rfind, "sub,start,end", 1},
    {"rjust", m_rjust, "width", 1},
    {"rpartition", m_rpartition, "sep", 1},
    {"rsplit", m_rsplit, "sep,maxsplit", 0},
    {"rstrip", m_rstrip, "chars", 0},
    {"split", m_split, "sep,maxsplit", 0},
    {"splitlines", m_splitlines, "keepends", 0},
    {"startswith", m_startswith, "prefix", 1},
    {"strip", m_strip, "chars", 0},
    {"swapcase", m_swapcase, "", 0},
    {"title", m_title, "", 0},
    {"upper", m_upper, "", 0},
    {"zfill", m_zfill, "width", 1},
    {NULL, NULL, NULL, 0},
};
