/* How an index stands, as JSON. */
#include "codec/clock.h"
#include "codec/json_text.h"
#include "fs/search/vector_indexes.h"

#include <inttypes.h>
#include <time.h>

struct state {
    struct vector_graph *graph;
    const char *name;
    bool running;
    double progress, seconds;
    int64_t fresh; /* -1: not known */
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
    /* Until it is judged, what is wanted is only opened, or joined with its rows. */
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

static int put_curve(const struct hnsw *hnsw, struct buffer *out)
{
    struct hnsw_recall curve[HNSW_RECALLS];
    int points = hnsw != NULL ? hnsw_recall(hnsw, curve) : 0;
    int rc = buffer_append_text(out, "  \"recall\": [");
    for (int i = 0; rc == 0 && i < points; i++)
        rc = buffer_printf(out, "%s{\"ef\": %u, \"recall\": %.4f}", i > 0 ? ", " : "", curve[i].ef,
                           (double)curve[i].recall);
    return rc < 0 ? rc : buffer_append_text(out, "],\n");
}

static int put_version(const struct vector_basis *basis, struct buffer *out)
{
    char text[40];
    struct tm utc;
    if (basis == NULL)
        return buffer_append_text(out, "  \"version\": null,\n");
    time_t seconds = (time_t)(basis->fetched_at / 1000000);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &utc));
    return buffer_printf(
        out, "  \"version\": {\"serial\": \"%" PRIu64 "\", \"fetched_at\": \"%s.%06dZ\"},\n",
        basis->serial, text, (int)(basis->fetched_at % 1000000));
}

static int put_state(const struct state *state, struct buffer *out)
{
    const struct hnsw *hnsw = state->graph != NULL ? state->graph->hnsw : NULL;
    const struct vector_basis *basis = state->graph != NULL ? &state->graph->basis : NULL;
    int rc = buffer_printf(out, "{\n  \"state\": \"%s\",\n  \"rows\": %u,\n", state->name,
                           hnsw != NULL ? hnsw_rows(hnsw) : 0);
    if (rc == 0)
        rc = state->fresh < 0 ? buffer_append_text(out, "  \"fresh\": null,\n")
                              : buffer_printf(out, "  \"fresh\": %" PRId64 ",\n", state->fresh);
    if (rc == 0)
        rc = buffer_printf(out,
                           "  \"bytes\": %" PRIu64 ",\n  \"saved\": %s,\n  \"m\": %u,\n"
                           "  \"ef_construction\": %u,\n",
                           hnsw != NULL ? hnsw_bytes(hnsw) : 0,
                           state->graph != NULL && state->graph->saved ? "true" : "false",
                           basis != NULL ? basis->m : VECTOR_M,
                           basis != NULL ? basis->ef_construction : VECTOR_EF_CONSTRUCTION);
    if (rc == 0)
        rc = state->running ? buffer_printf(out, "  \"progress\": %.3f,\n  \"seconds\": %.1f,\n",
                                            state->progress, state->seconds)
                            : buffer_append_text(out, "  \"progress\": null,\n");
    if (rc == 0)
        rc = put_curve(hnsw, out);
    if (rc == 0)
        rc = put_version(basis, out);
    if (rc == 0)
        rc = buffer_append_text(out, "  \"error\": ");
    if (rc == 0)
        rc = state->error.text[0] != '\0' ? json_words(out, state->error.text)
                                          : buffer_append_text(out, "null");
    return rc < 0 ? rc : buffer_append_text(out, "\n}\n");
}

int vector_index_write_state(struct vector_indexes *indexes, struct snapshot *snapshot, int column,
                             const struct space *space, struct buffer *out)
{
    struct state state = {.name = "absent", .fresh = -1};
    struct vector_entry *entry = NULL;
    if (indexes != NULL)
        entry = vector_entry_find(indexes, snapshot->key.relation, column, space);
    if (entry != NULL) {
        /* Who asks for this may be a thread that others wait for: it reads no large file, and does
         * not wait for whoever makes something there now. */
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
    int rc = put_state(&state, out);
    vector_graph_unref(state.graph);
    return rc;
}
