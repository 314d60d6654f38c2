/* Checks a tokenizer against a tokens.jsonl of ../shared/goldens: ids of each text, special true or false, and back
 * to the text.
 *
 *     hn_test_token_goldens(tokenizer, "goldens/tiny/tokens.jsonl");
 *
 * Fails the test at the first difference, with the text's name. Threading: one thread. */
#ifndef HN_TESTS_TOKEN_GOLDENS_H
#define HN_TESTS_TOKEN_GOLDENS_H

#include "support.h"

#include "model/tokenizer.h"

/* Returns how many texts were checked. */
int hn_test_token_goldens(const hn_tokenizer *t, const char *path);

#endif
