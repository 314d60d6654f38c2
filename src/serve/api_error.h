/* What is wrong with a request, in the shape and words of the OpenAI API: {"error": {"message", "type", "param", "code"}}.
 *
 *     hn_api_error e = {0};
 *     hn_api_fail(&e, 404, NULL, "model_not_found", "The model `%s` does not exist.", name);
 *     if (e.status) { hn_api_error_send(reply, &e); ... }
 *
 * Field readers keep the first error and do nothing after it, so one look at the end suffices:
 *
 *     double t = 1;
 *     hn_field_number(&e, body, "temperature", 0, 2, &t);
 *     hn_field_done(&e, body, known, n_known);
 *
 * Ownership: plain values. Threading: no shared state. */
#ifndef HN_SERVE_API_ERROR_H
#define HN_SERVE_API_ERROR_H

#include "format/json.h"
#include "serve/http_server.h"

typedef struct hn_api_error {
    int status; /* 0: none */
    const char *type, *code;
    char param[96]; /* "": null */
    char message[900];
} hn_api_error;

/* Keeps an error unless there is one. `param`, `code` may be NULL; the type follows from the status. */
void hn_api_fail(hn_api_error *e, int status, const char *param, const char *code, const char *fmt, ...)
    HN_PRINTF(5, 6);
/* The same of hone's own error: its message, place and remedy in one text. */
void hn_api_fail_error(hn_api_error *e, const hn_error *err);
/* {"error": {...}}; new reference, NULL: memory is used up. */
json_t *hn_api_error_json(const hn_api_error *e);
/* Answers with it (Retry-After with 429 and 503). Does not release the reply. */
void hn_api_error_send(hn_reply *reply, const hn_api_error *e);
/* Answers with a value and takes the reference; NULL: an error that memory is used up. Does not release the reply. */
void hn_api_send_json(hn_reply *reply, int status, json_t *value);

/* Fields of an object that may be absent or null: *value then stays as it is. */
void hn_field_number(hn_api_error *e, const json_t *object, const char *name, double low, double high, double *value);
void hn_field_integer(hn_api_error *e, const json_t *object, const char *name, int64_t low, int64_t high,
                      int64_t *value);
void hn_field_bool(hn_api_error *e, const json_t *object, const char *name, bool *value);
void hn_field_string(hn_api_error *e, const json_t *object, const char *name, const char **value); /* borrowed */
void hn_field_object(hn_api_error *e, const json_t *object, const char *name, json_t **value);     /* borrowed */
/* 400 unless it is there and not null. */
void hn_field_needed(hn_api_error *e, const json_t *object, const char *name);
/* 400 for a field that is not among `names`. */
void hn_field_known(hn_api_error *e, const json_t *object, const char *const *names, size_t n);
/* 400 "expected X, but got Y". `expected` with its article: "an array". */
void hn_field_type(hn_api_error *e, const char *name, const char *expected, const json_t *got);

#endif
