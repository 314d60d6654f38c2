/* The Porter stemmer of English (Porter 1980, "An algorithm for suffix stripping"), with the changes that its author
 * published since (bli, logi) and those of NLTK's default, which ROUGE figures are made with.
 *
 *     char word[] = "generalization";
 *     size_t n = hn_porter_stem(word, strlen(word));       // "gener", n = 5
 *
 * Threading: a pure function. */
#ifndef HN_TEXT_PORTER_H
#define HN_TEXT_PORTER_H

#include <stddef.h>

/* Changes a lower-case word in place and returns its new length, never above n. Bytes that are not a-z count as
 * consonants. */
size_t hn_porter_stem(char *word, size_t n);

#endif
