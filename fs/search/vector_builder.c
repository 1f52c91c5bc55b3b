/* The threads that make indexes, with lower priority than all others. The builder builds one at a
 * time, on all processors. The opener does what takes no longer than to read an index, so that an
 * index that exists never waits for a build. Everything wanted goes to the opener first: it opens
 * the file, joins it with the rows, and judges whether the builder must have it. Both threads start
 * when something is wanted for the first time. */
#include "codec/clock.h"
#include "fs/base/log.h"
#include "fs/base/patience.h"
#include "fs/search/vector_indexes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SEED = 1, NICE = 10 };

struct build {
    struct vector_indexes *indexes;
    struct vector_entry *entry;
    struct corpus *corpus;
    bool impossible; /* it cannot be built of these rows, however often it is tried */
    struct error error;
};

static struct hnsw_options build_options(struct build *build)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return (struct hnsw_options){.space = build->entry->space,
                                 .m = VECTOR_M,
                                 .ef_construction = VECTOR_EF_CONSTRUCTION,
                                 .seed = SEED,
                                 .threads = cpus > 1 ? (int)cpus : 1,
                                 .stop = &build->entry->stop,
                                 .done = &build->entry->done};
}

static void set_total(struct build *build, uint64_t total)
{
    pthread_mutex_lock(&build->indexes->lock);
    build->entry->total = total;
    pthread_mutex_unlock(&build->indexes->lock);
}

/* ---- of all rows ---- */

static int load_spans(struct build *build, const struct span **spans, size_t *count)
{
    return corpus_load(build->corpus, build->entry->column, &build->entry->stop, spans, count,
                       &build->error);
}

static int load_keys(struct build *build, struct row_key *keys)
{
    const struct snapshot *snapshot = corpus_snapshot(build->corpus);
    bool lasting = snapshot->schema->with_row_ids;
    int rc = 0;
    uint64_t row = 0;
    for (size_t i = 0; rc == 0 && lasting && i < snapshot->group_count; i++) {
        rc = corpus_group_keys(build->corpus, i, keys + row, &build->error);
        row += snapshot->groups[i]->rows;
    }
    for (; !lasting && row < snapshot->rows; row++)
        keys[row] = (struct row_key){row, 0};
    return rc;
}

/* Notes that there can be no index of these rows. */
static void refuse(struct build *build, int rc)
{
    build->impossible = true;
    if (rc == -EBADMSG)
        error_set(&build->error, rc, "not all vectors of the column are of %u dimensions",
                  build->entry->space.dims);
    else
        error_set(&build->error, rc, "%" PRIu64 " rows are more than an index can have",
                  corpus_snapshot(build->corpus)->rows);
}

static int build_whole(struct build *build, struct hnsw **out)
{
    const struct span *spans;
    size_t count;
    uint64_t rows = corpus_snapshot(build->corpus)->rows;
    struct row_key *keys = malloc(((size_t)rows + 1) * sizeof *keys);
    int rc = keys == NULL ? -ENOMEM : load_spans(build, &spans, &count);
    if (rc == 0)
        rc = load_keys(build, keys);
    if (rc == 0) {
        struct hnsw_options options = build_options(build);
        set_total(build, rows);
        rc = hnsw_build(&options, &(struct hnsw_rows){spans, count, keys}, out, &build->error);
        if (rc == -EBADMSG || rc == -EFBIG)
            refuse(build, rc);
    }
    free(keys);
    return rc;
}

/* ---- of those that have come or gone ---- */

struct pieces {
    struct span *spans;
    struct row_key *keys;
    size_t count;
};

/* Cuts the spans into pieces: fresh rows that are neighbours in a span become one. */
static int cut_pieces(const struct vector_index *index, const struct span *spans, size_t count,
                      struct pieces *out)
{
    out->spans = calloc((size_t)index->fresh_count + 1, sizeof *out->spans);
    if (out->spans == NULL)
        return -ENOMEM;
    uint64_t first = 0, next = UINT64_MAX;
    const struct span *span = spans, *end = spans + count;
    for (uint32_t i = 0; i < index->fresh_count; i++) {
        uint64_t row = index->fresh[i];
        for (; span < end && row >= first + span->rows; span++, next = UINT64_MAX)
            first += span->rows;
        if (span == end)
            return -EBADMSG;
        if (row == next) {
            out->spans[out->count - 1].rows++;
        } else {
            struct span *piece = &out->spans[out->count++];
            *piece = *span;
            piece->rows = 1;
            if (span->fixed != 0)
                piece->bytes += (size_t)span->fixed * (row - first);
            else
                piece->starts += row - first;
        }
        next = row + 1;
    }
    return 0;
}

static int list_keys(struct build *build, const struct vector_index *index, struct pieces *out)
{
    int rc = 0;
    out->keys = calloc((size_t)index->fresh_count + 1, sizeof *out->keys);
    if (out->keys == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; rc == 0 && i < index->fresh_count; i++)
        rc = corpus_row_key(build->corpus, index->fresh[i], &out->keys[i], &build->error);
    return rc;
}

/* Lists the bits of the slots in use that are not live. */
static int list_dead(const struct vector_binding *binding, uint64_t **out)
{
    uint32_t slots = hnsw_slots(binding->graph->hnsw);
    uint64_t *dead = calloc((size_t)slots / 64 + 1, sizeof *dead);
    if (dead == NULL)
        return -ENOMEM;
    struct row_key key;
    for (uint32_t slot = 0; slot < slots; slot++)
        if (binding->row_of_slot[slot] == UINT32_MAX && hnsw_key(binding->graph->hnsw, slot, &key))
            dead[slot / 64] |= UINT64_C(1) << slot % 64;
    *out = dead;
    return 0;
}

static int update(struct build *build, const struct vector_binding *binding, struct hnsw **out)
{
    const struct span *spans;
    size_t count;
    struct pieces pieces = {0};
    uint64_t *dead = NULL;
    int rc = load_spans(build, &spans, &count);
    if (rc == 0)
        rc = cut_pieces(&binding->index, spans, count, &pieces);
    if (rc == 0)
        rc = list_keys(build, &binding->index, &pieces);
    if (rc == 0 && binding->dead > 0)
        rc = list_dead(binding, &dead);
    if (rc == 0) {
        struct hnsw_options options = build_options(build);
        set_total(build, binding->index.fresh_count);
        rc = hnsw_update(binding->graph->hnsw, &options, dead,
                         &(struct hnsw_rows){pieces.spans, pieces.count, pieces.keys}, out,
                         &build->error);
    }
    free(pieces.spans);
    free(pieces.keys);
    free(dead);
    return rc;
}

/* ---- one build ---- */

static int make_graph(struct build *build, const struct vector_binding *binding,
                      enum vector_verdict verdict, struct vector_graph **out)
{
    struct snapshot *snapshot = corpus_snapshot(build->corpus);
    struct vector_basis basis;
    struct hnsw *hnsw = NULL;
    int rc = vector_basis_init(&basis, snapshot, build->entry->column);
    if (rc < 0)
        return rc;
    basis.m = VECTOR_M;
    basis.ef_construction = VECTOR_EF_CONSTRUCTION;
    rc = verdict == VECTOR_UPDATE ? update(build, binding, &hnsw) : -EBADMSG;
    if (rc == -EBADMSG) /* or the old graph is damaged */
        rc = build_whole(build, &hnsw);
    if (!corpus_intact(build->corpus)) {
        if (rc == 0)
            hnsw_free(hnsw);
        build->impossible = false;
        rc = error_set(&build->error, -EIO, "row groups in the cache were damaged meanwhile");
    }
    if (rc < 0) {
        vector_basis_clear(&basis);
        return rc;
    }
    return vector_graph_new(hnsw, &basis, out);
}

static void log_built(const struct build *build, const struct vector_graph *graph, const char *how,
                      int64_t began)
{
    const struct snapshot *snapshot = corpus_snapshot(build->corpus);
    log_say(LOG_SAY_INFO, "%s.%s.%s: its %s index of %u rows is %s, in %.1f s",
            snapshot->relation.schema, snapshot->relation.name, graph->basis.name,
            metric_name(build->entry->space.metric), hnsw_rows(graph->hnsw), how,
            (double)(clock_ms() - began) / 1000);
}

static void save(const struct build *build, struct vector_graph *graph)
{
    struct error error = {""};
    struct vector_indexes *indexes = build->indexes;
    int rc = vector_graph_save(graph, indexes->place, &build->entry->stop, &error);
    if (rc < 0 && rc != -EINTR)
        log_say(LOG_SAY_ERROR, "an index of %s is not kept: %s",
                corpus_snapshot(build->corpus)->relation.name,
                error.text[0] != '\0' ? error.text : strerror(-rc));
    pthread_mutex_lock(&indexes->lock);
    build->entry->no_file_for = rc < 0 ? graph->basis.lineage : 0;
    pthread_mutex_unlock(&indexes->lock);
}

/* Uses a graph from its file if it is too large for memory of its own. */
static struct vector_graph *map_large(const struct build *build, struct vector_graph *graph)
{
    struct vector_graph *mapped;
    const struct vector_indexes *indexes = build->indexes;
    if (!graph->saved || hnsw_bytes(graph->hnsw) <= indexes->alone ||
        vector_graph_open(indexes->place->store, corpus_snapshot(build->corpus),
                          build->entry->column, &build->entry->space, &build->entry->stop, &mapped,
                          NULL) < 0)
        return graph;
    vector_graph_unref(graph);
    return mapped;
}

/* -EINTR: it was stopped, and the log says nothing. */
static int run_build(struct build *build)
{
    int64_t began = clock_ms();
    if (corpus_snapshot(build->corpus)->rows >= UINT32_MAX) {
        refuse(build, -EFBIG);
        return -EFBIG;
    }
    struct vector_binding *binding;
    int rc = vector_entry_bind(build->indexes, build->entry, build->corpus, true, &binding);
    if (rc < 0)
        return rc;
    enum vector_verdict verdict = vector_binding_judge(binding);
    struct vector_graph *graph = NULL;
    if (verdict != VECTOR_GOOD)
        rc = make_graph(build, binding, verdict, &graph);
    if (binding != NULL)
        vector_index_unref(&binding->index);
    if (graph == NULL)
        return rc;
    save(build, graph);
    graph = map_large(build, graph);
    vector_entry_publish(build->indexes, build->entry, vector_graph_ref(graph));
    /* Binds it now, so that no query has to. */
    if (vector_entry_bind(build->indexes, build->entry, build->corpus, true, &binding) == 0 &&
        binding != NULL)
        vector_index_unref(&binding->index);
    log_built(build, graph, verdict == VECTOR_UPDATE ? "brought up to date" : "built", began);
    vector_graph_unref(graph);
    return 0;
}

static void end_build(struct build *build, int rc)
{
    struct vector_entry *entry = build->entry;
    const struct snapshot *snapshot = corpus_snapshot(build->corpus);
    bool failed = rc < 0 && !(rc == -EINTR && entry->stop);
    if (failed && build->error.text[0] == '\0')
        error_set(&build->error, rc, "%s", rc == -ENOMEM ? "no memory" : strerror(-rc));
    if (failed && build->impossible) {
        /* only this thread writes it; said once, however the reason changes */
        if (!entry->impossible)
            log_say(LOG_SAY_INFO, "%s.%s.%s: there can be no %s index: %s",
                    snapshot->relation.schema, snapshot->relation.name,
                    snapshot->schema->columns[entry->column].name, metric_name(entry->space.metric),
                    build->error.text);
    } else if (failed) {
        log_say(LOG_SAY_ERROR, "%s.%s: its index cannot be built: %s", snapshot->relation.schema,
                snapshot->relation.name, build->error.text);
    }
    pthread_mutex_lock(&build->indexes->lock);
    entry->building = false; /* from here on the entry may be removed */
    entry->impossible = failed && build->impossible;
    entry->failed = failed ? rc : 0;
    entry->error = build->error;
    entry->failed_at = clock_ms();
    entry->failed_serial = snapshot->serial;
    pthread_mutex_unlock(&build->indexes->lock);
    corpus_unref(build->corpus);
}

/* Takes the next entry that is to be built. Called with the lock held. */
static bool take_judged(struct vector_indexes *indexes, struct build *out)
{
    for (struct vector_entry *entry = indexes->entries; entry != NULL; entry = entry->next) {
        if (!entry->judged)
            continue;
        *out = (struct build){.indexes = indexes, .entry = entry, .corpus = entry->wanted};
        entry->wanted = NULL;
        entry->judged = false;
        entry->building = true;
        entry->stop = false;
        entry->done = 0;
        entry->total = 0;
        entry->began = clock_ms();
        return true;
    }
    return false;
}

/* Takes the next entry whose graph is to be copied, and a new reference to the graph. Called with
 * the lock held. */
static struct vector_entry *take_copy(struct vector_indexes *indexes, struct vector_graph **graph)
{
    for (struct vector_entry *entry = indexes->entries; entry != NULL; entry = entry->next) {
        bool wanted = entry->copy_wanted;
        entry->copy_wanted = false;
        if (!wanted || entry->graph == NULL)
            continue;
        *graph = vector_graph_ref(entry->graph);
        entry->users++;
        return entry;
    }
    return NULL;
}

static void copy(struct vector_indexes *indexes, struct vector_entry *entry,
                 struct vector_graph *graph)
{
    struct vector_graph *own;
    if (graph->mapped && vector_graph_copy(graph, &own) == 0)
        vector_entry_replace(indexes, entry, graph, own);
    vector_graph_unref(graph);
    vector_entry_leave(indexes, entry);
}

/* Takes the next entry whose file is to be opened. Called with the lock held. */
static struct vector_entry *take_unread(struct vector_indexes *indexes, struct snapshot **snapshot)
{
    struct vector_entry *entry = indexes->entries;
    while (entry != NULL && entry->unread == NULL)
        entry = entry->next;
    if (entry == NULL)
        return NULL;
    *snapshot = entry->unread;
    entry->unread = NULL;
    entry->opening = true;
    entry->users++;
    return entry;
}

static void open_unread(struct vector_indexes *indexes, struct vector_entry *entry,
                        struct snapshot *snapshot)
{
    struct patience patience = {.waits = true, .stop = &indexes->ending};
    patience_begin(&patience);
    if (patience_lock(&entry->making, NULL) == 0) {
        struct vector_graph *graph;
        if (vector_entry_load(indexes, entry, snapshot, &graph) == 0)
            vector_graph_unref(graph);
        pthread_mutex_unlock(&entry->making);
    }
    patience_end(&patience);
    snapshot_unref(snapshot);
    pthread_mutex_lock(&indexes->lock);
    entry->opening = false;
    pthread_mutex_unlock(&indexes->lock);
    vector_entry_leave(indexes, entry);
}

/* ---- what is there already ---- */

/* Takes the next entry of which it is unknown what it needs. Called with the lock held. */
static bool take_wanted(struct vector_indexes *indexes, struct build *out)
{
    struct vector_entry *entry = indexes->entries;
    while (entry != NULL && (entry->wanted == NULL || entry->judged))
        entry = entry->next;
    if (entry == NULL)
        return false;
    *out = (struct build){.indexes = indexes, .entry = entry, .corpus = corpus_ref(entry->wanted)};
    entry->opening = true;
    entry->stop = false;
    entry->users++;
    return true;
}

/* Whether the builder must have it: also if it failed, since the builder finds out why. */
static bool needs_build(struct build *build)
{
    struct vector_binding *binding;
    if (vector_entry_bind(build->indexes, build->entry, build->corpus, true, &binding) < 0)
        return true;
    bool good = vector_binding_judge(binding) == VECTOR_GOOD;
    if (binding != NULL)
        vector_index_unref(&binding->index);
    return !good;
}

/* Judges what the entry needs; meanwhile the entry may have let go of the corpus. */
static void judge(struct build *build)
{
    struct vector_entry *entry = build->entry;
    struct patience patience = {.waits = true, .stop = &entry->stop};
    patience_begin(&patience);
    bool needs = needs_build(build);
    patience_end(&patience);
    pthread_mutex_lock(&build->indexes->lock);
    bool same = entry->wanted == build->corpus;
    entry->opening = false;
    entry->judged = same && needs;
    if (same && !needs) {
        entry->wanted = NULL;
        entry->failed = 0;
        entry->impossible = false;
    }
    pthread_cond_broadcast(&build->indexes->changed);
    pthread_mutex_unlock(&build->indexes->lock);
    if (same && !needs)
        corpus_unref(build->corpus); /* the entry's reference */
    corpus_unref(build->corpus);
    vector_entry_leave(build->indexes, entry);
}

/* ---- the threads ---- */

/* Does one piece of work, if there is any. Called with the lock held, which it gives up
 * meanwhile. */
static bool open_next(struct vector_indexes *indexes)
{
    struct build build;
    struct vector_graph *graph;
    struct snapshot *snapshot;
    struct vector_entry *entry = take_unread(indexes, &snapshot);
    if (entry != NULL) {
        pthread_mutex_unlock(&indexes->lock);
        open_unread(indexes, entry, snapshot);
    } else if (take_wanted(indexes, &build)) {
        pthread_mutex_unlock(&indexes->lock);
        judge(&build);
    } else if ((entry = take_copy(indexes, &graph)) != NULL) {
        pthread_mutex_unlock(&indexes->lock);
        copy(indexes, entry, graph);
    } else {
        return false;
    }
    pthread_mutex_lock(&indexes->lock);
    return true;
}

static bool build_next(struct vector_indexes *indexes)
{
    struct build build;
    if (!take_judged(indexes, &build))
        return false;
    pthread_mutex_unlock(&indexes->lock);
    struct patience patience = {.waits = true, .stop = &build.entry->stop};
    patience_begin(&patience);
    int rc = run_build(&build);
    patience_end(&patience); /* ends before the entry may be removed, to which the flag belongs */
    end_build(&build, rc);
    pthread_mutex_lock(&indexes->lock);
    return true;
}

/* Sets the priority of this thread, and of the threads that it starts. */
static void work(struct vector_indexes *indexes, bool (*next)(struct vector_indexes *))
{
    setpriority(PRIO_PROCESS, 0, NICE);
    pthread_mutex_lock(&indexes->lock);
    while (!indexes->ending)
        if (!next(indexes))
            pthread_cond_wait(&indexes->changed, &indexes->lock);
    pthread_mutex_unlock(&indexes->lock);
}

static void *open_all(void *indexes)
{
    work(indexes, open_next);
    return NULL;
}

static void *build_all(void *indexes)
{
    work(indexes, build_next);
    return NULL;
}

static bool start(struct vector_worker *worker, void *(*run)(void *),
                  struct vector_indexes *indexes)
{
    if (!worker->running && !indexes->ending)
        worker->running = pthread_create(&worker->thread, NULL, run, indexes) == 0;
    return worker->running;
}

/* Whether the threads run that can do something. Called with the lock held. */
static bool wake(struct vector_indexes *indexes)
{
    bool there =
        start(&indexes->opener, open_all, indexes) && start(&indexes->builder, build_all, indexes);
    pthread_cond_broadcast(&indexes->changed);
    return there;
}

void vector_entry_want(struct vector_indexes *indexes, struct vector_entry *entry,
                       struct corpus *corpus)
{
    corpus_ref(corpus);
    pthread_mutex_lock(&indexes->lock);
    bool take = entry->wanted == NULL && !entry->building && wake(indexes);
    if (take)
        entry->wanted = corpus;
    pthread_mutex_unlock(&indexes->lock);
    if (!take)
        corpus_unref(corpus);
}

void vector_entry_want_opened(struct vector_indexes *indexes, struct vector_entry *entry,
                              struct snapshot *snapshot)
{
    snapshot_ref(snapshot);
    pthread_mutex_lock(&indexes->lock);
    struct snapshot *before = entry->unread; /* perhaps of an older version */
    bool busy = entry->building || entry->opening || entry->wanted != NULL;
    bool take = !busy && wake(indexes);
    if (take)
        entry->unread = snapshot;
    pthread_mutex_unlock(&indexes->lock);
    snapshot_unref(take ? before : snapshot);
}

void vector_entry_want_copy(struct vector_indexes *indexes, struct vector_entry *entry)
{
    pthread_mutex_lock(&indexes->lock);
    entry->copy_wanted = wake(indexes);
    pthread_mutex_unlock(&indexes->lock);
}
