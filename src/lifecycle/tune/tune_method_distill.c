/* Distillation (Hinton et al. 2015): a teacher, which is a long prompt or a larger model, answers the training cases, and an adapter learns to answer alike
 * with a short prompt. The cases' own labels are not looked at unless `truth` asks for a share of them; cases without one are as good.
 *
 * A choice is learned as the distribution over its labels that the teacher's likelihoods give. Labels form a tree of tokens; a distribution over labels
 * is one over the next token at each node, and the divergence between two distributions over labels is the expected sum of those at the nodes along a
 * label drawn from the teacher (the chain rule). So each time that a case comes up, a label is drawn, and at each node on its way the student learns
 * the teacher's whole distribution: one row a case, whose mean gradient is that of the exact divergence. What is drawn follows from seed, epoch and
 * case. Teachers that only generate give their answer's text instead (sequence-level distillation, Kim and Rush 2016).
 *
 * At the end, teacher and student answer the dev cases: tune_distill.h. */
#include "base/alloc.h"
#include "base/interrupt.h"
#include "lifecycle/tune/tune_answers.h"
#include "lifecycle/tune/tune_distill.h"
#include "lifecycle/tune/tune_method.h"

#include <stdio.h>
#include <string.h>

enum { PROMPT_BYTES_MAX = 16 << 20 };

typedef struct distill {
    double *p;    /* (examples.n, n_labels) what is learned; NULL: answers as texts */
    double *mass; /* (n_nodes) scratch: probability below each node of a case's distribution */
    size_t n_labels, n_left_out;
    hn_label_trie *trie;
    hn_label_ids *labels; /* (n_labels) as the student's prompt has them, end included */
    hn_tokens *tokens;    /* (n_labels) what labels borrow */
    hn_soft_target *soft; /* (max_rows) */
    int32_t *soft_ids;    /* (n_soft) children of the nodes on the way, of a piece */
    float *soft_p;
    size_t n_soft, ids_capacity, p_capacity;
    hn_tune_example row; /* scratch: a prompt with the label that was drawn */
} distill;

static hn_provider *teacher_of(const hn_training *t) { return t->setup->teacher ? t->setup->teacher : t->setup->base; }

/* ---- opening ---- */

static hn_status check_options(const hn_training *t, hn_error *err) {
    const hn_tune_options *o = &t->setup->options;
    if (!(o->truth >= 0 && o->truth <= 1))
        return hn_fail(err, HN_ERR_USAGE, "truth", "such as 0.2", "%g is not within 0 .. 1", o->truth);
    if (o->balanced || o->label_smoothing > 0)
        return hn_fail(err, HN_ERR_USAGE, "distill", "leave them out, or train with --method lora",
                       "class weights and label smoothing change labels, and it is the teacher's word that is learned");
    return HN_OK;
}

static hn_status check(hn_training *t, hn_error *err) {
    const hn_tune_setup *s = t->setup;
    if (s->data || !s->project)
        return hn_fail(err, HN_ERR_UNSUPPORTED, "data", "leave out --data and give --prompt and --teacher-prompt",
                       "a distillation has a project's cases answered");
    if (!s->teacher_prompt)
        return hn_fail(err, HN_ERR_USAGE, "teacher", "name the long prompt with --teacher-prompt",
                       "--method distill has nobody to learn from");
    if (!s->teacher && strcmp(s->teacher_prompt->hash, s->prompt->hash) == 0)
        return hn_fail(err, HN_ERR_USAGE, "teacher", "give a shorter --prompt, or a larger model with --teacher",
                       "teacher and student are the same model with the same prompt");
    if (s->prompt->calibrate != HN_CALIBRATE_NONE)
        return hn_fail(err, HN_ERR_UNSUPPORTED, s->prompt->path, "take `calibrate:` out of the short prompt",
                       "the teacher's calibrated probabilities are learned as they are, and would be corrected twice");
    return check_options(t, err);
}

static hn_status parameters(const hn_training *t, json_t *p, hn_error *err) {
    hn_provider_info info;
    char *bytes, object[65];
    size_t n;
    HN_TRY(hn_tune_parameters_lora(t, p, err));
    HN_TRY(hn_provider_info_get(teacher_of(t), &info, err));
    HN_TRY(hn_file_read(t->setup->teacher_prompt->path, PROMPT_BYTES_MAX, &bytes, &n, err));
    hn_status st = hn_object_put(t->setup->store, bytes, n, object, err);
    hn_free(bytes);
    HN_TRY(st);
    json_t *own =
        json_pack("{s:s, s:s, s:s, s:s, s:f}", "teacher", info.name, "teacher_hash", info.model_hash, "teacher_prompt",
                  t->setup->teacher_prompt->hash, "teacher_prompt_object", object, "truth", t->setup->options.truth);
    bool fine = own && json_object_update(p, own) == 0;
    json_decref(own);
    return fine ? HN_OK : hn_fail_memory(err, 0);
}

/* ---- rows ---- */

/* The student's labels as tokens, as they stand behind this case's prompt. */
static hn_status read_labels(hn_training *t, const hn_app *app, const hn_case *c, hn_error *err) {
    distill *own = t->own;
    const hn_prompt *prompt = t->setup->prompt;
    hn_app_request made;
    own->n_labels = prompt->n_labels;
    own->tokens = hn_calloc(own->n_labels, sizeof *own->tokens);
    own->labels = hn_calloc(own->n_labels, sizeof *own->labels);
    hn_request_label *texts = hn_calloc(own->n_labels, sizeof *texts);
    hn_status st = own->tokens && own->labels && texts ? HN_OK : hn_fail_memory(err, own->n_labels);
    for (size_t i = 0; st == HN_OK && i < own->n_labels; i++) texts[i].text = prompt->wordings[i];
    if (st == HN_OK) st = hn_app_request_make(app, c, &made, err);
    if (st == HN_OK) {
        hn_request request = made.request;
        request.kind = HN_REQUEST_LABELS;
        request.labels = texts;
        request.n_labels = own->n_labels;
        request.label_log_priors = NULL;
        request.constraint = (hn_constraint){0};
        if (prompt->raw && !request.label_stop) request.label_stop = prompt->raw_stop;
        st = hn_provider_label_ids(t->setup->base, &request, own->tokens, err);
        hn_app_request_free(&made);
    }
    hn_free(texts);
    for (size_t i = 0; st == HN_OK && i < own->n_labels; i++)
        own->labels[i] = (hn_label_ids){own->tokens[i].ids, (int)own->tokens[i].n};
    if (st == HN_OK) st = hn_label_trie_create(own->labels, (int)own->n_labels, &own->trie, err);
    if (st != HN_OK) return st;
    own->mass = hn_calloc((size_t)own->trie->n_nodes, sizeof *own->mass);
    return own->mass ? HN_OK : hn_fail_memory(err, (size_t)own->trie->n_nodes * sizeof *own->mass);
}

/* The teacher's distribution, with its share of the truth where that is asked for and known. */
static void keep_distribution(const hn_training *t, double *to, const hn_tune_answer *a, const hn_case *c) {
    const distill *own = t->own;
    double sum = 0, truth = c->label >= 0 ? t->setup->options.truth : 0;
    for (size_t k = 0; k < own->n_labels; k++) sum += a->probabilities[k];
    for (size_t k = 0; k < own->n_labels; k++)
        to[k] = (1 - truth) * a->probabilities[k] / sum + (c->label == (int)k ? truth : 0);
}

/* A case with the teacher's answer in place of its own target. */
static hn_status add_case(hn_training *t, const hn_app *app, const hn_case *c, uint32_t row, const hn_tune_answer *a,
                          hn_error *err) {
    distill *own = t->own;
    hn_tune_examples *e = &t->examples;
    hn_case taught = *c;
    taught.label = a->label;
    taught.target = a->label >= 0 ? a->value : a->text ? a->text : a->value;
    HN_TRY(hn_tune_examples_add_case(e, app, t->setup->base, t->setup->prompt, &taught, row, err));
    hn_tune_example *x = &e->items[e->n - 1];
    x->c = c;
    if (!own->p) return HN_OK;
    const hn_label_ids *label = &own->labels[a->label];
    if (x->n - x->n_prompt != label->n ||
        memcmp(x->ids + x->n_prompt, label->ids, (size_t)label->n * sizeof *label->ids) != 0)
        return hn_case_fail(c, "end the prompt in a way that does not depend on the case",
                            "its labels are other tokens than those of the first case", err);
    for (size_t k = 0; k < own->n_labels; k++)
        if (x->n_prompt + own->labels[k].n > e->longest) e->longest = x->n_prompt + own->labels[k].n;
    keep_distribution(t, own->p + (e->n - 1) * own->n_labels, a, c);
    return HN_OK;
}

static hn_status add_cases(hn_training *t, const hn_app *app, const hn_tune_answers *answers, hn_error *err) {
    distill *own = t->own;
    const hn_dataset *d = t->setup->dataset;
    bool soft = answers->n_labels > 0 && answers->n_labels == t->setup->prompt->n_labels;
    if (soft) {
        HN_TRY(read_labels(t, app, &d->cases[t->train[0]], err));
        own->p = hn_calloc(answers->n * own->n_labels, sizeof *own->p);
        if (!own->p) return hn_fail_memory(err, answers->n * own->n_labels * sizeof *own->p);
    }
    for (size_t i = 0; i < answers->n; i++) {
        const hn_tune_answer *a = &answers->items[i];
        HN_TRY(hn_interrupt_check(err));
        if (!a->value || (soft && !a->probabilities))
            own->n_left_out++;
        else
            HN_TRY(add_case(t, app, &d->cases[t->train[i]], t->train[i], a, err));
    }
    if (t->examples.n == 0)
        return hn_fail(err, HN_ERR_INPUT, t->setup->teacher_prompt->path,
                       "try the teacher's prompt with `hone eval` first",
                       "the teacher gave none of %zu training cases a valid answer", answers->n);
    return hn_tune_examples_check(&t->examples, d->cases[t->train[0]].file, err);
}

static hn_status make_rows(hn_training *t, hn_error *err) {
    const hn_tune_setup *s = t->setup;
    hn_tune_answers answers = {0};
    hn_tune_asking asking = {s, s->teacher_prompt, teacher_of(t), t->train, t->result->n_train, s->store, t->hooks};
    hn_app_parts student = {
        .scope = hn_project_scope(s->project), .dataset = s->dataset, .prompt = s->prompt, .provider = s->base};
    hn_app *app = NULL;
    t->own = hn_calloc(1, sizeof(distill));
    if (!t->own) return hn_fail_memory(err, sizeof(distill));
    HN_TRY(hn_tune_answers_collect(&asking, &answers, err));
    hn_status st = hn_tune_examples_begin(&t->examples, t->base.context, err);
    if (st == HN_OK) st = hn_app_create(&student, &app, err);
    if (st == HN_OK) st = add_cases(t, app, &answers, err);
    hn_app_free(app);
    hn_tune_answers_free(&answers);
    return st;
}

/* ---- a step ---- */

static hn_status prepare(hn_training *t, hn_error *err) {
    distill *own = t->own;
    size_t longest = (size_t)t->examples.longest;
    if (!own->p) return HN_OK;
    own->soft = hn_calloc((size_t)t->max_rows, sizeof *own->soft);
    own->row.ids = hn_calloc(longest, sizeof *own->row.ids);
    own->row.learned = hn_calloc(longest, 1);
    bool fine = own->soft && own->row.ids && own->row.learned;
    return fine ? HN_OK : hn_fail_memory(err, (size_t)t->max_rows * sizeof *own->soft);
}

static size_t draw_label(const hn_training *t, const hn_tune_example *x, const double *p) {
    const distill *own = t->own;
    uint64_t epoch = (uint64_t)(t->state.step / hn_training_steps_of_epoch(t));
    double at = (double)(hn_dropout_key(~t->setup->options.seed, epoch, x->row) >> 11) * 0x1p-53;
    size_t last = 0;
    for (size_t k = 0; k < own->n_labels; k++) {
        if (p[k] <= 0) continue;
        last = k;
        if (at < p[k]) return k;
        at -= p[k];
    }
    return last;
}

/* Probability below each node. */
static void fill_mass(distill *own, const double *p) {
    const hn_label_trie *trie = own->trie;
    memset(own->mass, 0, (size_t)trie->n_nodes * sizeof *own->mass);
    for (size_t k = 0; k < own->n_labels; k++)
        for (int32_t node = trie->end_node[k]; node >= 0; node = trie->parent[node]) own->mass[node] += p[k];
}

/* What may follow `parent` (-1: the prompt), as the teacher has it. The ids' place is an offset until the piece is whole. */
static hn_status add_soft(distill *own, int32_t parent, int row, hn_error *err) {
    const hn_label_trie *trie = own->trie;
    int32_t first = trie->child_start[parent + 1], end = trie->child_start[parent + 2];
    size_t n = own->n_soft + (size_t)(end - first);
    double all = 0;
    if (!hn_grow((void **)&own->soft_ids, &own->ids_capacity, n, sizeof *own->soft_ids) ||
        !hn_grow((void **)&own->soft_p, &own->p_capacity, n, sizeof *own->soft_p))
        return hn_fail_memory(err, n * sizeof *own->soft_p);
    for (int32_t c = first; c < end; c++) all += own->mass[trie->child[c]];
    for (int32_t c = first; c < end; c++) {
        own->soft_ids[own->n_soft] = trie->token[trie->child[c]];
        own->soft_p[own->n_soft++] = (float)(own->mass[trie->child[c]] / all);
    }
    own->soft[row] = (hn_soft_target){NULL, NULL, end - first};
    return HN_OK;
}

/* A case's prompt with a drawn label, and what the teacher says at each node on its way. */
static hn_status append_case(hn_training *t, hn_train_batch *b, const hn_tune_example *x, float weight, hn_error *err) {
    distill *own = t->own;
    const double *p = own->p + (size_t)(x - t->examples.items) * own->n_labels;
    size_t drawn = draw_label(t, x, p);
    const hn_label_ids *label = &own->labels[drawn];
    hn_tune_example *row = &own->row;
    int from = b->n_rows;
    row->row = x->row;
    row->n_prompt = x->n_prompt;
    row->n = x->n_prompt + label->n;
    memcpy(row->ids, x->ids, (size_t)x->n_prompt * sizeof *row->ids);
    memcpy(row->ids + x->n_prompt, label->ids, (size_t)label->n * sizeof *row->ids);
    memset(row->learned, 0, (size_t)x->n_prompt);
    memset(row->learned + x->n_prompt, 1, (size_t)label->n);
    hn_tune_batch_append(t, b, row, weight);
    memset(own->soft + from, 0, (size_t)(b->n_rows - from) * sizeof *own->soft);
    fill_mass(own, p);
    int32_t node = own->trie->end_node[drawn];
    for (int at = from + row->n - 2; at >= from + x->n_prompt - 1; at--) {
        node = own->trie->parent[node];
        HN_TRY(add_soft(own, node, at, err));
    }
    return HN_OK;
}

/* Offsets become places, in the order in which they were added: last row of a case first. */
static void place_soft(const hn_training *t, const hn_train_batch *b) {
    distill *own = t->own;
    size_t at = 0;
    for (int s = 0; s < b->n_sequences; s++) {
        int end = s + 1 < b->n_sequences ? t->starts[s + 1] : b->n_rows;
        for (int i = end; i-- > t->starts[s];) {
            if (own->soft[i].n == 0) continue;
            own->soft[i].ids = own->soft_ids + at;
            own->soft[i].p = own->soft_p + at;
            at += (size_t)own->soft[i].n;
        }
    }
}

static hn_status learn_piece(hn_training *t, hn_train_batch *b, double *loss, hn_error *err) {
    distill *own = t->own;
    place_soft(t, b);
    b->soft = own->soft;
    HN_TRY(hn_network_forward(t->network, b, NULL, err));
    HN_TRY(hn_network_backward(t->network, b, t->losses, err));
    for (int i = 0; i < b->n_rows; i++)
        if (t->targets[i] != HN_NO_TARGET) *loss += t->losses[i];
    b->n_rows = b->n_sequences = 0;
    own->n_soft = 0;
    return HN_OK;
}

static hn_status gradient(hn_training *t, const hn_tune_example *const *rows, size_t n, double *loss,
                          int64_t *n_counted, hn_error *err) {
    distill *own = t->own;
    if (!own->p) return hn_tune_gradient_answers(t, rows, n, loss, n_counted, err);
    hn_train_batch b = hn_tune_batch_learning(t);
    *loss = 0;
    *n_counted = (int64_t)n;
    own->n_soft = 0;
    for (size_t i = 0; i < n; i++) {
        int most = rows[i]->n_prompt + own->trie->max_depth;
        if (b.n_rows && b.n_rows + most > t->max_rows) HN_TRY(learn_piece(t, &b, loss, err));
        HN_TRY(append_case(t, &b, rows[i], 1 / (float)n, err));
    }
    return learn_piece(t, &b, loss, err);
}

/* ---- the end ---- */

static hn_status summarise(const hn_training *t, json_t *summary, hn_error *err) {
    const distill *own = t->own;
    json_t *o;
    HN_TRY(hn_tune_distill_compare(t, teacher_of(t), &o, err));
    bool fine = json_object_set_new(o, "learned", json_string(own->p ? "label probabilities" : "answers")) == 0 &&
                json_object_set_new(o, "train_cases_left_out", json_integer((json_int_t)own->n_left_out)) == 0;
    fine = json_object_set_new(summary, "distillation", o) == 0 && fine;
    return fine ? HN_OK : hn_fail_memory(err, 0);
}

static void close_own(hn_training *t) {
    distill *own = t->own;
    if (!own) return;
    for (size_t i = 0; own->tokens && i < own->n_labels; i++) hn_tokens_free(&own->tokens[i]);
    hn_label_trie_free(own->trie);
    hn_free(own->p), hn_free(own->mass), hn_free(own->labels), hn_free(own->tokens);
    hn_free(own->soft), hn_free(own->soft_ids), hn_free(own->soft_p);
    hn_free(own->row.ids), hn_free(own->row.learned);
    hn_free(own);
    t->own = NULL;
}

const hn_tune_method hn_tune_method_distill = {.name = "distill",
                                               .summary =
                                                   "an adapter that answers with a short prompt as a teacher does",
                                               .result = "adapter",
                                               .takes_unlabelled = true,
                                               .ties_to_later = true,
                                               .check = check,
                                               .parameters = parameters,
                                               .make_rows = make_rows,
                                               .network = hn_tune_network_lora,
                                               .prepare = prepare,
                                               .gradient = gradient,
                                               .write = hn_tune_write_adapter,
                                               .summarise = summarise,
                                               .close = close_own};
