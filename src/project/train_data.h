/* Training data that needs no project: a file of conversations, preference pairs or plain text, as people have them already.
 *
 *     hn_train_data *data;
 *     HN_TRY(hn_train_data_read("chat.jsonl", &data, &err));             // the format is recognised from the first row
 *     printf("%s, %zu rows\n", hn_train_format_text(data->format), data->n_rows);
 *     ... hn_train_mask_row(masker, data, 0, HN_TRAIN_CHOSEN, &mask, &err) ...      (project/train_mask.h)
 *     hn_train_data_free(data);
 *
 * JSON Lines, or one JSON array of rows (.json); anything else that is UTF-8 is plain text. Every error names file:line, the field and a
 * remedy. Ownership: the data owns all its rows. Threading: read-only after reading. */
#ifndef HN_PROJECT_TRAIN_DATA_H
#define HN_PROJECT_TRAIN_DATA_H

#include "format/json.h"

#include <stdint.h>

typedef enum hn_train_format {
    HN_TRAIN_CHAT,       /* {"messages": [{"role", "content", "weight"}], "tools"}: OpenAI's */
    HN_TRAIN_SHAREGPT,   /* {"conversations": [{"from", "value"}]} */
    HN_TRAIN_ALPACA,     /* {"instruction", "input", "output"} */
    HN_TRAIN_PREFERENCE, /* {"prompt", "chosen", "rejected"} or {"input", "preferred_output", "non_preferred_output"} */
    HN_TRAIN_TEXT_ROWS,  /* {"text": "..."}: a document a row */
    HN_TRAIN_TEXT,       /* one long text: a single row */
} hn_train_format;

typedef struct hn_train_row {
    int line;                  /* where it starts in the file, from 1 */
    json_t *messages;          /* the conversation; of a preference: the prompt; NULL for text */
    unsigned char *weight;     /* (messages) 1: an assistant's message that is learned; NULL for a preference */
    json_t *tools;             /* or NULL */
    json_t *chosen, *rejected; /* preference: messages that follow the prompt */
    const char *text;          /* text formats: `n_text` bytes */
    size_t n_text;
    json_t *source; /* the row as it was read, which text may point into */
} hn_train_row;

typedef struct hn_train_data {
    char *name; /* the file as it was named, for messages */
    hn_train_format format;
    hn_train_row *rows; /* (n_rows) in the file's order */
    size_t n_rows, capacity;
    char hash[65]; /* of the file's bytes */
    char *bytes;   /* the file; text rows point into it */
} hn_train_data;

/* Reads a file ("-": standard input) of at most 1 GiB. HN_ERR_INPUT: a row is not what its format wants, no row is there, or the format is none
 * of these. */
hn_status hn_train_data_read(const char *path, hn_train_data **data, hn_error *err) HN_MUST_CHECK;
/* The same for `n` bytes in memory (copied); `name` stands for the file, its ending (.txt, .jsonl, ...) included. */
hn_status hn_train_data_parse(const char *bytes, size_t n, const char *name, hn_train_data **data,
                              hn_error *err) HN_MUST_CHECK;
void hn_train_data_free(hn_train_data *data);

const char *
hn_train_format_name(hn_train_format format); /* "chat", "sharegpt", "alpaca", "preference", "text_rows", "text" */
const char *hn_train_format_text(hn_train_format format); /* for people: "OpenAI chat messages" */
/* "chat.jsonl:17" into `out`; returns it. */
char *hn_train_row_place(const hn_train_data *data, size_t row, char out[384]);

#endif
