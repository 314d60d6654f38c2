/* Grammars: what the text of an answer must be, as a language of byte strings.
 *
 * A grammar is built from nodes (bytes, character classes, sequences, choices, counted repeats, named rules) and then
 * finished into an immutable object. GBNF text, regular expressions, choices and JSON Schemas all end here, so there is
 * one automaton (grammar_match.h) and one place where it is made fast. Characters are code points outside and UTF-8
 * inside: a class never lets half a character through.
 *
 *     hn_grammar_builder *b; hn_grammar *g;
 *     HN_TRY(hn_grammar_builder_create(&b, &err));
 *     hn_grammar_node digit = hn_grammar_class(b, (hn_code_range[]){{'0', '9'}}, 1, false);
 *     hn_grammar_node root = hn_grammar_repeat(b, digit, 1, 4);
 *     HN_TRY(hn_grammar_finish(b, root, &g, &err));        // takes and frees the builder, also on error
 *
 * Errors of building are sticky: a failed call gives HN_GRAMMAR_BAD, later calls with it do too, and finish reports the
 * first. Ownership: a grammar is freed by its maker after all that use it. Threading: a builder belongs to one thread;
 * a finished grammar is read-only and may be shared. */
#ifndef HN_ENGINE_GRAMMAR_H
#define HN_ENGINE_GRAMMAR_H

#include "base/status.h"
#include "format/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hn_grammar hn_grammar;
typedef struct hn_grammar_builder hn_grammar_builder;
typedef int32_t hn_grammar_node;
enum { HN_GRAMMAR_BAD = -1, HN_GRAMMAR_NO_LIMIT = -1 };

typedef struct hn_code_range {
    uint32_t first, last; /* code points, both included */
} hn_code_range;

hn_status hn_grammar_builder_create(hn_grammar_builder **b, hn_error *err) HN_MUST_CHECK;
void hn_grammar_builder_free(hn_grammar_builder *b);
/* The empty text. */
hn_grammar_node hn_grammar_empty(hn_grammar_builder *b);
/* No text at all: a branch that can never be taken. */
hn_grammar_node hn_grammar_nothing(hn_grammar_builder *b);
/* Exactly these bytes (must be valid UTF-8; copied). */
hn_grammar_node hn_grammar_bytes(hn_grammar_builder *b, const char *text, size_t n_bytes);
/* One character in (or, negated, outside) the ranges; surrogates are never characters. */
hn_grammar_node hn_grammar_class(hn_grammar_builder *b, const hn_code_range *ranges, size_t n_ranges, bool negated);
/* One after another; either of several. The arrays are copied; the same node may be used in several places. */
hn_grammar_node hn_grammar_sequence(hn_grammar_builder *b, const hn_grammar_node *nodes, size_t n_nodes);
hn_grammar_node hn_grammar_choice(hn_grammar_builder *b, const hn_grammar_node *nodes, size_t n_nodes);
/* min to max times (max HN_GRAMMAR_NO_LIMIT: any number). Counted, not unrolled: {0,100000} costs no more than {0,1}. */
hn_grammar_node hn_grammar_repeat(hn_grammar_builder *b, hn_grammar_node node, int64_t min, int64_t max);
/* A reference to the rule of that name, defined before or after; rules may be recursive, but not left-recursive. */
hn_grammar_node hn_grammar_rule(hn_grammar_builder *b, const char *name);
/* Gives the rule its body. A second definition is an error. */
void hn_grammar_define(hn_grammar_builder *b, const char *name, hn_grammar_node body);
/* Parses a regular expression (no anchors needed: the whole text matches) into a node. Back references, look-around and other
 * things that are not regular are errors naming the construct and column. Syntax: that of ECMA-262 with /u as JSON Schema's `pattern`
 * uses it. `searched`: as `pattern` does, matches anywhere in the text unless anchored. */
hn_grammar_node hn_grammar_regex(hn_grammar_builder *b, const char *pattern, bool searched);
/* The error that is sticking, or NULL. */
const hn_error *hn_grammar_builder_error(const hn_grammar_builder *b);
hn_status hn_grammar_finish(hn_grammar_builder *b, hn_grammar_node root, hn_grammar **grammar,
                            hn_error *err) HN_MUST_CHECK;
void hn_grammar_free(hn_grammar *grammar);
/* Hash of the language's description, for cache keys: hex, 64 characters. */
const char *hn_grammar_hash(const hn_grammar *grammar);

/* GBNF, llama.cpp's notation; `name` is what errors call the text ("file.gbnf"). The start rule is `root`. */
hn_status hn_grammar_from_gbnf(const char *text, const char *name, hn_grammar **grammar, hn_error *err) HN_MUST_CHECK;
hn_status hn_grammar_from_regex(const char *pattern, hn_grammar **grammar, hn_error *err) HN_MUST_CHECK;
hn_status hn_grammar_from_choices(const char *const *choices, size_t n_choices, hn_grammar **grammar,
                                  hn_error *err) HN_MUST_CHECK;
/* JSON Schema, draft 2020-12: grammar_schema.c. Every text of the language is JSON that the schema accepts; the converse need not hold
 * (properties come in the schema's order, blanks are limited). A keyword that cannot be enforced while text is generated is HN_ERR_UNSUPPORTED
 * naming the keyword and its place in the schema. `schema` true or {}: any JSON. */
hn_status hn_grammar_from_schema(const json_t *schema, hn_grammar **grammar, hn_error *err) HN_MUST_CHECK;

#endif
