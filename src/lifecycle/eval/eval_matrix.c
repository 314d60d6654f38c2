/* A matrix of evaluations; see eval_matrix.h. Work is in lanes: one for all local models, one for each remote model; each lane steps one
 * evaluation at a time, and the lanes take turns on this thread. */
#include "lifecycle/eval/eval_matrix.h"

#include <stdio.h>
#include <string.h>

enum { STEP_ALONE_MS = 100, STEP_SHARED_MS = 10 };

/* ---- models ---- */

/* Every model is opened once before work begins, so that a mistake in the last name does not show after an hour. Of the local ones only the
 * first stays open: each takes its memory. */
static hn_status open_models(hn_eval_matrix *m, hn_error *err) {
    bool local_is_open = false;
    m->n_models = m->plan.n_models ? m->plan.n_models : 1;
    m->models = hn_calloc(m->n_models, sizeof *m->models);
    if (!m->models) return hn_fail_memory(err, m->n_models * sizeof *m->models);
    for (size_t i = 0; i < m->n_models; i++) {
        hn_eval_matrix_model *model = &m->models[i];
        hn_provider_info info;
        model->name = m->plan.n_models ? m->plan.models[i] : NULL;
        HN_TRY(m->plan.open(m->plan.open_user, model->name, &model->provider, err));
        HN_TRY(hn_provider_info_get(model->provider, &info, err));
        model->local = info.model != NULL || strcmp(info.kind ? info.kind : "", "local") == 0;
        model->reproducible = info.reproducible;
        model->generates_only = info.generates_only;
        model->shown = hn_strdup(info.name ? info.name : "");
        if (!model->shown) return hn_fail_memory(err, 0);
        if (model->local && local_is_open) {
            hn_provider_close(model->provider);
            model->provider = NULL;
        }
        local_is_open = local_is_open || model->local;
    }
    return HN_OK;
}

/* ---- cells ---- */

/* Answers are drawn at random, or may differ for reasons of the provider's own. */
static bool varies(const hn_eval_matrix_model *model, const hn_prompt *prompt) {
    bool writes = prompt->answer == HN_ANSWER_GENERATE || prompt->reasoning_max_tokens > 0;
    return !model->reproducible || (writes && prompt->temperature > 0);
}

static bool is_there(const hn_eval_matrix *m, const hn_cell *cell) {
    for (size_t i = 0; i < m->n_cells; i++) {
        const hn_cell *other = &m->cells[i];
        if (other->prompt == cell->prompt && other->model == cell->model && json_equal(other->set, cell->set))
            return true;
    }
    return false;
}

static hn_status load_cell(const hn_eval_matrix *m, size_t prompt, size_t model, size_t point, int repeat,
                           hn_cell *cell, hn_error *err) {
    const hn_eval_setup *s = &m->plan.setup;
    *cell = (hn_cell){.prompt = prompt, .model = model, .repeat = repeat};
    HN_TRY(hn_prompt_load(m->plan.prompts[prompt], hn_project_scope(s->project), s->dataset, &cell->loaded, err));
    HN_TRY(hn_grid_apply(&m->grid, point, cell->loaded, &cell->set, err));
    cell->loaded->seed += (uint64_t)(repeat - 1);
    if (!m->models[model].generates_only) return HN_OK;
    return hn_prompt_generate(cell->loaded, m->models[model].shown, err);
}

static void free_cell(hn_cell *cell) {
    if (cell->done) hn_eval_result_free(&cell->result);
    hn_prompt_free(cell->loaded);
    json_decref(cell->set);
    *cell = (hn_cell){0};
}

static hn_status add_cell(hn_eval_matrix *m, size_t *capacity, const hn_cell *cell, hn_error *err) {
    if (m->n_cells == HN_MATRIX_CELLS_MAX)
        return hn_fail(err, HN_ERR_LIMIT, "matrix", "name fewer prompts, models, parameters or repetitions",
                       "it has more than %d cells", HN_MATRIX_CELLS_MAX);
    if (!hn_grow((void **)&m->cells, capacity, m->n_cells + 1, sizeof *m->cells)) return hn_fail_memory(err, 0);
    m->cells[m->n_cells++] = *cell;
    return HN_OK;
}

/* One candidate with its repetitions; nothing where the grid's point is a candidate that is there already. */
static hn_status add_candidate(hn_eval_matrix *m, size_t *capacity, size_t prompt, size_t model, size_t point,
                               hn_error *err) {
    int repeats = m->plan.repeats > 1 ? m->plan.repeats : 1;
    hn_candidate *c = &m->candidates[m->n_candidates];
    *c = (hn_candidate){.first = m->n_cells};
    for (int k = 1; k <= repeats; k++) {
        hn_cell cell;
        hn_status st = load_cell(m, prompt, model, point, k, &cell, err);
        bool again = st == HN_OK && k == 1 && is_there(m, &cell);
        if (st == HN_OK && k == 1 && repeats > 1 && !varies(&m->models[model], cell.loaded)) {
            c->identical = true;
            repeats = 1;
        }
        if (st == HN_OK && !again) st = add_cell(m, capacity, &cell, err);
        if (st != HN_OK || again) free_cell(&cell);
        HN_TRY(st);
        if (again) return HN_OK;
        c->n_cells++;
    }
    m->n_candidates++;
    return HN_OK;
}

/* A parameter that changes nothing is a mistake in the command. */
static hn_status check_axes(const hn_eval_matrix *m, hn_error *err) {
    for (size_t a = 0; a < m->grid.n_axes; a++) {
        bool used = false;
        for (size_t i = 0; i < m->n_cells; i++) used = used || hn_grid_matters(&m->grid.axes[a], m->cells[i].loaded);
        if (!used)
            return hn_fail(err, HN_ERR_USAGE, hn_grid_name(&m->grid.axes[a]),
                           "sampling needs `answer: generate` or reasoning, `examples` needs picked examples",
                           "none of the prompts has a use for this parameter");
    }
    return HN_OK;
}

static hn_status name_candidates(hn_eval_matrix *m, hn_error *err) {
    for (size_t i = 0; i < m->n_candidates; i++) {
        hn_candidate *c = &m->candidates[i];
        const hn_cell *cell = &m->cells[c->first];
        hn_buf name, parameters;
        hn_buf_init(&name, 0);
        hn_buf_init(&parameters, 0);
        hn_status st = hn_grid_text(cell->set, &parameters, err);
        hn_buf_append_str(&name, cell->loaded->name);
        if (parameters.len) hn_buf_appendf(&name, ", %s", hn_buf_str(&parameters));
        if (m->n_models > 1) hn_buf_appendf(&name, ", %s", m->models[cell->model].shown);
        if (st == HN_OK) st = hn_buf_check(&name, "a candidate's name", err);
        c->parameters = hn_strdup(hn_buf_str(&parameters));
        c->name = hn_strdup(hn_buf_str(&name));
        if (st == HN_OK && (!c->name || !c->parameters)) st = hn_fail_memory(err, name.len);
        hn_buf_free(&name);
        hn_buf_free(&parameters);
        HN_TRY(st);
    }
    return HN_OK;
}

/* The order of the table: models, then prompts, then the grid's points. */
static hn_status make_cells(hn_eval_matrix *m, hn_error *err) {
    size_t n, n_rows, capacity = 0;
    if (!hn_mul_size(m->plan.n_prompts, m->n_models, &n_rows) || !hn_mul_size(n_rows, m->grid.n_points, &n) ||
        n > HN_MATRIX_CELLS_MAX)
        return hn_fail(err, HN_ERR_LIMIT, "matrix", "name fewer prompts, models or parameters",
                       "it has more than %d cells", HN_MATRIX_CELLS_MAX);
    m->candidates = hn_calloc(n, sizeof *m->candidates);
    if (!m->candidates) return hn_fail_memory(err, n * sizeof *m->candidates);
    for (size_t model = 0; model < m->n_models; model++)
        for (size_t prompt = 0; prompt < m->plan.n_prompts; prompt++)
            for (size_t point = 0; point < m->grid.n_points; point++)
                HN_TRY(add_candidate(m, &capacity, prompt, model, point, err));
    HN_TRY(check_axes(m, err));
    return name_candidates(m, err);
}

hn_status hn_eval_matrix_create(const hn_eval_matrix_plan *plan, hn_eval_matrix **out, hn_error *err) {
    *out = NULL;
    hn_eval_matrix *m = hn_calloc(1, sizeof *m);
    if (!m) return hn_fail_memory(err, sizeof *m);
    m->plan = *plan;
    hn_status st = hn_grid_parse(plan->parameters, plan->n_parameters, &m->grid, err);
    /* prompts are checked before models are opened: it is quicker */
    for (size_t i = 0; st == HN_OK && i < plan->n_prompts; i++) {
        hn_prompt *prompt;
        st = hn_prompt_load(plan->prompts[i], hn_project_scope(plan->setup.project), plan->setup.dataset, &prompt, err);
        if (st == HN_OK) hn_prompt_free(prompt);
    }
    if (st == HN_OK) st = open_models(m, err);
    if (st == HN_OK) st = make_cells(m, err);
    if (st == HN_OK)
        *out = m;
    else
        hn_eval_matrix_free(m);
    return st;
}

void hn_eval_matrix_free(hn_eval_matrix *m) {
    if (!m) return;
    for (size_t i = 0; i < m->n_cells; i++) free_cell(&m->cells[i]);
    for (size_t i = 0; i < m->n_candidates; i++) {
        hn_free(m->candidates[i].name);
        hn_free(m->candidates[i].parameters);
    }
    for (size_t i = 0; m->models && i < m->n_models; i++) {
        hn_provider_close(m->models[i].provider);
        hn_free(m->models[i].shown);
    }
    hn_free(m->cells);
    hn_free(m->candidates);
    hn_free(m->models);
    hn_grid_free(&m->grid);
    hn_free(m);
}

/* ---- running ---- */

typedef struct lane lane;

typedef struct runner {
    hn_eval_matrix *m;
    lane *lanes; /* (n_lanes) */
    size_t n_lanes, n_running;
    hn_eval_matrix_on_progress *on_progress;
    void *user;
} runner;

struct lane {
    runner *r;
    bool local;    /* of all local models; else of one model */
    size_t model;  /* that one */
    size_t at;     /* cells before it are done or another lane's */
    hn_cell *cell; /* at work; NULL: none */
    hn_evaluation *e;
    bool over;
};

static void pass_progress(void *user, const hn_eval_progress *p) {
    lane *l = user;
    runner *r = l->r;
    hn_eval_matrix_progress news = {.matrix = r->m, .cell = l->cell, .eval = *p, .n_running = r->n_running};
    if (r->on_progress) r->on_progress(r->user, &news);
}

/* Opens the cell's model; of the local ones, which take turns, the one before is closed. */
static hn_status need_model(lane *l, size_t index, hn_error *err) {
    hn_eval_matrix *m = l->r->m;
    if (m->models[index].provider) return HN_OK;
    for (size_t i = 0; i < m->n_models; i++) {
        if (!m->models[i].local) continue;
        hn_provider_close(m->models[i].provider);
        m->models[i].provider = NULL;
    }
    return m->plan.open(m->plan.open_user, m->models[index].name, &m->models[index].provider, err);
}

static hn_status start_cell(lane *l, hn_error *err) {
    hn_eval_matrix *m = l->r->m;
    for (; l->at < m->n_cells; l->at++) {
        const hn_eval_matrix_model *model = &m->models[m->cells[l->at].model];
        if (l->local ? model->local : m->cells[l->at].model == l->model) break;
    }
    if (l->at == m->n_cells) {
        l->over = true;
        return HN_OK;
    }
    hn_cell *cell = &m->cells[l->at++];
    HN_TRY(need_model(l, cell->model, err));
    hn_eval_setup setup = m->plan.setup;
    setup.provider = m->models[cell->model].provider;
    setup.open_model = m->plan.open; /* judges are opened as the matrix's own models are */
    setup.open_user = m->plan.open_user;
    setup.set = cell->set;
    setup.repeat = cell->repeat;
    l->cell = cell;
    l->r->n_running++;
    return hn_evaluation_open(&setup, cell->loaded, pass_progress, l, &l->e, err);
}

static hn_status step_lane(lane *l, int timeout_ms, hn_error *err) {
    bool over = false;
    if (!l->e) HN_TRY(start_cell(l, err));
    if (l->over) return HN_OK;
    HN_TRY(hn_evaluation_step(l->e, timeout_ms, &over, err));
    if (!over) return HN_OK;
    hn_status st = hn_evaluation_finish(l->e, &l->cell->result, err);
    hn_evaluation_free(l->e);
    l->e = NULL;
    HN_TRY(st);
    l->cell->done = true;
    l->r->m->n_done++;
    l->r->n_running--;
    return HN_OK;
}

static hn_status make_lanes(runner *r, hn_error *err) {
    hn_eval_matrix *m = r->m;
    bool local = false;
    r->lanes = hn_calloc(m->n_models, sizeof *r->lanes);
    if (!r->lanes) return hn_fail_memory(err, m->n_models * sizeof *r->lanes);
    for (size_t i = 0; i < m->n_models; i++) {
        if (m->models[i].local && local) continue;
        local = local || m->models[i].local;
        r->lanes[r->n_lanes++] = (lane){.r = r, .local = m->models[i].local, .model = i};
    }
    return HN_OK;
}

hn_status hn_eval_matrix_run(hn_eval_matrix *m, hn_eval_matrix_on_progress *on_progress, void *user, hn_error *err) {
    runner r = {.m = m, .on_progress = on_progress, .user = user};
    HN_TRY(make_lanes(&r, err));
    hn_status st = HN_OK;
    for (size_t n_over = 0; st == HN_OK && n_over < r.n_lanes;) {
        int timeout_ms = r.n_lanes - n_over > 1 ? STEP_SHARED_MS : STEP_ALONE_MS;
        n_over = 0;
        for (size_t i = 0; st == HN_OK && i < r.n_lanes; i++) {
            if (!r.lanes[i].over) st = step_lane(&r.lanes[i], timeout_ms, err);
            n_over += r.lanes[i].over;
        }
    }
    for (size_t i = 0; i < r.n_lanes; i++) {
        if (!r.lanes[i].e) continue;
        hn_evaluation_stop(r.lanes[i].e, st, err);
        hn_evaluation_free(r.lanes[i].e);
    }
    hn_free(r.lanes);
    return st;
}

const hn_eval_result *hn_eval_matrix_result(const hn_eval_matrix *m, size_t candidate) {
    return &m->cells[m->candidates[candidate].first].result;
}

bool hn_eval_matrix_is_done(const hn_eval_matrix *m, size_t candidate) {
    const hn_candidate *c = &m->candidates[candidate];
    for (size_t i = 0; i < c->n_cells; i++)
        if (!m->cells[c->first + i].done) return false;
    return true;
}
