/* The state of an index, as JSON. */
#include "codec/clock.h"
#include "codec/json_writer.h"
#include "fs/search/vector_indexes.h"

struct state {
    struct vector_graph *graph;
    const char *name;
    bool running;
    double progress, seconds;
    int64_t fresh; /* -1: unknown */
    struct error error;
};

static void read_state(struct vector_indexes *indexes, struct vector_entry *entry,
                       const struct snapshot *snapshot, struct state *out)
{
    uint64_t size;
    bool has_file = vector_entry_has_file(indexes, entry, snapshot, &size);
    pthread_mutex_lock(&indexes->lock);
    *out = (struct state){.fresh = -1};
    if (entry->graph != NULL && vector_basis_fits(&entry->graph->basis, snapshot, entry->column))
        out->graph = vector_graph_ref(entry->graph);
    if (out->graph != NULL && entry->bound != NULL && entry->bound->serial == snapshot->serial)
        out->fresh = entry->bound->index.fresh_count;
    /* Until it is judged, a wanted index is only opened, or joined with its rows. */
    bool begins = entry->judged || (entry->graph == NULL && !has_file);
    out->running = entry->building || (entry->wanted != NULL && begins);
    if (entry->building) {
        uint64_t done = entry->done;
        out->progress = entry->total > 0 ? (double)done / (double)entry->total : 0;
        if (out->progress > 1)
            out->progress = 1;
        out->seconds = (double)(clock_ms() - entry->began) / 1000;
    }
    if (entry->failed < 0)
        out->error = entry->error;
    bool opening = entry->opening || entry->unread != NULL || entry->wanted != NULL;
    out->name = out->graph != NULL  ? "ready"
                : out->running      ? "building"
                : opening           ? "opening"
                : entry->failed < 0 ? entry->impossible ? "impossible" : "failed"
                                    : "absent";
    pthread_mutex_unlock(&indexes->lock);
}

static void put_curve(struct json_writer *json, const struct hnsw *hnsw)
{
    struct hnsw_recall curve[HNSW_RECALLS];
    int points = hnsw != NULL ? hnsw_recall(hnsw, curve) : 0;
    json_open_array(json, "recall", JSON_ONE_LINE);
    for (int i = 0; i < points; i++) {
        json_open_object(json, NULL, JSON_ONE_LINE);
        json_put_unsigned(json, "ef", curve[i].ef);
        json_put_fixed(json, "recall", (double)curve[i].recall, 4);
        json_close(json);
    }
    json_close(json);
}

static void put_version(struct json_writer *json, const struct vector_basis *basis)
{
    if (basis == NULL) {
        json_put_null(json, "version");
        return;
    }
    json_open_object(json, "version", JSON_ONE_LINE);
    json_put_digits(json, "serial", basis->serial);
    json_put_time(json, "fetched_at", basis->fetched_at);
    json_close(json);
}

static void put_progress(struct json_writer *json, const struct state *state)
{
    if (!state->running) {
        json_put_null(json, "progress");
        return;
    }
    json_put_fixed(json, "progress", state->progress, 3);
    json_put_fixed(json, "seconds", state->seconds, 1);
}

static int write_state(const struct state *state, struct buffer *out)
{
    const struct hnsw *hnsw = state->graph != NULL ? state->graph->hnsw : NULL;
    const struct vector_basis *basis = state->graph != NULL ? &state->graph->basis : NULL;
    struct json_writer json = {0};
    json_open_object(&json, NULL, JSON_LINES);
    json_put_words(&json, "state", state->name);
    json_put_unsigned(&json, "rows", hnsw != NULL ? hnsw_rows(hnsw) : 0);
    if (state->fresh < 0)
        json_put_null(&json, "fresh");
    else
        json_put_signed(&json, "fresh", state->fresh);
    json_put_unsigned(&json, "bytes", hnsw != NULL ? hnsw_bytes(hnsw) : 0);
    json_put_bool(&json, "saved", state->graph != NULL && state->graph->saved);
    json_put_unsigned(&json, "m", basis != NULL ? basis->m : VECTOR_M);
    json_put_unsigned(&json, "ef_construction",
                      basis != NULL ? basis->ef_construction : VECTOR_EF_CONSTRUCTION);
    put_progress(&json, state);
    put_curve(&json, hnsw);
    put_version(&json, basis);
    if (state->error.text[0] != '\0')
        json_put_words(&json, "error", state->error.text);
    else
        json_put_null(&json, "error");
    json_close(&json);
    return json_end(&json, out);
}

int vector_index_write_state(struct vector_indexes *indexes, struct snapshot *snapshot, int column,
                             const struct space *space, struct buffer *out)
{
    struct state state = {.name = "absent", .fresh = -1};
    struct vector_entry *entry = NULL;
    if (indexes != NULL)
        entry = vector_entry_find(indexes, snapshot->key.relation, column, space);
    if (entry != NULL) {
        /* The calling thread may be one that others wait for: it reads no large file, and does not
         * wait for a thread that makes something there now. */
        if (vector_entry_is_unread(indexes, entry, snapshot)) {
            vector_entry_want_opened(indexes, entry, snapshot);
        } else if (pthread_mutex_trylock(&entry->making) == 0) {
            struct vector_graph *graph;
            if (vector_entry_load(indexes, entry, snapshot, &graph) == 0)
                vector_graph_unref(graph);
            pthread_mutex_unlock(&entry->making);
        }
        read_state(indexes, entry, snapshot, &state);
        vector_entry_leave(indexes, entry);
    }
    int rc = write_state(&state, out);
    vector_graph_unref(state.graph);
    return rc;
}
