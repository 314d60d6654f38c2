/* Names of the objects that are open while JSON is written; see json_names.h.
 * All names of all open objects stand in one buffer, each with its length in front; closing an object cuts the buffer. A
 * token with a quote, or one near the deepest nesting, may have to be taken back: it runs on a copy, which then changes places with the state. */
#include "format/json_names.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/utf8.h"
#include "format/json.h"

#include <string.h>

enum { NAMES_MAX = 64 << 20 };

typedef struct level {
    size_t first; /* where its names begin */
    bool object;
} level;

typedef struct state {
    hn_buf names;
    hn_buf name; /* the one being written, as it stands in the text */
    level *levels;
    size_t n_levels, capacity;
    bool in_string, escaped, is_name; /* is_name: of the string that is open */
    bool expects_name;                /* the next string is one */
} state;

struct hn_json_names {
    state now, copy;
};

hn_json_names *hn_json_names_create(void) {
    hn_json_names *n = hn_calloc(1, sizeof *n);
    state *both[] = {n ? &n->now : NULL, n ? &n->copy : NULL};
    for (int i = 0; i < 2 && n; i++) {
        hn_buf_init(&both[i]->names, NAMES_MAX);
        hn_buf_init(&both[i]->name, NAMES_MAX);
    }
    return n;
}

void hn_json_names_free(hn_json_names *n) {
    if (!n) return;
    state *both[] = {&n->now, &n->copy};
    for (int i = 0; i < 2; i++) {
        hn_buf_free(&both[i]->names);
        hn_buf_free(&both[i]->name);
        hn_free(both[i]->levels);
    }
    hn_free(n);
}

/* ---- names as they read ---- */

static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 0;
}

static uint32_t unit(const char *four) {
    return (uint32_t)(hex(four[0]) << 12 | hex(four[1]) << 8 | hex(four[2]) << 4 | hex(four[3]));
}

/* Undoes the escapes in place. */
static void unescape(hn_buf *name) {
    static const char letters[] = "b\bf\fn\nr\rt\t";
    char *text = name->data;
    size_t n = name->len, out = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] != '\\' || i + 1 >= n) {
            text[out++] = text[i];
            continue;
        }
        char c = text[++i];
        if (c != 'u' || i + 4 >= n) {
            const char *known = memchr(letters, c, sizeof letters - 1);
            text[out++] = known && (known - letters) % 2 == 0 ? known[1] : c;
            continue;
        }
        uint32_t cp = unit(text + i + 1);
        i += 4;
        if (cp >= 0xD800 && cp < 0xDC00 && i + 6 < n && text[i + 1] == '\\' && text[i + 2] == 'u') {
            cp = 0x10000 + ((cp - 0xD800) << 10) + (unit(text + i + 3) - 0xDC00);
            i += 6;
        }
        out += hn_utf8_encode(cp, text + out); /* at most as long as its escape */
    }
    if (text) hn_buf_truncate(name, out);
}

static bool is_known(const state *s, size_t first) {
    for (size_t at = first; at + sizeof(size_t) <= s->names.len;) {
        size_t n;
        memcpy(&n, s->names.data + at, sizeof n);
        at += sizeof n;
        if (n == s->name.len && (n == 0 || memcmp(s->names.data + at, s->name.data, n) == 0)) return true;
        at += n;
    }
    return false;
}

/* ---- byte by byte ---- */

/* The name is complete. False: the object has it. */
static bool end_name(state *s) {
    size_t n;
    if (!s->n_levels) return true;
    unescape(&s->name);
    if (is_known(s, s->levels[s->n_levels - 1].first)) return false;
    n = s->name.len;
    hn_buf_append(&s->names, &n, sizeof n);
    hn_buf_append(&s->names, hn_buf_str(&s->name), n);
    return true;
}

static bool in_string(state *s, char c) {
    bool ends = c == '"' && !s->escaped;
    s->escaped = c == '\\' && !s->escaped;
    if (!ends) {
        if (s->is_name) hn_buf_append_char(&s->name, c);
        return true;
    }
    s->in_string = false;
    return !s->is_name || end_name(s);
}

static hn_status open_level(state *s, bool object, hn_error *err) {
    if (!hn_grow((void **)&s->levels, &s->capacity, s->n_levels + 1, sizeof *s->levels))
        return hn_fail_memory(err, sizeof *s->levels);
    s->levels[s->n_levels++] = (level){s->names.len, object};
    s->expects_name = object;
    return HN_OK;
}

static hn_status step(state *s, char c, bool *refused, hn_error *err) {
    if (s->in_string) {
        *refused = !in_string(s, c);
    } else if (c == '"') {
        s->in_string = true;
        s->escaped = false;
        s->is_name = s->expects_name;
        s->expects_name = false;
        if (s->is_name) hn_buf_clear(&s->name);
    } else if (c == '{' || c == '[') {
        *refused = s->n_levels >= HN_JSON_DEPTH_MAX;
        if (!*refused) return open_level(s, c == '{', err);
    } else if ((c == '}' || c == ']') && s->n_levels) {
        hn_buf_truncate(&s->names, s->levels[--s->n_levels].first);
        s->expects_name = false;
    } else if (c == ',') {
        s->expects_name = s->n_levels && s->levels[s->n_levels - 1].object;
    }
    return HN_OK;
}

static hn_status run(state *s, const char *bytes, size_t n, bool *refused, hn_error *err) {
    for (size_t i = 0; i < n && !*refused; i++) HN_TRY(step(s, bytes[i], refused, err));
    HN_TRY(hn_buf_check(&s->name, "a name", err));
    return hn_buf_check(&s->names, "an object's names", err);
}

static hn_status copy_state(state *to, const state *from, hn_error *err) {
    hn_buf names = to->names, name = to->name;
    level *levels = to->levels;
    size_t capacity = to->capacity;
    if (!hn_grow((void **)&levels, &capacity, from->n_levels + 1, sizeof *levels))
        return hn_fail_memory(err, from->n_levels * sizeof *levels);
    if (from->n_levels) memcpy(levels, from->levels, from->n_levels * sizeof *levels);
    hn_buf_clear(&names);
    hn_buf_clear(&name);
    hn_buf_append(&names, hn_buf_str(&from->names), from->names.len);
    hn_buf_append(&name, hn_buf_str(&from->name), from->name.len);
    *to = *from;
    to->names = names;
    to->name = name;
    to->levels = levels;
    to->capacity = capacity;
    HN_TRY(hn_buf_check(&to->name, "a name", err));
    return hn_buf_check(&to->names, "an object's names", err);
}

hn_status hn_json_names_accept(hn_json_names *names, const char *bytes, size_t n, bool *refused, hn_error *err) {
    *refused = false;
    if (!n) return HN_OK;
    bool may_refuse = memchr(bytes, '"', n) || names->now.n_levels + n > HN_JSON_DEPTH_MAX;
    if (!may_refuse) return run(&names->now, bytes, n, refused, err); /* no name ends here */
    HN_TRY(copy_state(&names->copy, &names->now, err));
    hn_status st = run(&names->copy, bytes, n, refused, err);
    if (st != HN_OK || *refused) return st;
    state now = names->now;
    names->now = names->copy;
    names->copy = now;
    return HN_OK;
}
