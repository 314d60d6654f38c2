/* YAML files as a tree of nodes that know where they stand, so that every complaint about a setting names file:line:column.
 *
 *     hn_yaml *doc; const hn_yaml_node *root, *split; double train = 0.5;
 *     HN_TRY(hn_yaml_load("hone.yaml", &doc, &err));
 *     root = hn_yaml_root(doc);
 *     if ((split = hn_yaml_find(root, "train"))) st = hn_yaml_get_real(split, 0, 1, &train, &err);
 *     hn_yaml_free(doc);
 *
 * What is read is one document of the YAML 1.2 core schema: `no` and `on` are text, `1e3` is a number. Anchors, aliases, tags, duplicate keys and keys
 * that are not plain text are errors, as are files past 1 MiB,
 * nesting past 32, more than 100,000 nodes, and more than 256 blanks or empty lines in a row.
 * Ownership: the document owns all nodes and their text. Threading: read-only after loading. */
#ifndef HN_FORMAT_YAML_H
#define HN_FORMAT_YAML_H

#include "base/buf.h"
#include "base/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { HN_YAML_MAX_BYTES = 1 << 20, HN_YAML_MAX_DEPTH = 32, HN_YAML_MAX_NODES = 100000 };

typedef enum hn_yaml_kind {
    HN_YAML_NULL,
    HN_YAML_BOOL,
    HN_YAML_INT,
    HN_YAML_REAL,
    HN_YAML_STRING,
    HN_YAML_LIST,
    HN_YAML_MAP
} hn_yaml_kind;

typedef struct hn_yaml hn_yaml;
typedef struct hn_yaml_node hn_yaml_node;

struct hn_yaml_node {
    hn_yaml_kind kind;
    const char *text;          /* a scalar as it stands in the file, unquoted; NULL for lists and maps */
    size_t length;             /* its bytes */
    bool boolean;              /* BOOL */
    int64_t integer;           /* INT */
    double real;               /* REAL and INT */
    const hn_yaml_node *first; /* LIST, MAP: the first child; then child->next, in the file's order */
    const hn_yaml_node *next, *parent;
    const char *key;  /* its name, where the parent is a map; else NULL */
    size_t n;         /* LIST, MAP: children */
    size_t index;     /* its place in the parent, from 0 */
    int line, column; /* from 1; columns count characters */
    int key_line, key_column;
    int text_line,
        text_column; /* where the first character of the text is; text_column 0: inner positions are not known exactly */
    int text_indent; /* what each later line of a | block is indented by; -1: lines of the text are not lines of the file */
    const hn_yaml *document;
};

/* `name` is what errors call the text. HN_ERR_INPUT with the place for whatever is not such a document. */
hn_status hn_yaml_parse(const char *name, const char *text, size_t n, hn_yaml **document, hn_error *err) HN_MUST_CHECK;
hn_status hn_yaml_load(const char *path, hn_yaml **document, hn_error *err) HN_MUST_CHECK;
void hn_yaml_free(hn_yaml *document);
const hn_yaml_node *hn_yaml_root(const hn_yaml *document); /* an empty file has a NULL node */
const char *hn_yaml_name(const hn_yaml *document);

/* The value of a key; NULL where the node is no map or has no such key. */
const hn_yaml_node *hn_yaml_find(const hn_yaml_node *map, const char *key);
/* As above, but a missing key is an error ("`data` is missing"), with `remedy` as its hint. */
hn_status hn_yaml_require(const hn_yaml_node *map, const char *key, const char *remedy, const hn_yaml_node **value,
                          hn_error *err) HN_MUST_CHECK;
/* The node must be a map whose keys all are in `names`; the error lists them and suggests the nearest. */
hn_status hn_yaml_check_keys(const hn_yaml_node *map, const char *const *names, size_t n_names,
                             hn_error *err) HN_MUST_CHECK;
hn_status hn_yaml_expect(const hn_yaml_node *node, hn_yaml_kind kind, hn_error *err) HN_MUST_CHECK;

/* Typed values; the error says which setting, what was found, what is allowed. Text stays the document's. */
hn_status hn_yaml_get_string(const hn_yaml_node *node, const char **text,
                             hn_error *err) HN_MUST_CHECK; /* numbers and booleans as written */
hn_status hn_yaml_get_bool(const hn_yaml_node *node, bool *value, hn_error *err) HN_MUST_CHECK;
hn_status hn_yaml_get_int(const hn_yaml_node *node, int64_t low, int64_t high, int64_t *value,
                          hn_error *err) HN_MUST_CHECK;
hn_status hn_yaml_get_real(const hn_yaml_node *node, double low, double high, double *value,
                           hn_error *err) HN_MUST_CHECK;
/* One of `names`: its index. */
hn_status hn_yaml_get_choice(const hn_yaml_node *node, const char *const *names, size_t n_names, int *index,
                             hn_error *err) HN_MUST_CHECK;

/* Fails with the node's place as `where`; `%s`-like text as in hn_fail. */
hn_status hn_yaml_fail(const hn_yaml_node *node, hn_status code, const char *hint, hn_error *err, const char *fmt, ...)
    HN_PRINTF(5, 6);
/* "hone.yaml:7:12", and with the key's place instead of the value's. */
void hn_yaml_where(const hn_yaml_node *node, char *out, size_t size);
void hn_yaml_where_key(const hn_yaml_node *node, char *out, size_t size);
/* The setting's name for people: "split.train", "output.choice[3]". */
void hn_yaml_path(const hn_yaml_node *node, char *out, size_t size);
/* Place in the file of a line and column (from 1) of a scalar's text; where that is not known exactly, the scalar's own. */
void hn_yaml_inner_place(const hn_yaml_node *node, int line, int column, int *file_line, int *file_column);

/* The node with all in it as a JSON value: a new reference; NULL: memory is used up. */
json_t *hn_yaml_to_json(const hn_yaml_node *node);
/* Appends text as a YAML scalar that reads back as the same string: plain where that is safe, else in double quotes. */
void hn_yaml_append_string(hn_buf *out, const char *text);

#endif
