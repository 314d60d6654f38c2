/* Reading a regular expression; shared by grammar_regex.c and grammar_regex_class.c alone. */
#ifndef HN_ENGINE_GRAMMAR_REGEX_PARTS_H
#define HN_ENGINE_GRAMMAR_REGEX_PARTS_H

#include "engine/grammar_parts.h"

typedef struct hn_regex_reader {
    hn_grammar_builder *b;
    const char *text;
    size_t at, n;
    int depth;
} hn_regex_reader;

/* Ranges that grow; out of memory fails the builder. */
typedef struct hn_code_set {
    hn_code_range *ranges;
    size_t n, capacity;
} hn_code_set;

/* Fails the builder with the column of byte `at`. Always false. */
bool hn_regex_bad(hn_regex_reader *r, size_t at, hn_status code, const char *hint, const char *fmt, ...)
    HN_PRINTF(5, 6);
bool hn_code_set_add(hn_regex_reader *r, hn_code_set *set, uint32_t first, uint32_t last);
/* An escape (at its backslash) that stands for characters: one, into *single, or a class, into `set` with *single UINT32_MAX. */
bool hn_regex_escape(hn_regex_reader *r, bool in_class, hn_code_set *set, uint32_t *single);
/* A class, at its bracket, as a node; HN_GRAMMAR_BAD after an error. */
hn_grammar_node hn_regex_class(hn_regex_reader *r);
/* The next character, as it stands. */
uint32_t hn_regex_character(hn_regex_reader *r);

#endif
