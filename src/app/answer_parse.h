/* From what a model wrote to the value that the output contract asks for.
 *
 *     hn_answer_parser *p;
 *     HN_TRY(hn_answer_parser_create(&scope->contract, prompt->wordings, &p, &err));
 *     hn_parsed value;
 *     HN_TRY(hn_answer_parse(p, "The team is: billing.", 21, &value, &err));   // value.label 0, value.text "billing"
 *     hn_parsed_free(&value); hn_answer_parser_free(p);
 *
 * choice   the whole answer (spaces, quotes and punctuation around it aside, case ignored) is a wording or a label; else exactly one
 *          label occurs in it as whole words, the longest match counting ("login" inside "login page" does not)
 * number   the whole answer is a number, or exactly one stands in it ("about 1,250 euros"); within the contract's range
 * regex    the whole trimmed answer matches
 * text     the trimmed answer
 * json     the whole trimmed answer (a ``` fence around it aside) is JSON that fits the schema; the value is that JSON, written compactly
 * Everything else is no valid answer: `valid` false, which counts as wrong. Ownership: the parser copies what it
 * needs but a compiled schema, which it borrows. Threading: one
 * parser, one thread. */
#ifndef HN_APP_ANSWER_PARSE_H
#define HN_APP_ANSWER_PARSE_H

#include "project/project.h"

typedef struct hn_answer_parser hn_answer_parser;

typedef struct hn_parsed {
    bool valid;
    int label;     /* choice: index in the contract's labels; else -1 */
    double number; /* number; else NaN */
    char *text;    /* the label, the number as written, or the text; NULL where not valid */
} hn_parsed;

/* `wordings`: (n_labels) for choice, else ignored; NULL: the labels. HN_ERR_INPUT for a regular expression that cannot be compiled. */
hn_status hn_answer_parser_create(const hn_contract *contract, char *const *wordings, hn_answer_parser **parser,
                                  hn_error *err) HN_MUST_CHECK;
/* `n` bytes, any. Errors: HN_ERR_MEMORY; HN_ERR_LIMIT where a regular expression takes too many steps. */
hn_status hn_answer_parse(hn_answer_parser *parser, const char *text, size_t n, hn_parsed *value,
                          hn_error *err) HN_MUST_CHECK;
void hn_parsed_free(hn_parsed *value);
void hn_answer_parser_free(hn_answer_parser *parser);

#endif
