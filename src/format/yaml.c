/* YAML through libfyaml's events; see yaml.h. The tree is our own: libfyaml's documents resolve aliases, print to stderr and count
 * positions from 0. Surprise: libfyaml's own memory is not counted by base/alloc.h, so only the tree's is testable. */
#include "format/yaml.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "base/utf8.h"

#include <libfyaml.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hn_yaml {
    hn_arena *arena;
    const char *name;
    const char *source;
    size_t source_bytes;
    hn_yaml_node *root;
    size_t n_nodes;
};

/* What is being built: the open list or map, and in a map the key that waits for its value. */
typedef struct builder {
    hn_yaml *doc;
    hn_yaml_node *open;
    hn_yaml_node *last[HN_YAML_MAX_DEPTH + 1]; /* the last child of each open node */
    int depth;
    const char *key;
    int key_line, key_column;
    int n_documents;
    hn_error *err;
} builder;

static hn_status fail_at(const builder *b, int line, int column, hn_status code, const char *hint,
                         const char *message) {
    char where[sizeof b->err->where];
    snprintf(where, sizeof where, "%s:%d:%d", b->doc->name, line, column);
    return hn_fail(b->err, code, where, hint, "%s", message);
}

/* ---- scalars: the core schema of YAML 1.2.2, section 10.3 ---- */

static bool is_one_of(const char *text, const char *const *words, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(text, words[i]) == 0) return true;
    return false;
}

static size_t span_digits(const char *text) { return strspn(text, "0123456789"); }

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool looks_real(const char *text) {
    if (*text == '-' || *text == '+') text++;
    size_t whole = span_digits(text), part = 0;
    text += whole;
    if (*text == '.') part = span_digits(text + 1), text += 1 + part;
    if (whole + part == 0) return false;
    if (*text == 'e' || *text == 'E') {
        text++;
        if (*text == '-' || *text == '+') text++;
        size_t exponent = span_digits(text);
        if (exponent == 0) return false;
        text += exponent;
    }
    return *text == 0;
}

static bool looks_int(const char *text) {
    if (*text == '-' || *text == '+') text++;
    size_t n = span_digits(text);
    return n > 0 && text[n] == 0;
}

static bool parse_based(const char *text, int64_t *value) {
    bool octal = hn_starts_with(text, "0o"), hex = hn_starts_with(text, "0x");
    if (!octal && !hex) return false;
    const char *digits = text + 2;
    size_t n = strspn(digits, octal ? "01234567" : "0123456789abcdefABCDEF");
    if (n == 0 || digits[n] || n > (octal ? 20u : 15u)) return false;
    *value = (int64_t)strtoll(digits, NULL, octal ? 8 : 16);
    return true;
}

static void resolve_plain(hn_yaml_node *node) {
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    static const char *const trues[] = {"true", "True", "TRUE"}, *const falses[] = {"false", "False", "FALSE"};
    static const char *const infinities[] = {".inf", ".Inf", ".INF"}, *const nans[] = {".nan", ".NaN", ".NAN"};
    const char *text = node->text, *magnitude = text + (*text == '-' || *text == '+');
    node->kind = HN_YAML_STRING;
    if (is_one_of(text, nulls, 5))
        node->kind = HN_YAML_NULL;
    else if (is_one_of(text, trues, 3))
        node->kind = HN_YAML_BOOL, node->boolean = true;
    else if (is_one_of(text, falses, 3))
        node->kind = HN_YAML_BOOL;
    else if (is_one_of(magnitude, infinities, 3))
        node->kind = HN_YAML_REAL, node->real = *text == '-' ? -INFINITY : INFINITY;
    else if (is_one_of(text, nans, 3))
        node->kind = HN_YAML_REAL, node->real = NAN;
    else if (parse_based(text, &node->integer))
        node->kind = HN_YAML_INT, node->real = (double)node->integer;
    else if (looks_int(text) && hn_parse_int64(text, &node->integer))
        node->kind = HN_YAML_INT, node->real = (double)node->integer;
    else if (looks_real(text) && hn_parse_double(text, &node->real))
        node->kind = HN_YAML_REAL;
}

/* Where the text's first character is in the file, and what each line of a | block is indented by. libfyaml's mark is the first character
 * after an opening quote, and the line after the | of a block. */
static void locate_text(hn_yaml_node *node, const struct fy_mark *start, enum fy_scalar_style style) {
    const hn_yaml *doc = node->document;
    bool quoted = style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED;
    size_t at = start->input_pos, left = at <= doc->source_bytes ? doc->source_bytes - at : 0;
    node->text_line = node->line;
    node->text_indent = -1;
    if (quoted) node->column--;
    /* known exactly as long as nothing was unescaped or folded: then the file holds the text byte by byte */
    bool same = node->length <= left && (node->length == 0 || memcmp(doc->source + at, node->text, node->length) == 0);
    if (same && !memchr(node->text, '\n', node->length)) node->text_column = start->column + 1;
    if (style != FYSS_LITERAL || left == 0) return;
    const char *source = doc->source + at, *end = doc->source + doc->source_bytes;
    while (source < end && (*source == '\n' || *source == '\r')) source++;
    size_t spaces = 0, own = strspn(node->text + strspn(node->text, "\n"), " ");
    while (source + spaces < end && source[spaces] == ' ') spaces++;
    node->text_indent = spaces >= own ? (int)(spaces - own) : 0;
    node->text_column = node->text_indent + 1;
    node->column = node->text_column;
}

/* ---- building the tree from events ---- */

static hn_yaml_node *add_node(builder *b, hn_yaml_kind kind, int line, int column) {
    hn_yaml_node *node = hn_arena_alloc(b->doc->arena, sizeof *node);
    if (!node) return NULL;
    node->kind = kind;
    node->document = b->doc;
    node->line = node->text_line = line;
    node->column = column;
    node->text_indent = -1;
    node->parent = b->open;
    node->key = b->key;
    node->key_line = b->key_line;
    node->key_column = b->key_column;
    b->doc->n_nodes++;
    if (!b->open) {
        b->doc->root = node;
    } else {
        node->index = b->open->n++;
        if (b->last[b->depth])
            b->last[b->depth]->next = node;
        else
            b->open->first = node;
        b->last[b->depth] = node;
    }
    b->key = NULL;
    return node;
}

static hn_status check_room(const builder *b, int line, int column) {
    if (b->doc->n_nodes >= HN_YAML_MAX_NODES)
        return fail_at(b, line, column, HN_ERR_LIMIT, "move long lists into a data file",
                       "more than 100,000 values in one file");
    return HN_OK;
}

static hn_status check_plainness(const builder *b, struct fy_token *anchor, struct fy_token *tag, int line,
                                 int column) {
    if (anchor)
        return fail_at(b, line, column, HN_ERR_UNSUPPORTED, "write the value out where it is needed",
                       "anchors (`&name`) are not used in these files; text that starts with & needs quotes");
    if (tag)
        return fail_at(b, line, column, HN_ERR_UNSUPPORTED, "leave the tag out; quote a value to make it text",
                       "tags (`!name`) are not used in these files; text that starts with ! needs quotes");
    return HN_OK;
}

static hn_status take_scalar(builder *b, const struct fy_event *event, int line, int column) {
    struct fy_token *token = event->scalar.value;
    const struct fy_mark *start = fy_token_start_mark(token);
    size_t n = 0;
    const char *text = fy_token_get_text(token, &n);
    HN_TRY(check_plainness(b, event->scalar.anchor, event->scalar.tag, line, column));
    if (!text) n = 0, text = "";
    if (memchr(text, 0, n))
        return fail_at(b, line, column, HN_ERR_INPUT, "remove the \\0", "the text has a NUL character in it");
    if (!hn_utf8_valid(text, n, NULL))
        return fail_at(b, line, column, HN_ERR_INPUT, "write the character itself, or one valid \\u escape",
                       "an escape in the text is not a Unicode character");
    char *copy = hn_arena_strndup(b->doc->arena, text, n);
    if (!copy) return hn_fail_memory(b->err, n);
    if (b->open && b->open->kind == HN_YAML_MAP && !b->key) {
        b->key = copy;
        b->key_line = line;
        b->key_column = column - (start && fy_token_scalar_style(token) != FYSS_PLAIN && column > 1);
        return HN_OK;
    }
    enum fy_scalar_style style = start ? fy_token_scalar_style(token) : FYSS_PLAIN;
    hn_yaml_node *node = add_node(b, HN_YAML_STRING, line, column);
    if (!node) return hn_fail_memory(b->err, sizeof *node);
    node->text = copy;
    node->length = n;
    if (style == FYSS_PLAIN) resolve_plain(node);
    if (start) locate_text(node, start, style);
    return HN_OK;
}

static hn_status open_container(builder *b, hn_yaml_kind kind, struct fy_token *anchor, struct fy_token *tag, int line,
                                int column) {
    HN_TRY(check_plainness(b, anchor, tag, line, column));
    if (b->open && b->open->kind == HN_YAML_MAP && !b->key)
        return fail_at(b, line, column, HN_ERR_INPUT, "if this is {{ a variable }}, put the text in quotes",
                       "a key must be plain text");
    if (b->depth >= HN_YAML_MAX_DEPTH)
        return fail_at(b, line, column, HN_ERR_LIMIT, NULL, "lists and maps are nested deeper than 32");
    hn_yaml_node *node = add_node(b, kind, line, column);
    if (!node) return hn_fail_memory(b->err, sizeof *node);
    b->open = node;
    b->last[++b->depth] = NULL;
    return HN_OK;
}

static int compare_keys(const void *a, const void *b) {
    const hn_yaml_node *x = *(const hn_yaml_node *const *)a, *y = *(const hn_yaml_node *const *)b;
    int order = strcmp(x->key, y->key);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

static hn_status check_duplicates(const builder *b, const hn_yaml_node *map) {
    if (map->n < 2) return HN_OK;
    const hn_yaml_node **sorted = hn_calloc(map->n, sizeof *sorted), *again = NULL, *before = NULL;
    if (!sorted) return hn_fail_memory(b->err, map->n * sizeof *sorted);
    size_t n = 0;
    for (const hn_yaml_node *child = map->first; child; child = child->next) sorted[n++] = child;
    qsort(sorted, n, sizeof *sorted, compare_keys);
    for (size_t i = 1; i < n; i++)
        if (strcmp(sorted[i]->key, sorted[i - 1]->key) == 0 && (!again || sorted[i]->index < again->index))
            again = sorted[i], before = sorted[i - 1];
    hn_free(sorted);
    if (!again) return HN_OK;
    char message[200];
    snprintf(message, sizeof message, "`%.80s` is here a second time; the first is in line %d", again->key,
             before->key_line);
    return fail_at(b, again->key_line, again->key_column, HN_ERR_INPUT, "keep one of them", message);
}

static hn_status close_container(builder *b) {
    hn_yaml_node *closed = b->open;
    if (closed->kind == HN_YAML_MAP) HN_TRY(check_duplicates(b, closed));
    b->open = (hn_yaml_node *)closed->parent; /* our own node: const only for readers */
    b->key = NULL;
    b->depth--;
    return HN_OK;
}

static hn_status take_event(builder *b, const struct fy_event *event, const struct fy_mark *mark) {
    /* an empty value has no place of its own: its key's place stands for it */
    int line = mark     ? mark->line + 1
               : b->key ? b->key_line
                        : 1,
        column = mark     ? mark->column + 1
                 : b->key ? b->key_column
                          : 1;
    switch (event->type) {
    case FYET_DOCUMENT_START:
        if (b->n_documents++ == 0) return HN_OK;
        return fail_at(b, line, column, HN_ERR_INPUT, "keep one document in the file; remove the `---` line",
                       "a second document begins here");
    case FYET_SCALAR: HN_TRY(check_room(b, line, column)); return take_scalar(b, event, line, column);
    case FYET_SEQUENCE_START:
        HN_TRY(check_room(b, line, column));
        return open_container(b, HN_YAML_LIST, event->sequence_start.anchor, event->sequence_start.tag, line, column);
    case FYET_MAPPING_START:
        HN_TRY(check_room(b, line, column));
        return open_container(b, HN_YAML_MAP, event->mapping_start.anchor, event->mapping_start.tag, line, column);
    case FYET_SEQUENCE_END:
    case FYET_MAPPING_END: return close_container(b);
    case FYET_ALIAS: /* its mark stands behind the * */
        return fail_at(b, line, column > 1 ? column - 1 : 1, HN_ERR_UNSUPPORTED,
                       "write the value out; text that starts with * needs quotes",
                       "aliases (`*name`) are not used in these files");
    default: return HN_OK;
    }
}

/* ---- libfyaml: its complaints, and the loop over its events ---- */

static void swallow(struct fy_diag *diag, void *user, const char *text, size_t n) {
    (void)diag, (void)user, (void)text, (void)n;
}

static const char *remedy_for(const char *message) {
    static const struct {
        const char *part, *remedy;
    } remedies[] = {
        {"double-quoted", "close the \" quote; indent the lines of a quoted text by more than its key"},
        {"single-quoted", "close the ' quote; a ' inside single quotes is written twice"},
        {"closing b", "close the [ or { that was opened above"},
        {"multiline plain key", "check the indentation (spaces, never tabs) and put text with \": \" in it in quotes"},
        {"tab", "indent with spaces"},
        {"cannot start", "put the text in quotes"},
        {"mapping", "check the indentation, and that a space follows each colon"},
        {"escape", "write \\\\ for a backslash, or use single quotes"},
    };
    for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++)
        if (strstr(message, remedies[i].part)) return remedies[i].remedy;
    return "check the indentation, quotes and brackets near this place";
}

static hn_status fail_syntax(const builder *b, struct fy_diag *diag) {
    void *iterator = NULL;
    const struct fy_diag_error *first = fy_diag_errors_iterate(diag, &iterator);
    if (!first || !first->msg) return fail_at(b, 1, 1, HN_ERR_INPUT, remedy_for(""), "the file is not valid YAML");
    char message[300];
    snprintf(message, sizeof message, "not valid YAML: %.240s", first->msg);
    return fail_at(b, first->line > 0 ? first->line : 1, first->column > 0 ? first->column : 1, HN_ERR_INPUT,
                   remedy_for(first->msg), message);
}

static hn_status run_parser(builder *b, struct fy_parser *parser, struct fy_diag *diag) {
    struct fy_event *event;
    while ((event = fy_parser_parse(parser))) {
        hn_status st = take_event(b, event, fy_event_start_mark(event));
        fy_parser_event_free(parser, event);
        if (st != HN_OK) return st;
    }
    if (fy_parser_get_stream_error(parser) || b->open) return fail_syntax(b, diag);
    if (b->doc->root) return HN_OK;
    hn_yaml_node *node = add_node(b, HN_YAML_NULL, 1, 1);
    if (!node) return hn_fail_memory(b->err, sizeof *node);
    node->text = "";
    return HN_OK;
}

static hn_status build(builder *b) {
    struct fy_diag_cfg diag_options;
    fy_diag_cfg_default(&diag_options);
    diag_options.fp = NULL;
    diag_options.output_fn = swallow;
    diag_options.colorize = false;
    struct fy_diag *diag = fy_diag_create(&diag_options);
    if (!diag) return hn_fail_memory(b->err, sizeof diag_options);
    fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg options = {.flags = FYPCF_JSON_NONE | FYPCF_DEFAULT_VERSION_1_2, .diag = diag};
    struct fy_parser *parser = fy_parser_create(&options);
    hn_status st = HN_OK;
    if (!parser || fy_parser_set_string(parser, b->doc->source, b->doc->source_bytes) != 0)
        st = hn_fail_memory(b->err, b->doc->source_bytes);
    else
        st = run_parser(b, parser, diag);
    if (parser) fy_parser_destroy(parser);
    fy_diag_destroy(diag); /* not unref: that one keeps the collected errors */
    return st;
}

enum { MAX_BLANKS = 256 }; /* libfyaml takes time with the square of blanks behind a "-" and of empty lines in a text */

/* Bytes that no YAML file may have: found here, where line and column are known, before libfyaml sees them. */
static hn_status check_bytes(const builder *b) {
    const char *text = b->doc->source;
    int line = 1, column = 1, blanks = 0, empty_lines = 0;
    for (size_t i = 0; i < b->doc->source_bytes;) {
        uint32_t c;
        size_t used;
        if (!hn_utf8_decode_strict(text + i, b->doc->source_bytes - i, &c, &used))
            return fail_at(b, line, column, HN_ERR_INPUT, "save the file as UTF-8", "the byte here is not valid UTF-8");
        if ((c < 32 && c != '\t' && c != '\n' && c != '\r') || c == 127 || (c >= 0x80 && c < 0xA0 && c != 0x85))
            return fail_at(b, line, column, HN_ERR_INPUT, "remove it, or write it as an escape in double quotes",
                           "a control character stands here");
        if (c == '\r' && (i + 1 == b->doc->source_bytes || text[i + 1] != '\n'))
            return fail_at(b, line, column, HN_ERR_INPUT, "save the file with LF or CRLF line ends",
                           "a carriage return stands here without a line feed");
        bool blank = c == ' ' || c == '\t' || c == '\r';
        blanks = blank ? blanks + 1 : 0;
        if (c == '\n')
            empty_lines++;
        else if (!blank)
            empty_lines = 0;
        if (blanks > MAX_BLANKS || empty_lines > MAX_BLANKS)
            return fail_at(b, line, column, HN_ERR_LIMIT, "remove them",
                           "more than 256 blanks or empty lines stand in a row");
        i += used;
        column++;
        if (c == '\n') line++, column = 1;
    }
    return HN_OK;
}

hn_status hn_yaml_parse(const char *name, const char *text, size_t n, hn_yaml **document, hn_error *err) {
    *document = NULL;
    if (n > HN_YAML_MAX_BYTES)
        return hn_fail(err, HN_ERR_LIMIT, name, "is this the right file? data belongs in CSV or JSONL files",
                       "the file has %zu bytes, the limit is %d", n, HN_YAML_MAX_BYTES);
    hn_arena *arena = hn_arena_create(0);
    hn_yaml *doc = arena ? hn_arena_alloc(arena, sizeof *doc) : NULL;
    hn_error ignored;
    builder b = {.doc = doc, .err = err ? err : &ignored};
    hn_status st = HN_OK;
    if (doc) {
        if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
            text += 3, n -= 3; /* a byte order mark says nothing in UTF-8 */
        doc->arena = arena;
        doc->name = hn_arena_strdup(arena, name);
        doc->source = hn_arena_strndup(arena, text, n);
        doc->source_bytes = n;
    }
    if (!doc || !doc->name || !doc->source) st = hn_fail_memory(err, n);
    if (st == HN_OK) st = check_bytes(&b);
    if (st == HN_OK) st = build(&b);
    if (st == HN_OK)
        *document = doc;
    else
        hn_arena_free(arena);
    return st;
}

hn_status hn_yaml_load(const char *path, hn_yaml **document, hn_error *err) {
    char *text;
    size_t n;
    *document = NULL;
    HN_TRY(hn_file_read(path, HN_YAML_MAX_BYTES, &text, &n, err));
    hn_status st = hn_yaml_parse(path, text, n, document, err);
    hn_free(text);
    return st;
}

void hn_yaml_free(hn_yaml *document) {
    if (document) hn_arena_free(document->arena);
}

const hn_yaml_node *hn_yaml_root(const hn_yaml *document) { return document->root; }
const char *hn_yaml_name(const hn_yaml *document) { return document->name; }
