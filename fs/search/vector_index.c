/* What queries ask of indexes, and when indexes are used, built and brought up to date. */
#include "fs/search/vector_index.h"

#include "codec/clock.h"
#include "fs/base/log.h"
#include "fs/base/patience.h"
#include "fs/search/vector_indexes.h"

#include <errno.h>
#include <stdlib.h>

/* When an index is worth building. */
enum { ROWS_LEAST = 5000, BYTES_LEAST = 8 << 20, SPARSE_GUESS = 128 };
/* Limits for fresh and dead rows: if there are more than STALE, the index is brought up to date; if
 * they are so large a share that they would spoil the graph (CHURN), it is built anew; with more
 * fresh rows than FRESH_PERCENT it is not searched. */
enum { STALE_ROWS = 1000, STALE_PERCENT = 2, CHURN_PERCENT = 30, FRESH_PERCENT = 30 };
enum { RETRY_MS = 60000, OPEN_AGAIN_MS = 10000 };

/* ---- policy ---- */

bool vector_index_pays(const struct space *space, uint64_t rows)
{
    uint64_t dims = space->dims, bytes = 0;
    switch (space->element) {
    case ELEMENT_FLOAT16:
        bytes = 2 * dims;
        break;
    case ELEMENT_SPARSE:
        bytes = 8 * (dims < SPARSE_GUESS ? dims : SPARSE_GUESS);
        break;
    case ELEMENT_BIT:
        bytes = dims / 8;
        break;
    default:
        bytes = 4 * dims;
    }
    return rows >= ROWS_LEAST && rows * bytes >= BYTES_LEAST;
}

static bool is_share(uint64_t part, uint64_t whole, int percent)
{
    return part * 100 > whole * (uint64_t)percent;
}

/* The number of rows of the corpus that have a vector. */
static uint64_t vectors_of(const struct vector_binding *binding)
{
    return (uint64_t)hnsw_rows(binding->graph->hnsw) - binding->dead + binding->index.fresh_count;
}

enum vector_verdict vector_binding_judge(const struct vector_binding *binding)
{
    if (binding == NULL || !vector_graph_is_intact(binding->graph))
        return VECTOR_BUILD;
    uint64_t changed = (uint64_t)binding->index.fresh_count + binding->dead;
    uint64_t rows = vectors_of(binding);
    if (changed <= STALE_ROWS || !is_share(changed, rows, STALE_PERCENT))
        return VECTOR_GOOD;
    return is_share(hnsw_churn(binding->graph->hnsw) + changed, rows, CHURN_PERCENT)
               ? VECTOR_BUILD
               : VECTOR_UPDATE;
}

static bool is_offered(const struct vector_binding *binding)
{
    uint64_t fresh = binding->index.fresh_count;
    if (!vector_graph_is_intact(binding->graph))
        return false;
    return fresh <= STALE_ROWS || !is_share(fresh, vectors_of(binding), FRESH_PERCENT);
}

/* ---- what there is ---- */

static bool passes(int rc)
{
    return rc == -ENOMEM || rc == -ENOSPC || rc == -EMFILE || rc == -ENFILE || rc == -EAGAIN ||
           rc == -EINTR;
}

/* Opens the file, if it is of these rows. Deletes a damaged one. */
static int open_file(struct vector_indexes *indexes, struct vector_entry *entry,
                     const struct snapshot *snapshot, struct vector_graph **out)
{
    struct store *store = indexes->place->store;
    struct error error = {""};
    const struct column *column = &snapshot->schema->columns[entry->column];
    int rc = vector_graph_open(store, snapshot, entry->column, &entry->space, &indexes->ending, out,
                               &error);
    if (rc == 0) {
        log_say(LOG_SAY_INFO, "%s.%s.%s: its %s index of %u rows is opened",
                snapshot->relation.schema, snapshot->relation.name, column->name,
                metric_name(entry->space.metric), hnsw_rows((*out)->hnsw));
        return 0;
    }
    if (rc != -ENOENT && rc != -ESTALE && rc != -EINTR)
        log_say(LOG_SAY_ERROR, "%s.%s.%s: its %s index in the cache cannot be used%s (%s)",
                snapshot->relation.schema, snapshot->relation.name, column->name,
                metric_name(entry->space.metric), passes(rc) ? " for now" : "",
                error.text[0] != '\0' ? error.text : strerror(-rc));
    if (rc == -EBADMSG)
        store_drop_index(store, entry->relation, vector_graph_id(entry->column, &entry->space));
    return rc;
}

/* Notes the outcome of opening its file. */
static void note_opened(struct vector_indexes *indexes, struct vector_entry *entry,
                        const struct snapshot *snapshot, int rc)
{
    pthread_mutex_lock(&indexes->lock);
    if (rc < 0 && !passes(rc))
        entry->no_file_for = snapshot->lineage;
    entry->unopened = passes(rc) ? rc : 0;
    entry->unopened_at = clock_ms();
    pthread_mutex_unlock(&indexes->lock);
}

int vector_entry_load(struct vector_indexes *indexes, struct vector_entry *entry,
                      const struct snapshot *snapshot, struct vector_graph **out)
{
    pthread_mutex_lock(&indexes->lock);
    struct vector_graph *graph = entry->graph;
    bool is_there = graph != NULL;
    if (is_there && !vector_basis_fits(&graph->basis, snapshot, entry->column))
        graph = NULL;
    /* A graph of a later lineage stays: this snapshot is out of date. */
    bool look = graph == NULL && entry->no_file_for != snapshot->lineage &&
                (!is_there || entry->graph->basis.serial < snapshot->serial);
    int rc = look && clock_ms() - entry->unopened_at < OPEN_AGAIN_MS ? entry->unopened : 0;
    if (graph != NULL)
        vector_graph_ref(graph);
    pthread_mutex_unlock(&indexes->lock);
    if (look && rc == 0) {
        rc = open_file(indexes, entry, snapshot, &graph);
        note_opened(indexes, entry, snapshot, rc);
        if (rc == 0)
            vector_entry_publish(indexes, entry, vector_graph_ref(graph));
    }
    if (passes(rc))
        return rc;
    *out = graph;
    return 0;
}

/* The binding in memory, a new reference, if it is the one for this snapshot. */
static struct vector_binding *find_bound(struct vector_indexes *indexes, struct vector_entry *entry,
                                         const struct snapshot *snapshot)
{
    pthread_mutex_lock(&indexes->lock);
    struct vector_binding *bound = entry->bound;
    if (bound != NULL && bound->serial == snapshot->serial) {
        atomic_fetch_add(&bound->index.refs, 1);
        entry->used = ++indexes->turn;
    } else {
        bound = NULL;
    }
    pthread_mutex_unlock(&indexes->lock);
    return bound;
}

/* Keeps the binding, if the entry still has its graph. */
static void keep_bound(struct vector_indexes *indexes, struct vector_entry *entry,
                       struct vector_binding *binding)
{
    struct vector_binding *before = NULL;
    pthread_mutex_lock(&indexes->lock);
    if (entry->graph == binding->graph) {
        before = entry->bound;
        entry->bound = binding;
        atomic_fetch_add(&binding->index.refs, 1);
        entry->used = ++indexes->turn;
    }
    pthread_mutex_unlock(&indexes->lock);
    if (before != NULL)
        vector_index_unref(&before->index);
}

/* Binds the graph to the corpus. A graph that cannot be bound counts as none. */
static int make_bound(struct vector_indexes *indexes, struct vector_entry *entry,
                      struct corpus *corpus, struct vector_graph *graph,
                      struct vector_binding **out)
{
    struct vector_binding *before, *binding = NULL;
    struct error error = {""};
    pthread_mutex_lock(&indexes->lock);
    before = entry->bound;
    if (before != NULL)
        atomic_fetch_add(&before->index.refs, 1);
    pthread_mutex_unlock(&indexes->lock);
    int rc = vector_binding_new(graph, corpus, entry->column, before, &binding, &error);
    bool gave_up = patience_refused() || patience_stopped();
    if (rc == 0)
        keep_bound(indexes, entry, binding);
    else if (!gave_up)
        log_say(LOG_SAY_ERROR, "an index of %s cannot be used: %s",
                corpus_snapshot(corpus)->relation.name,
                error.text[0] != '\0' ? error.text : strerror(-rc));
    if (before != NULL)
        vector_index_unref(&before->index);
    *out = binding;
    return rc < 0 && gave_up ? rc : 0;
}

bool vector_entry_has_file(struct vector_indexes *indexes, struct vector_entry *entry,
                           const struct snapshot *snapshot, uint64_t *size)
{
    pthread_mutex_lock(&indexes->lock);
    bool none = entry->no_file_for == snapshot->lineage;
    pthread_mutex_unlock(&indexes->lock);
    *size = none ? 0
                 : store_index_size(indexes->place->store, entry->relation,
                                    vector_graph_id(entry->column, &entry->space));
    return *size > 0;
}

/* The thread that makes one holds entry->making meanwhile. */
bool vector_entry_is_unread(struct vector_indexes *indexes, struct vector_entry *entry,
                            const struct snapshot *snapshot)
{
    uint64_t size;
    pthread_mutex_lock(&indexes->lock);
    bool none = entry->graph == NULL, busy = entry->building || entry->opening;
    pthread_mutex_unlock(&indexes->lock);
    if (!none || busy)
        return none;
    return vector_entry_has_file(indexes, entry, snapshot, &size) && size > indexes->at_once;
}

/* Whether all of its keys would have to be compared, those of many rows. */
static bool is_unjoined(struct vector_indexes *indexes, const struct vector_entry *entry)
{
    pthread_mutex_lock(&indexes->lock);
    bool unjoined = entry->graph != NULL && entry->bound == NULL &&
                    hnsw_bytes(entry->graph->hnsw) > indexes->at_once;
    pthread_mutex_unlock(&indexes->lock);
    return unjoined;
}

static bool is_far(struct vector_indexes *indexes, struct vector_entry *entry,
                   const struct snapshot *snapshot)
{
    return vector_entry_is_unread(indexes, entry, snapshot) || is_unjoined(indexes, entry);
}

int vector_entry_bind(struct vector_indexes *indexes, struct vector_entry *entry,
                      struct corpus *corpus, bool long_ways, struct vector_binding **out)
{
    const struct snapshot *snapshot = corpus_snapshot(corpus);
    *out = find_bound(indexes, entry, snapshot);
    if (*out != NULL || (!long_ways && is_far(indexes, entry, snapshot)))
        return 0;
    int rc = patience_lock(&entry->making, NULL);
    if (rc < 0)
        return rc;
    *out = find_bound(indexes, entry, snapshot);
    if (*out == NULL) {
        struct vector_graph *graph = NULL;
        rc = vector_entry_load(indexes, entry, snapshot, &graph);
        if (graph != NULL)
            rc = make_bound(indexes, entry, corpus, graph, out);
        if (*out != NULL && graph->mapped && !atomic_exchange(&graph->moving, true) &&
            hnsw_bytes(graph->hnsw) <= indexes->alone)
            vector_entry_want_copy(indexes, entry);
        vector_graph_unref(graph);
    }
    pthread_mutex_unlock(&entry->making);
    return rc;
}

/* Whether a build of this snapshot is worth trying. Called with the lock held. */
static bool may_begin(const struct vector_indexes *indexes, const struct vector_entry *entry,
                      const struct snapshot *snapshot)
{
    if (indexes->ending || entry->building || entry->wanted != NULL)
        return false;
    if (entry->graph != NULL && entry->graph->basis.serial > snapshot->serial)
        return false; /* that would go back in time */
    if (entry->failed == 0 || entry->failed_serial != snapshot->serial)
        return true;
    return !entry->impossible && clock_ms() - entry->failed_at >= RETRY_MS;
}

struct vector_index *vector_index_get(struct vector_indexes *indexes, struct corpus *corpus,
                                      int column, const struct space *space, bool begin)
{
    const struct snapshot *snapshot = corpus_snapshot(corpus);
    if (indexes == NULL)
        return NULL;
    struct vector_entry *entry = vector_entry_find(indexes, snapshot->key.relation, column, space);
    if (entry == NULL)
        return NULL;
    struct vector_binding *binding;
    if (vector_entry_bind(indexes, entry, corpus, false, &binding) < 0) {
        vector_entry_leave(indexes, entry);
        return NULL;
    }
    if (begin && vector_binding_judge(binding) != VECTOR_GOOD) {
        pthread_mutex_lock(&indexes->lock);
        bool may = may_begin(indexes, entry, snapshot);
        pthread_mutex_unlock(&indexes->lock);
        if (may)
            vector_entry_want(indexes, entry, corpus);
    }
    vector_entry_leave(indexes, entry);
    if (binding != NULL && !is_offered(binding)) {
        vector_index_unref(&binding->index);
        binding = NULL;
    }
    return binding != NULL ? &binding->index : NULL;
}
