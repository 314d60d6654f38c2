/* Inside the engine: what its files share. Not for other modules; engine.h is the interface.
 *
 *     engine.c     creation: kernels, packs, memory        sequence.c   block tables, forks, room for new tokens
 *     forward.c    the transformer over one chunk of rows  step.c       planning a step, chunks, commit
 *     low_rank.c   what an adapter adds to each product
 *     outputs.c    from hidden states to logits, log-probabilities and pooled states
 *     step_labels.c  label tries of many cases, as chunks of tree rows; step_search.c: only the nodes that are needed
 *
 * Everything that can fail happens before the first chunk runs, so that a failed step changes nothing. Threading: one
 * thread at a time. */
#ifndef HN_ENGINE_ENGINE_PARTS_H
#define HN_ENGINE_ENGINE_PARTS_H

#include "engine/engine.h"
#include "engine/kv_pool.h"

enum {
    HN_CHUNK_ROWS = 512,        /* rows that one pass through the layers takes at most */
    HN_LOGITS_BYTES = 16 << 20, /* memory for one tile of logits, unless one row is more */
    HN_LOGITS_ROWS = 64,        /* rows of logits in a tile at most */
    HN_LABEL_DEPTH_MAX = 256,   /* tokens of a label: a path must fit a chunk */
    HN_SEARCH_BYTES =
        1 << 29, /* keys and values of tree nodes kept between rounds: more cases wait for the next wave */
};

/* Memory for one chunk; all pointers lie in one block. */
typedef struct hn_scratch {
    void *memory;
    size_t bytes;
    int rows, logits_rows;
    size_t n_pointers, n_slots;
    float *x, *h, *q, *k, *v,
        *attention;                    /* (rows, C) (rows, C) (rows, NH*HS) (rows, KV*HS) (rows, KV*HS) (rows, NH*HS) */
    float *gate, *up, *act;            /* (rows, F) */
    float *cos, *sin;                  /* (rows, HS/2) */
    float *low;                        /* (rows, largest rank) */
    float *logits;                     /* (logits_rows, V), rows hn_logits_stride apart */
    unsigned char *tail_k, *tail_v;    /* (rows, KV, HS) of kv_type: a tree's own keys and values, of one layer */
    const void **k_blocks, **v_blocks; /* (n_pointers) */
    int32_t *slots, *slot_start;       /* (n_slots) (2 rows) */
    hn_attention_run *attention_runs;  /* (rows) */
    void *matmul, *attend;             /* the kernels' own */
} hn_scratch;

/* Floats between rows of logits: an odd number of cache lines, since rows of 49,152 floats would all meet in the same few
 * sets of the first cache while a panel's outputs are written. */
static inline size_t hn_logits_stride(const hn_shape *shape) { return (((size_t)shape->n_vocab + 15) / 16 | 1) * 16; }

struct hn_sequence {
    hn_engine *engine;
    int32_t *blocks; /* (n_blocks) block numbers */
    size_t n_blocks, blocks_capacity;
    int32_t *tokens; /* (length) */
    size_t tokens_capacity;
    int length;
    bool has_hidden; /* `hidden` is the state after the last token */
    bool in_step;
    float *hidden; /* (C) final normalised hidden state */
};

/* A run of consecutive rows of a chunk: one sequence's next tokens, or one case's label nodes. */
typedef struct hn_run {
    const hn_sequence *sequence;
    int row, n_rows, first; /* rows row .. row+n_rows-1; first: position of the first, or of a tree's depth 0 */
    int n_unwanted;         /* rows at the run's start whose final states nobody asks for */
    const int32_t *slots, *slot_start; /* tree: see hn_attention_run; NULL otherwise */
    bool is_kept;                      /* tree: keys and values go to engine->kept and stay; else to the scratch */
    int first_slot;                    /* is_kept: where the run's first row goes */
} hn_run;

typedef struct hn_chunk {
    int n_rows, n_runs;
    bool is_tree;
    int32_t ids[HN_CHUNK_ROWS], positions[HN_CHUNK_ROWS];
    hn_run runs[HN_CHUNK_ROWS];
} hn_chunk;

/* One item of a step with what was worked out for it. */
typedef struct hn_entry {
    hn_step_item *item;
    const int32_t *tokens; /* what is computed: the item's, or the sequence's own last token again */
    int n_tokens, start;   /* start: position of tokens[0] */
    size_t blocks_before;
    double *pooled_sum;   /* (C) */
    float *node_logprobs; /* (n_nodes) the item's or scratch */
    double *node_sums;    /* (n_nodes) */
    bool searches;        /* LABELS: not all nodes are computed */
    int n_inner;          /* nodes with children */
    hn_label_search search;
    int32_t *slot_of; /* (n_nodes) search: where a computed node's keys and values are kept */
} hn_entry;

/* A row whose logits are wanted: `index` is the token's place in the item, or the trie node (-1: the root). */
typedef struct hn_wanted {
    hn_entry *entry;
    int row, index;
} hn_wanted;

struct hn_engine {
    const hn_model *model;
    const hn_shape *shape;
    const hn_kernels *kernels;
    hn_pool *pool;
    hn_weights weights; /* own copies of the matrices with packs; norms and bytes are the model's */
    hn_pack_room packs;
    hn_matrix *low_rank_a; /* (n_layers * HN_LINEARS_OF_LAYER) an adapter\'s first matrices, packed; NULL: no adapter */
    int largest_rank;
    hn_attention_shape attention;
    const float *rope_frequencies;
    hn_kv_pool kv;
    size_t kv_layer_bytes; /* K and V of one layer in a block */
    size_t kv_max_bytes, pack_bytes;
    int context;
    char numeric_path[96];
    hn_scratch scratch;
    hn_chunk chunk;
    hn_entry *entry_of_run[HN_CHUNK_ROWS];
    hn_wanted wanted[HN_CHUNK_ROWS];
    int n_wanted;
    hn_entry *entries;
    size_t entries_capacity;
    double *doubles;    /* pooled sums and node sums of a step */
    float *floats;      /* node log-probabilities of a step */
    int32_t *node_slot; /* (largest trie) */
    size_t doubles_capacity, floats_capacity, node_slot_capacity;
    unsigned char *searches; /* memory of the searches of a step */
    void *kept_memory;
    unsigned char *kept; /* (n_layers, 2, kept_rows, KV, HS) keys and values of the nodes of a wave of searches */
    size_t searches_capacity, kept_rows, kept_used, kept_most; /* kept_most: of any wave so far */
};

/* forward.c: runs the layers over engine->chunk; afterwards scratch.x holds the rows' states before the final norm. Rows
 * that nobody wants have left the chunk by then: runs and entry_of_run are fewer or shorter. */
void hn_forward(hn_engine *e);
/* Runs fn over the engine's threads, or on this one where there are few rows. */
void hn_engine_run(hn_engine *e, hn_pool_fn *fn, void *arg, int n_rows);

/* low_rank.c: packs the adapter's matrices where the model has one; y (rows,N) += its share for linear `linear` of a layer, x being that product's
 * input. */
hn_status hn_engine_prepare_low_rank(hn_engine *e, hn_error *err) HN_MUST_CHECK;
void hn_engine_release_low_rank(hn_engine *e);
void hn_engine_add_low_rank(hn_engine *e, int layer, int linear, float *y, int64_t N, const float *x);

/* engine.c: makes the scratch large enough for chunks of `rows` rows; nothing is lost on failure. */
hn_status hn_scratch_reserve(hn_engine *e, int rows, int logits_rows, size_t n_pointers, size_t n_slots,
                             hn_error *err) HN_MUST_CHECK;

/* sequence.c: makes room for positions start .. start+n-1 and makes their blocks the sequence's own. On failure
 * blocks that were added may stay: hn_sequence_drop_blocks takes them away. */
hn_status hn_sequence_reserve(hn_sequence *s, int start, int n, hn_error *err) HN_MUST_CHECK;
void hn_sequence_drop_blocks(hn_sequence *s, size_t n_blocks);

/* outputs.c: rows whose logits are wanted are listed in engine->wanted with their normalised states in scratch.h,
 * then finished together. */
void hn_outputs_want(hn_engine *e, hn_entry *entry, int row, int index);
/* Lists a state that is already normalised; flushes first where the list is full. */
void hn_outputs_want_hidden(hn_engine *e, hn_entry *entry, const float *hidden, int index);
/* Normalises the listed rows of scratch.x into scratch.h. */
void hn_outputs_gather(hn_engine *e);
/* Computes logits in tiles, gives each listed row its output, and empties the list. */
void hn_outputs_flush(hn_engine *e);
/* Lists what the rows of a plain chunk want, keeps last states, adds to pooled sums, and flushes. */
void hn_outputs_of_chunk(hn_engine *e);

/* step_labels.c */
typedef struct hn_label_needs {
    size_t rows, deepest, largest;  /* tree rows, longest path in them, nodes of the largest trie */
    size_t search_bytes, kept_rows; /* of searches: their memory, and nodes whose keys and values may be kept */
} hn_label_needs;
/* Adds what an item's trie will need after `first` tokens. HN_ERR_INPUT, HN_ERR_CONTEXT, HN_ERR_LIMIT where it cannot
 * be scored. */
hn_status hn_labels_check(const hn_engine *e, hn_entry *entry, int first, hn_label_needs *needs,
                          hn_error *err) HN_MUST_CHECK;
/* Scores the tries of all LABELS entries together, after all tokens are in the cache and the last states are kept. */
void hn_labels_run(hn_engine *e, size_t n_entries);

/* The chunk of tree rows in the making, beyond what engine->chunk holds. */
typedef struct hn_tree_builder {
    hn_engine *e;
    size_t n_slots, n_starts;
} hn_tree_builder;
/* Opens a run for the case, with no node in it yet; the next empty chunk where it is full. */
void hn_tree_open_run(hn_tree_builder *b, const hn_entry *entry);
/* Appends a row for `node` to the open run; slot_of tells where its ancestors are, and learns where it is. */
void hn_tree_append(hn_tree_builder *b, const hn_label_trie *trie, int node, int32_t *slot_of);
/* Computes the chunk with what is wanted of it, and empties it. */
void hn_tree_run_chunk(hn_tree_builder *b);

/* step_search.c */
/* Bytes to keep one node's keys and values of all layers. */
size_t hn_search_node_bytes(const hn_engine *e);
/* Makes room for a step's searches, and hands each entry its part. */
hn_status hn_searches_reserve(hn_engine *e, size_t n_entries, const hn_label_needs *needs, hn_error *err) HN_MUST_CHECK;
/* Runs all searches of a step, after the outputs of their roots are there. */
void hn_searches_run(hn_engine *e, size_t n_entries);

#endif
