/* Running Jinja's statements, scopes, loops and macros, and hn_jinja_render; expressions are in jinja_eval.c.
 * Surprise: a `set` inside a loop ends with the iteration, one inside an `if` does not; only a namespace carries values
 * out of a loop. */
#include "format/jinja_parse.h"

#include <string.h>

typedef enum flow { NEXT, LEAVE_LOOP, NEXT_ITERATION } flow;

static flow run(hn_jn_ctx *ctx, const hn_jn_node *node);

static hn_jn_value nothing(void) { return hn_jn_undefined(HN_JN_NO_NAME, NULL, HN_JN_UNDEFINED); }

/* ---- scopes ---- */

static hn_jn_frame *push_frame(hn_jn_ctx *ctx, hn_jn_frame *parent) {
    hn_jn_frame *frame = hn_jn_alloc(ctx, 1, sizeof *frame);
    if (frame) frame->parent = parent;
    return frame;
}

void hn_jn_assign(hn_jn_ctx *ctx, hn_jn_frame *frame, uint32_t symbol, hn_jn_value value) {
    if (ctx->failed || !hn_jn_charge(ctx, frame->n / 16)) return;
    for (size_t i = 0; i < frame->n; i++)
        if (frame->variables[i].symbol == symbol) {
            frame->variables[i].value = value;
            return;
        }
    if (hn_jn_grow(ctx, (void **)&frame->variables, &frame->capacity, frame->n + 1, sizeof *frame->variables))
        frame->variables[frame->n++] = (hn_jn_variable){symbol, value};
}

hn_jn_value hn_jn_lookup(hn_jn_ctx *ctx, const hn_jn_node *name) {
    for (const hn_jn_frame *frame = ctx->frame; frame; frame = frame->parent) {
        if (!hn_jn_charge(ctx, frame->n / 16)) return nothing();
        for (size_t i = 0; i < frame->n; i++)
            if (frame->variables[i].symbol == name->symbol) return frame->variables[i].value;
    }
    const hn_jn_builtin *function = ctx->t->symbols[name->symbol].function;
    if (function) return (hn_jn_value){.type = HN_JN_FUNCTION, .as.builtin = function};
    return hn_jn_undefined(HN_JN_NO_NAME, name, HN_JN_UNDEFINED);
}

static void assign_attribute(hn_jn_ctx *ctx, const hn_jn_node *target, hn_jn_value value) {
    hn_jn_value space = hn_jn_lookup(ctx, &(hn_jn_node){.symbol = target->symbol});
    ctx->at = target;
    if (ctx->failed) return;
    if (space.type != HN_JN_NAMESPACE)
        hn_jn_raise(ctx, "make it with {% set x = namespace() %}", "cannot set `%s` on `%s`, which is not a namespace",
                    target->name, ctx->t->symbols[target->symbol].name);
    else
        hn_jn_dict_set(ctx, space, hn_jn_string(ctx, target->name, strlen(target->name)), value);
}

/* Assigns to a name, to ns.attribute, or to each name of a tuple. */
static void assign(hn_jn_ctx *ctx, const hn_jn_node *target, hn_jn_value value) {
    if (ctx->failed) return;
    if (target->kind == HN_JN_NAME) {
        hn_jn_assign(ctx, ctx->frame, target->symbol, value);
        return;
    }
    if (target->kind == HN_JN_NAMESPACE_REF) {
        assign_attribute(ctx, target, value);
        return;
    }
    const hn_jn_list *list = hn_jn_iterate(ctx, value);
    ctx->at = target;
    if (list->n != target->n_items) hn_jn_raise(ctx, NULL, "%zu values for %zu names", list->n, target->n_items);
    for (size_t i = 0; i < target->n_items && !ctx->failed; i++) assign(ctx, target->items[i], list->items[i]);
}

/* ---- text that is caught instead of put out ---- */

/* Runs `body` in a scope of its own and gives its text. */
static hn_jn_value capture(hn_jn_ctx *ctx, const hn_jn_node *body, hn_jn_frame *frame, flow *after) {
    hn_jn_text text, *out = ctx->out;
    hn_jn_frame *outer = ctx->frame;
    if (!frame) return nothing();
    hn_jn_text_init(&text, ctx);
    ctx->out = &text;
    ctx->frame = frame;
    flow f = run(ctx, body);
    ctx->frame = outer;
    ctx->out = out;
    if (after) *after = f;
    return hn_jn_text_value(&text);
}

/* ---- loops ---- */

/* The elements for which the filter of `for x in y if filter` holds. */
static const hn_jn_list *filtered(hn_jn_ctx *ctx, const hn_jn_node *node, const hn_jn_list *list) {
    hn_jn_frame *outer = ctx->frame, *frame = push_frame(ctx, outer);
    hn_jn_value kept = hn_jn_list_new(ctx, HN_JN_AS_LIST);
    for (size_t i = 0; i < list->n && !ctx->failed; i++) {
        frame->n = 0;
        ctx->frame = frame;
        assign(ctx, node->a, list->items[i]);
        if (hn_jn_truth(hn_jn_eval(ctx, node->items[0]))) hn_jn_list_push(ctx, kept, list->items[i]);
    }
    ctx->frame = outer;
    return ctx->failed ? list : kept.as.list;
}

static flow run_loop(hn_jn_ctx *ctx, const hn_jn_node *node, hn_jn_value iterable, size_t depth) {
    hn_jn_frame *outer = ctx->frame, *frame = push_frame(ctx, outer);
    ctx->at = node->b;
    const hn_jn_list *list = hn_jn_iterate(ctx, iterable);
    if (node->items[0] && !ctx->failed) list = filtered(ctx, node, list);
    hn_jn_loop *loop = hn_jn_alloc(ctx, 1, sizeof *loop);
    uint32_t symbol = ctx->t->loop;
    if (ctx->failed) return NEXT;
    *loop = (hn_jn_loop){.list = list, .depth = depth, .node = node, .last_changed = hn_jn_missing()};
    flow f = NEXT;
    uint32_t owner = ctx->owner;
    for (; loop->index < list->n && !ctx->failed && f != LEAVE_LOOP; loop->index++) {
        frame->n = 0;
        ctx->frame = frame;
        if (symbol != UINT32_MAX) hn_jn_assign(ctx, frame, symbol, (hn_jn_value){.type = HN_JN_LOOP, .as.loop = loop});
        hn_jn_value item = list->items[loop->index];
        if (item.type == HN_JN_DICT && item.as.dict->owner) ctx->owner = item.as.dict->owner;
        assign(ctx, node->a, item);
        f = run(ctx, node->c);
    }
    ctx->owner = owner;
    ctx->frame = outer;
    if (list->n == 0 && node->items[1] && !ctx->failed) {
        ctx->frame = push_frame(ctx, outer);
        flow after = ctx->failed ? NEXT : run(ctx, node->items[1]);
        ctx->frame = outer;
        return after;
    }
    return NEXT;
}

hn_jn_value hn_jn_call_loop(hn_jn_ctx *ctx, hn_jn_loop *loop, hn_jn_value iterable) {
    if (!loop->node->op)
        return hn_jn_raise(ctx, "write {% for ... recursive %}", "loop() needs a loop that is marked `recursive`");
    if (++ctx->depth > HN_JN_DEPTH_MAX) return hn_jn_raise_limit(ctx, "levels of nesting", HN_JN_DEPTH_MAX);
    hn_jn_text text, *out = ctx->out;
    hn_jn_text_init(&text, ctx);
    ctx->out = &text;
    run_loop(ctx, loop->node, iterable, loop->depth + 1);
    ctx->out = out;
    ctx->depth--;
    return hn_jn_text_value(&text);
}

/* Puts a value out, and remembers for which element of the variables. */
static void put_out(hn_jn_ctx *ctx, hn_jn_value v) {
    size_t from = ctx->out->len;
    if (ctx->failed) return;
    hn_jn_text_add_value(ctx->out, v);
    if (ctx->out != ctx->root || !ctx->owner || ctx->out->len == from) return;
    hn_jn_span *last = ctx->n_marks ? &ctx->marks[ctx->n_marks - 1] : NULL;
    if (last && last->to == from && last->source == ctx->owner)
        last->to = ctx->out->len;
    else if (hn_jn_grow(ctx, (void **)&ctx->marks, &ctx->mark_capacity, ctx->n_marks + 1, sizeof *ctx->marks))
        ctx->marks[ctx->n_marks++] = (hn_jn_span){from, ctx->out->len, ctx->owner};
}

/* ---- macros ---- */

/* Gives each parameter its value; `used` counts the named arguments that were taken. */
static void bind_parameters(hn_jn_ctx *ctx, const hn_jn_node *node, const hn_jn_args *args, size_t *used) {
    for (size_t i = 0; i < node->n_items && !ctx->failed; i++) {
        const hn_jn_node *parameter = node->items[i];
        hn_jn_value value = i < args->n ? args->values[i] : hn_jn_missing();
        for (size_t k = 0; k < args->n_keywords; k++) {
            if (strcmp(args->keywords[k].name, parameter->name) != 0) continue;
            if (value.type != HN_JN_MISSING) {
                hn_jn_raise(ctx, "give it once", "the argument `%s` is given twice", parameter->name);
                return;
            }
            value = args->keywords[k].value;
            (*used)++;
        }
        if (value.type == HN_JN_MISSING && parameter->a)
            value = hn_jn_eval(ctx, parameter->a);
        else if (value.type == HN_JN_MISSING)
            value = hn_jn_undefined(HN_JN_NO_ARGUMENT, parameter, HN_JN_UNDEFINED);
        hn_jn_assign(ctx, ctx->frame, parameter->symbol, value);
    }
}

/* What a macro's body may use beside its parameters: caller, varargs and kwargs; raises for arguments that nothing
 * takes. */
static void bind_rest(hn_jn_ctx *ctx, const hn_jn_node *node, const hn_jn_args *args, size_t used) {
    uint32_t caller = ctx->t->caller, varargs = ctx->t->varargs, kwargs = ctx->t->kwargs;
    hn_jn_value rest = hn_jn_list_new(ctx, HN_JN_AS_TUPLE), named = hn_jn_dict_new(ctx);
    for (size_t i = node->n_items; i < args->n; i++) hn_jn_list_push(ctx, rest, args->values[i]);
    for (size_t k = 0; k < args->n_keywords && !ctx->failed; k++) {
        const char *name = args->keywords[k].name;
        bool is_caller = caller != UINT32_MAX && strcmp(name, "caller") == 0, is_parameter = false;
        for (size_t i = 0; i < node->n_items; i++)
            is_parameter = is_parameter || strcmp(node->items[i]->name, name) == 0;
        if (is_parameter) continue;
        if (is_caller) {
            hn_jn_assign(ctx, ctx->frame, caller, args->keywords[k].value);
            used++;
        } else {
            hn_jn_dict_set(ctx, named, hn_jn_string(ctx, name, strlen(name)), args->keywords[k].value);
        }
    }
    if (ctx->failed) return;
    if (args->n > node->n_items && varargs == UINT32_MAX)
        hn_jn_raise(ctx, NULL, "macro `%s` takes %zu arguments, not %zu", node->name, node->n_items, args->n);
    else if (args->n_keywords > used && kwargs == UINT32_MAX)
        hn_jn_raise(ctx, NULL, "macro `%s` does not take all of the named arguments", node->name);
    if (varargs != UINT32_MAX) hn_jn_assign(ctx, ctx->frame, varargs, rest);
    if (kwargs != UINT32_MAX) hn_jn_assign(ctx, ctx->frame, kwargs, named);
}

hn_jn_value hn_jn_call_macro(hn_jn_ctx *ctx, const hn_jn_macro *macro, const hn_jn_args *args) {
    hn_jn_frame *outer = ctx->frame, *frame = push_frame(ctx, macro->frame);
    size_t used = 0;
    if (!frame) return nothing();
    ctx->depth += 4; /* a macro's call needs more of the machine's stack than an expression */
    if (ctx->depth > HN_JN_DEPTH_MAX) hn_jn_raise_limit(ctx, "levels of nesting", HN_JN_DEPTH_MAX);
    ctx->frame = frame;
    bind_parameters(ctx, macro->node, args, &used);
    bind_rest(ctx, macro->node, args, used);
    ctx->frame = outer;
    hn_jn_value text = ctx->failed ? nothing() : capture(ctx, macro->node->c, frame, NULL);
    ctx->depth -= 4;
    return text;
}

static hn_jn_value make_macro(hn_jn_ctx *ctx, const hn_jn_node *node) {
    hn_jn_macro *macro = hn_jn_alloc(ctx, 1, sizeof *macro);
    if (!macro) return nothing();
    *macro = (hn_jn_macro){node, ctx->frame};
    return (hn_jn_value){.type = HN_JN_MACRO, .as.macro = macro};
}

/* {% call(x) f(a) %}...{% endcall %}: f gets the body as the macro `caller`. */
static void run_call_block(hn_jn_ctx *ctx, const hn_jn_node *node) {
    hn_jn_node *with_caller = hn_jn_alloc(ctx, 1, sizeof *with_caller), *keyword = hn_jn_alloc(ctx, 1, sizeof *keyword),
               *value = hn_jn_alloc(ctx, 1, sizeof *value);
    hn_jn_value macro = make_macro(ctx, node);
    hn_jn_node **items = hn_jn_alloc(ctx, node->a->n_items + 1, sizeof *items);
    if (ctx->failed) return;
    /* The call as it is written, with one more argument: caller=body. */
    *value = (hn_jn_node){.kind = HN_JN_CONST, .at = node->at, .constant = macro};
    *keyword = (hn_jn_node){.kind = HN_JN_KEYWORD, .at = node->at, .name = "caller", .a = value};
    *with_caller = *node->a;
    if (with_caller->n_items) memcpy(items, node->a->items, with_caller->n_items * sizeof *items);
    items[with_caller->n_items++] = keyword;
    with_caller->items = items;
    put_out(ctx, hn_jn_eval(ctx, with_caller));
}

/* ---- statements ---- */

static flow run_if(hn_jn_ctx *ctx, const hn_jn_node *node) {
    for (size_t i = 0; i + 1 < node->n_items; i += 2) {
        bool truth = hn_jn_truth(hn_jn_eval(ctx, node->items[i]));
        if (ctx->failed) return NEXT;
        if (truth) return run(ctx, node->items[i + 1]);
    }
    return node->c ? run(ctx, node->c) : NEXT;
}

static flow run_with(hn_jn_ctx *ctx, const hn_jn_node *node) {
    hn_jn_frame *outer = ctx->frame, *frame = push_frame(ctx, outer);
    for (size_t i = 0; i + 1 < node->n_items && !ctx->failed; i += 2) {
        hn_jn_value value = hn_jn_eval(ctx, node->items[i + 1]); /* in the outer scope */
        hn_jn_assign(ctx, frame, node->items[i]->symbol, value);
    }
    if (ctx->failed) return NEXT;
    ctx->frame = frame;
    flow f = run(ctx, node->c);
    ctx->frame = outer;
    return f;
}

/* {% filter f %} and {% set x | f %}: the body's text through the filters. */
static hn_jn_value filtered_text(hn_jn_ctx *ctx, const hn_jn_node *node, flow *after) {
    hn_jn_value text = capture(ctx, node->c, push_frame(ctx, ctx->frame), after);
    return ctx->failed ? nothing() : hn_jn_eval_filters(ctx, node->b, text);
}

static flow run_body(hn_jn_ctx *ctx, const hn_jn_node *node) {
    flow f = NEXT;
    for (size_t i = 0; i < node->n_items && f == NEXT && !ctx->failed; i++) f = run(ctx, node->items[i]);
    return f;
}

static flow run_statement(hn_jn_ctx *ctx, const hn_jn_node *node) {
    flow f = NEXT;
    hn_jn_value v;
    switch (node->kind) {
    case HN_JN_DATA: put_out(ctx, node->constant); break;
    case HN_JN_OUTPUT:
        v = hn_jn_eval(ctx, node->a);
        ctx->at = node;
        put_out(ctx, v);
        break;
    case HN_JN_BODY: return run_body(ctx, node);
    case HN_JN_IF: return run_if(ctx, node);
    case HN_JN_FOR: return run_loop(ctx, node, hn_jn_eval(ctx, node->b), 0);
    case HN_JN_SET: assign(ctx, node->a, hn_jn_eval(ctx, node->b)); break;
    case HN_JN_SET_BLOCK:
        v = filtered_text(ctx, node, &f);
        assign(ctx, node->a, v);
        break;
    case HN_JN_MACRO_NODE: hn_jn_assign(ctx, ctx->frame, node->symbol, make_macro(ctx, node)); break;
    case HN_JN_CALL_BLOCK: run_call_block(ctx, node); break;
    case HN_JN_FILTER_BLOCK: put_out(ctx, filtered_text(ctx, node, &f)); break;
    case HN_JN_WITH: return run_with(ctx, node);
    case HN_JN_BREAK: return LEAVE_LOOP;
    case HN_JN_CONTINUE: return NEXT_ITERATION;
    default: hn_jn_raise(ctx, NULL, "this cannot be a statement"); break;
    }
    return f;
}

static flow run(hn_jn_ctx *ctx, const hn_jn_node *node) {
    if (!hn_jn_charge(ctx, 1)) return NEXT;
    ctx->at = node;
    if (++ctx->depth > HN_JN_DEPTH_MAX) hn_jn_raise_limit(ctx, "levels of nesting", HN_JN_DEPTH_MAX);
    flow f = ctx->failed ? NEXT : run_statement(ctx, node);
    ctx->depth--;
    return f;
}

/* ---- rendering ---- */

static uint32_t add_source(hn_jn_ctx *ctx, const char *variable, size_t element, const char *field) {
    if (!hn_jn_grow(ctx, (void **)&ctx->sources, &ctx->source_capacity, ctx->n_sources + 1, sizeof *ctx->sources))
        return 0;
    ctx->sources[ctx->n_sources++] = (hn_jn_source){variable, field, element};
    return (uint32_t)ctx->n_sources;
}

/* An object whose fields are sources of their own. */
static hn_jn_value element_value(hn_jn_ctx *ctx, const json_t *json, const char *variable, size_t element) {
    if (!json_is_object(json)) return hn_jn_from_json(ctx, json, add_source(ctx, variable, element, NULL), 1);
    hn_jn_value dict = hn_jn_dict_new(ctx);
    if (dict.type == HN_JN_DICT) dict.as.dict->owner = add_source(ctx, variable, element, NULL);
    json_t *object = (json_t *)json; /* jansson's iteration takes no const, but changes nothing */
    for (void *it = json_object_iter(object); it && !ctx->failed; it = json_object_iter_next(object, it)) {
        uint32_t source = add_source(ctx, variable, element, json_object_iter_key(it));
        hn_jn_text key;
        hn_jn_text_init(&key, ctx);
        hn_jn_text_add_from(&key, json_object_iter_key(it), json_object_iter_key_len(it), source);
        hn_jn_dict_set(ctx, dict, hn_jn_text_value(&key), hn_jn_from_json(ctx, json_object_iter_value(it), source, 2));
    }
    return dict;
}

/* Gives the outermost scope the variables that the template names. */
static void set_variables(hn_jn_ctx *ctx, json_t *variables) {
    for (size_t i = 0; i < ctx->t->n_symbols && !ctx->failed; i++) {
        const char *name = ctx->t->symbols[i].name;
        const json_t *json = json_object_get(variables, name);
        if (!json) continue;
        hn_jn_value value;
        if (json_is_array(json)) {
            value = hn_jn_list_new(ctx, HN_JN_AS_LIST);
            for (size_t k = 0; k < json_array_size(json) && !ctx->failed; k++)
                hn_jn_list_push(ctx, value, element_value(ctx, json_array_get(json, k), name, k));
        } else {
            value = element_value(ctx, json, name, 0);
        }
        hn_jn_assign(ctx, ctx->frame, (uint32_t)i, value);
    }
}

/* The name as it stands in the variables object, which outlives the template's. */
static const char *variable_name(json_t *variables, const char *name) {
    void *it = json_object_iter_at(variables, name);
    return it ? json_object_iter_key(it) : "";
}

typedef struct span_writer {
    const hn_jn_ctx *ctx;
    json_t *variables;
    hn_jinja_spans *spans;
    size_t mark; /* the first one that ends behind what was written */
} span_writer;

static bool write_span(span_writer *w, size_t from, size_t to, uint32_t source, bool is_data) {
    hn_jinja_spans *spans = w->spans;
    if (from >= to) return true;
    if (!hn_grow((void **)&spans->items, &spans->capacity, spans->n + 1, sizeof *spans->items)) return false;
    hn_jinja_span span = {.start = from, .end = to, .is_data = is_data};
    if (source) {
        const hn_jn_source *s = &w->ctx->sources[source - 1];
        span.variable = variable_name(w->variables, s->variable);
        span.element = s->element;
        span.field = s->field;
    }
    spans->items[spans->n++] = span;
    return true;
}

/* The template's bytes [from, to), cut where the element that it was at changes. */
static bool write_template(span_writer *w, size_t from, size_t to) {
    const hn_jn_ctx *ctx = w->ctx;
    while (from < to) {
        while (w->mark < ctx->n_marks && ctx->marks[w->mark].to <= from) w->mark++;
        const hn_jn_span *mark = w->mark < ctx->n_marks ? &ctx->marks[w->mark] : NULL;
        bool inside = mark && mark->from <= from;
        size_t end = inside ? mark->to : mark ? mark->from : to;
        if (end > to) end = to;
        if (!write_span(w, from, end, inside ? mark->source : 0, false)) return false;
        from = end;
    }
    return true;
}

static hn_status copy_spans(const hn_jn_ctx *ctx, json_t *variables, const hn_jn_text *text, hn_jinja_spans *spans,
                            hn_error *err) {
    span_writer w = {.ctx = ctx, .variables = variables, .spans = spans};
    size_t before = spans->n, at = 0;
    bool written = true;
    for (size_t i = 0; i < text->n_spans && written; i++) {
        const hn_jn_span *s = &text->spans[i];
        written = write_template(&w, at, s->from) && write_span(&w, s->from, s->to, s->source, true);
        at = s->to;
    }
    if (written && write_template(&w, at, text->len)) return HN_OK;
    spans->n = before;
    return hn_fail_memory(err, (before + 1) * sizeof *spans->items);
}

hn_status hn_jinja_render(const hn_jinja *t, json_t *variables, const hn_jinja_options *options, hn_buf *out,
                          hn_jinja_spans *spans, hn_error *err) {
    static const hn_jinja_options defaults = {0};
    hn_jn_text text;
    const hn_jinja_options *o = options ? options : &defaults;
    if (variables && !json_is_object(variables))
        return hn_fail(err, HN_ERR_INPUT, t->name, NULL, "the variables of a template must be an object, not %s",
                       hn_json_type_text(variables));
    hn_arena *arena = hn_arena_create(0);
    if (!arena) return hn_fail_memory(err, 64 << 10);
    hn_jn_ctx ctx = {.t = t,
                     .options = o,
                     .arena = arena,
                     .err = err,
                     .out = &text,
                     .root = &text,
                     .max_memory = o->max_memory_bytes ? o->max_memory_bytes : (size_t)256 << 20,
                     .max_output = o->max_output_bytes ? o->max_output_bytes : (size_t)64 << 20,
                     .max_steps = o->max_steps ? o->max_steps : 20000000};
    hn_jn_text_init(&text, &ctx);
    ctx.frame = push_frame(&ctx, NULL);
    if (!ctx.failed) set_variables(&ctx, variables);
    if (!ctx.failed) run(&ctx, t->body);
    size_t before = out->len;
    if (!ctx.failed) {
        hn_buf_append(out, text.data ? text.data : "", text.len);
        ctx.failed = hn_buf_check(out, t->name, err);
        if (!ctx.failed && spans) ctx.failed = copy_spans(&ctx, variables, &text, spans, err);
        if (ctx.failed) hn_buf_truncate(out, before);
    }
    hn_arena_free(arena);
    return ctx.failed;
}

void hn_jinja_spans_free(hn_jinja_spans *spans) {
    hn_free(spans->items);
    *spans = (hn_jinja_spans){0};
}
