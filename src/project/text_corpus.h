/* Plain text to learn from: documents out of text, CSV and JSON Lines files, or out of a dataset's cases, and which of them are held out.
 *
 *     hn_text_corpus *corpus;
 *     HN_TRY(hn_text_corpus_read(paths, n_paths, NULL, 0, &corpus, &err));
 *     HN_TRY(hn_text_corpus_hold_out(corpus, 0.05, 1, &err));
 *     for (size_t i = 0; i < corpus->n; i++) use(corpus->documents[i].text, corpus->documents[i].held_out);
 *     hn_text_corpus_free(corpus);
 *
 * A CSV row and a JSON row is a document. A text file's documents are its paragraphs, with empty lines between them; without an empty line each line is
 * one. A document with white space alone is none. What is held out follows from a document's text and the seed: equal texts are on one side, whatever
 * the order. Ownership: the corpus owns all text. Threading: read-only once it is made. */
#ifndef HN_PROJECT_TEXT_CORPUS_H
#define HN_PROJECT_TEXT_CORPUS_H

#include "base/alloc.h"
#include "base/hash.h"
#include "base/str.h"
#include "project/dataset.h"
#include "project/train_data.h"

typedef struct hn_document {
    int line;    /* of its file, from 1; of a case too */
    hn_str text; /* UTF-8 without NUL, not NUL-terminated */
    bool held_out;
} hn_document;

typedef struct hn_text_corpus {
    hn_document *documents; /* (n) in the files' order */
    size_t n, capacity;
    uint64_t n_bytes;          /* of all documents */
    size_t n_held_out;         /* documents */
    uint64_t n_held_out_bytes; /* their bytes */
    char hash[HN_SHA256_HEX];  /* of the documents' texts, in order */
    char **files;              /* (n_files) what text points into */
    size_t n_files, files_capacity;
    hn_arena *arena; /* texts of rows */
} hn_text_corpus;

/* `fields` (n_fields): the CSV columns or JSON fields that are read, joined by line ends; none: "text". Files of at most 1 GiB each; .csv, .tsv, .jsonl,
 * .ndjson and .json are rows, others text; "-" is text from standard input. HN_ERR_INPUT with file:line: not UTF-8, a NUL, a row without such a field, or
 * no document at all. */
hn_status hn_text_corpus_read(const char *const *paths, size_t n_paths, const char *const *fields, size_t n_fields,
                              hn_text_corpus **corpus, hn_error *err) HN_MUST_CHECK;
/* The inputs of a split's cases, as hn_case_text joins them. */
hn_status hn_text_corpus_of_cases(const hn_dataset *dataset, hn_split split, hn_text_corpus **corpus,
                                  hn_error *err) HN_MUST_CHECK;
/* An empty corpus, and one more text in it (copied; white space alone is left out). NULL, HN_ERR_MEMORY. */
hn_text_corpus *hn_text_corpus_create(void);
hn_status hn_text_corpus_add(hn_text_corpus *corpus, const char *text, size_t n, hn_error *err) HN_MUST_CHECK;
/* Holds out about `share` (0 .. 0.5) of the documents; where it is above 0, at least one text, and never all. HN_ERR_INPUT: all documents are one text. */
hn_status hn_text_corpus_hold_out(hn_text_corpus *corpus, double share, uint64_t seed, hn_error *err) HN_MUST_CHECK;
/* The documents as rows of training data (copied), called `name`. HN_ERR_MEMORY. */
hn_status hn_text_corpus_as_data(const hn_text_corpus *corpus, const char *name, hn_train_data **data,
                                 hn_error *err) HN_MUST_CHECK;
void hn_text_corpus_free(hn_text_corpus *corpus);

#endif
