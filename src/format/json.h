/* JSON: a thin layer over jansson. `json_t` is the JSON value type of all of hone; this adds errors with a place and a
 * remedy, limits for hostile text, JSONL, and a writer that keeps insertion order and writes reals as short as they can
 * be read back.
 *
 *     json_t *config;
 *     HN_TRY(hn_json_read("config.json", 1 << 20, 0, &config, &err));           // config.json:3:7: ... '}' expected
 *     int64_t n_layers;
 *     st = hn_json_get_integer(config, "config.json", "num_hidden_layers", 1, 4096, &n_layers, &err);
 *     json_decref(config);
 *
 * Ownership: parsed values are the caller's (json_decref); strings and values that getters give are borrowed from the
 * object. Threading: no shared state after hn_json_init; jansson counts references atomically, but one value must not
 * be changed by two threads. */
#ifndef HN_FORMAT_JSON_H
#define HN_FORMAT_JSON_H

#include "base/buf.h"

#include <jansson.h>

enum {
    HN_JSON_ANY = 1, /* a top value that is neither object nor array is fine */
    HN_JSON_NUL = 2, /* strings may hold NUL (then use json_string_length); else "\u0000" is an error */
};
enum { HN_JSON_DEPTH_MAX = 512 };              /* nesting of what is read and of what is written */
enum { HN_JSON_FILE_MAX = 256 * 1024 * 1024 }; /* a usual limit for hn_json_read */

/* Routes jansson's memory through base/alloc, so that tests can make it fail. Call it first thing in main or in a test,
 * before any jansson value exists; without it jansson uses malloc and all else works the same. */
void hn_json_init(void);

/* Parses `n` bytes of UTF-8; the whole text must be one value. `name` stands for the text in errors. Duplicate keys,
 * nesting past HN_JSON_DEPTH_MAX, integers past 64 bits and invalid UTF-8 are HN_ERR_INPUT with where =
 * name:line:column. */
hn_status hn_json_parse(const char *text, size_t n, const char *name, unsigned flags, json_t **value,
                        hn_error *err) HN_MUST_CHECK;
/* The same for a file of at most `max_bytes` ("-": standard input). */
hn_status hn_json_read(const char *path, size_t max_bytes, unsigned flags, json_t **value, hn_error *err) HN_MUST_CHECK;

/* Goes through JSON Lines text, one value a line. Only \n ends a line (U+2028 and U+0085 may stand raw in strings); \r
 * before it and blank lines are skipped.
 *
 *     hn_jsonl lines = {.text = bytes, .n = n, .name = "train.jsonl"};
 *     while ((st = hn_jsonl_next(&lines, &row, &err)) == HN_OK && row) { ...; json_decref(row); }   */
typedef struct hn_jsonl {
    const char *text; /* borrowed */
    size_t n;
    const char *name; /* for errors */
    unsigned flags;   /* as for hn_json_parse */
    size_t at, line;  /* kept by hn_jsonl_next: offset of the next line; number of the line given last, from 1 */
} hn_jsonl;

/* The next line's value (the caller's), or NULL in *value after the last. After an error the next call goes on with the
 * line behind it. */
hn_status hn_jsonl_next(hn_jsonl *lines, json_t **value, hn_error *err) HN_MUST_CHECK;

typedef struct hn_json_style {
    int indent;     /* spaces a level; 0: one line */
    bool spaced;    /* one line with ", " and ": " instead of "," and ":" */
    bool ascii;     /* everything past U+007E as \uXXXX */
    bool sort_keys; /* by bytes, for text that is hashed; else insertion order */
} hn_json_style;

/* Appends `value`; NULL style: compact. Invalid UTF-8 in strings becomes U+FFFD. Errors are the buffer's sticky error;
 * nesting past HN_JSON_DEPTH_MAX is HN_ERR_LIMIT there. */
void hn_json_write(const json_t *value, const hn_json_style *style, hn_buf *out);
/* Appends `n` bytes as a JSON string with its quotes. */
void hn_json_write_string(const char *text, size_t n, bool ascii, hn_buf *out);
/* Appends the shortest decimal number that reads back as `value`: "0.1", "1.0", "1e+16", "5e-324" (as Python's repr
 * writes it); "NaN", "Infinity", "-Infinity" are not JSON and for messages only. */
void hn_json_write_real(double value, hn_buf *out);
/* Writes `value` and a newline to `path` atomically. */
hn_status hn_json_save(const char *path, const json_t *value, const hn_json_style *style, hn_error *err) HN_MUST_CHECK;

/* "an object", "a string", "an integer", "null", ...; NULL: "missing". */
const char *hn_json_type_text(const json_t *value);

/* Getters. hn_json_get_*: the field must be there. hn_json_opt_*: where it is absent or null, *value stays as it is. A
 * wrong type is HN_ERR_INPUT at `where`: "field `x` must be a number, it is a string"; a missing field names a similar
 * one that is there. */
hn_status hn_json_get_string(const json_t *object, const char *where, const char *key, const char **value,
                             hn_error *err) HN_MUST_CHECK;
hn_status hn_json_get_integer(const json_t *object, const char *where, const char *key, int64_t min, int64_t max,
                              int64_t *value, hn_error *err) HN_MUST_CHECK;
hn_status hn_json_get_number(const json_t *object, const char *where, const char *key, double *value,
                             hn_error *err) HN_MUST_CHECK;
hn_status hn_json_get_bool(const json_t *object, const char *where, const char *key, bool *value,
                           hn_error *err) HN_MUST_CHECK;
hn_status hn_json_get_array(const json_t *object, const char *where, const char *key, json_t **value,
                            hn_error *err) HN_MUST_CHECK;
hn_status hn_json_get_object(const json_t *object, const char *where, const char *key, json_t **value,
                             hn_error *err) HN_MUST_CHECK;
hn_status hn_json_opt_string(const json_t *object, const char *where, const char *key, const char **value,
                             hn_error *err) HN_MUST_CHECK;
hn_status hn_json_opt_integer(const json_t *object, const char *where, const char *key, int64_t min, int64_t max,
                              int64_t *value, hn_error *err) HN_MUST_CHECK;
hn_status hn_json_opt_bool(const json_t *object, const char *where, const char *key, bool *value,
                           hn_error *err) HN_MUST_CHECK;
/* HN_ERR_INPUT for a field that is not among `n` names, with the nearest one as the remedy. */
hn_status hn_json_check_fields(const json_t *object, const char *where, const char *const *names, size_t n,
                               hn_error *err) HN_MUST_CHECK;

#endif
