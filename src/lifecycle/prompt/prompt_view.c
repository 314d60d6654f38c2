/* A prompt for one case; see prompt_view.h. Examples are picked by the same code as in a run. */
#include "lifecycle/prompt/prompt_view.h"

static hn_status choose_case(const hn_dataset *dataset, const char *id, const hn_case **c, hn_error *err) {
    static const hn_split order[] = {HN_SPLIT_DEV, HN_SPLIT_TEST, HN_SPLIT_TRAIN};
    *c = id ? hn_dataset_find(dataset, id) : NULL;
    if (id && !*c)
        return hn_fail(err, HN_ERR_NOT_FOUND, "case", "take an id as `hone show` or `hone compare` print them",
                       "there is no case `%.100s`", id);
    for (size_t s = 0; !*c && s < sizeof order / sizeof *order; s++) {
        uint32_t *cases;
        size_t n;
        HN_TRY(hn_dataset_select(dataset, order[s], &cases, &n, err));
        if (n) *c = &dataset->cases[cases[0]];
        hn_free(cases);
    }
    return *c ? HN_OK : hn_fail(err, HN_ERR_INPUT, "data", "add cases to the data file", "the project has no cases");
}

static hn_status make(const hn_scope *scope, const hn_dataset *dataset, const hn_prompt *prompt, hn_prompt_view *v,
                      hn_error *err) {
    if (prompt->pick != HN_PICK_NONE && prompt->n_examples > 0) {
        hn_example_pool *pool;
        v->examples = hn_calloc((size_t)prompt->n_examples, sizeof *v->examples);
        if (!v->examples) return hn_fail_memory(err, (size_t)prompt->n_examples * sizeof *v->examples);
        HN_TRY(hn_example_pool_create(dataset, &scope->contract, &pool, err));
        hn_status st = hn_example_pick(pool, prompt, v->c, v->examples, &v->n_examples, err);
        hn_example_pool_free(pool);
        HN_TRY(st);
    }
    return hn_prompt_render(prompt, v->c, v->examples, v->n_examples, &v->messages, &v->raw, err);
}

hn_status hn_prompt_view_make(const hn_scope *scope, const hn_dataset *dataset, const hn_prompt *prompt,
                              const char *case_id, hn_prompt_view *view, hn_error *err) {
    *view = (hn_prompt_view){0};
    hn_status st = choose_case(dataset, case_id, &view->c, err);
    if (st == HN_OK) st = make(scope, dataset, prompt, view, err);
    if (st != HN_OK) hn_prompt_view_free(view);
    return st;
}

void hn_prompt_view_free(hn_prompt_view *v) {
    hn_free(v->examples);
    hn_free(v->raw);
    json_decref(v->messages);
    *v = (hn_prompt_view){0};
}
