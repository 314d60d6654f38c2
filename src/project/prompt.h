/* Prompts: versioned YAML files that say how a case becomes messages (or plain text), and how the contract's answer is reached.
 *
 *     hn_prompt *prompt;
 *     HN_TRY(hn_prompt_load("prompts/v1.yaml", scope, dataset, &prompt, &err));   // all variables, labels and files checked
 *     json_t *messages; char *raw;
 *     HN_TRY(hn_prompt_render(prompt, c, examples, n_examples, &messages, &raw, &err));
 *     hn_prompt_free(prompt);
 *
 * {{ column }} takes a case's input; {% for example in examples %} ... is available inside a message (the same Jinja as
 * chat templates), where examples carry their inputs, `target` (the wording) and `label`; `labels` and `wordings` are
 * lists, `inputs` is the object of all inputs. Data is inserted as it is: nothing in it is read as template. Where no
 * message uses `examples`, they are put in front of the last user message as earlier turns (chat), or as filled-in copies
 * of the text with the answer and the stop text behind (raw).
 * Ownership: the prompt owns its parts; json by reference count. Threading: read-only after loading. */
#ifndef HN_PROJECT_PROMPT_H
#define HN_PROJECT_PROMPT_H

#include "project/project.h"

typedef enum hn_pick { HN_PICK_NONE, HN_PICK_FIXED, HN_PICK_RANDOM, HN_PICK_BALANCED, HN_PICK_NEAREST } hn_pick;
typedef enum hn_answer_by { HN_ANSWER_LIKELIHOOD, HN_ANSWER_GENERATE } hn_answer_by;
/* How exact the labels' probabilities are; the less, the fewer tokens of labels are computed. */
typedef enum hn_probabilities {
    HN_PROBABILITIES_EXACT,
    HN_PROBABILITIES_BOUNDED, /* within 1e-4; labels that cannot reach that are left out and count as 0 */
    HN_PROBABILITIES_BEST,    /* none: only which label is the most likely is known, the same as with the others */
} hn_probabilities;
typedef enum hn_calibrate { HN_CALIBRATE_NONE, HN_CALIBRATE_PRIOR } hn_calibrate;
/* What corrects the probabilities after that, fitted on the dev split's answers; which label is the most likely stays the same. */
typedef enum hn_recalibrate { HN_RECALIBRATE_NONE, HN_RECALIBRATE_TEMPERATURE, HN_RECALIBRATE_ISOTONIC } hn_recalibrate;

typedef struct hn_prompt {
    char *name; /* file name without .yaml */
    char *path;
    char hash[65]; /* content id of the meaning: comments and layout aside */
    /* Array of {role, content (template text)}; role "insert": content is the column whose messages go there. */
    json_t *messages;
    bool raw;       /* template: raw */
    char *raw_stop; /* raw form: the text that ends an answer: the first of `stop`, else "\n" */
    hn_pick pick;
    int n_examples;
    uint64_t example_seed;
    char **fixed_ids; /* FIXED: case ids (n_examples) */
    char **wordings;  /* CHOICE: (n_labels) what the model sees for each label; the label itself by default */
    size_t n_labels;
    hn_answer_by answer;
    bool answer_given;        /* the file says which */
    bool constrain;           /* generated answers are held to the contract while they are written */
    int reasoning_max_tokens; /* 0: none */
    int max_tokens;           /* generated answers */
    double temperature, top_p, min_p, repetition_penalty;
    int top_k;
    uint64_t seed;
    char **stop;
    size_t n_stop;
    hn_calibrate calibrate;
    hn_recalibrate recalibrate;
    hn_probabilities probabilities;
    /* inner: */
    char **labels; /* CHOICE: (n_labels) names, beside wordings */
    bool uses_examples;
    struct hn_prompt_text *texts; /* (n_messages) compiled contents */
    size_t n_messages;
    struct hn_yaml *document; /* for places in the file */
    hn_arena *arena;
} hn_prompt;

/* `dataset` may be NULL: then columns are known where the scope names its inputs, and ids of examples go unchecked. */
hn_status hn_prompt_load(const char *path, const hn_scope *scope, const hn_dataset *dataset, hn_prompt **prompt,
                         hn_error *err) HN_MUST_CHECK;
/* For a model that can only generate (a remote one): a choice whose file does not say how it is answered is generated, held to the labels. HN_ERR_INPUT
 * where the file asks for what needs likelihoods; `model` names the model in it. */
hn_status hn_prompt_generate(hn_prompt *prompt, const char *model, hn_error *err) HN_MUST_CHECK;
void hn_prompt_free(hn_prompt *prompt);
/* One of *messages (new reference) and *raw (free with hn_free) is set, the other NULL. Examples are cases of the pool, in
 * the order shown. */
hn_status hn_prompt_render(const hn_prompt *prompt, const hn_case *c, const hn_case *const *examples, size_t n_examples,
                           json_t **messages, char **raw, hn_error *err) HN_MUST_CHECK;

/* The pool that examples are picked from: the train split, frozen, with its TF-IDF index. */
typedef struct hn_example_pool hn_example_pool;
hn_status hn_example_pool_create(const hn_dataset *dataset, const hn_contract *contract, hn_example_pool **pool,
                                 hn_error *err) HN_MUST_CHECK;
/* Picks for one case by the prompt's rule, in the order shown (nearest: the most similar last). Fixed, random and balanced
 * picks are the same for every case but for those left out: never the case itself, one of its group, or one with the same
 * text. Writes up to prompt->n_examples into `picked`, *n_picked says how many. Deterministic. */
hn_status hn_example_pick(const hn_example_pool *pool, const hn_prompt *prompt, const hn_case *c,
                          const hn_case **picked, size_t *n_picked, hn_error *err) HN_MUST_CHECK;
void hn_example_pool_free(hn_example_pool *pool);

#endif
