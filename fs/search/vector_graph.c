/* The binding of an index file (hnsw_binding) is a record:
 *
 *   u32 version of this layout | u64 system id | u32 database | u32 relation | u64 lineage
 *   | u8 lasting | u32 column | its name | its type | u32 m | u32 ef_construction | u64 serial
 *   | u64 fetched_at
 */
#include "fs/search/vector_graph.h"

#include "codec/record.h"
#include "fs/base/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { LAYOUT = 1 };

/* ---- what the rows are of ---- */

int vector_basis_init(struct vector_basis *basis, const struct snapshot *snapshot, int column)
{
    const struct column *of = &snapshot->schema->columns[column];
    *basis = (struct vector_basis){.system_id = snapshot->key.system_id,
                                   .database = snapshot->key.database,
                                   .relation = snapshot->key.relation,
                                   .lineage = snapshot->lineage,
                                   .lasting = snapshot->schema->with_row_ids,
                                   .column = (uint32_t)column,
                                   .name = strdup(of->name),
                                   .type = strdup(of->type_name),
                                   .serial = snapshot->serial,
                                   .fetched_at = snapshot->fetched_at};
    if (basis->name != NULL && basis->type != NULL)
        return 0;
    vector_basis_clear(basis);
    return -ENOMEM;
}

void vector_basis_clear(struct vector_basis *basis)
{
    free(basis->name);
    free(basis->type);
    *basis = (struct vector_basis){0};
}

bool vector_basis_fits(const struct vector_basis *basis, const struct snapshot *snapshot,
                       int column)
{
    const struct schema *schema = snapshot->schema;
    if (column < 0 || column >= schema->column_count)
        return false;
    const struct column *of = &schema->columns[column];
    return basis->system_id == snapshot->key.system_id &&
           basis->database == snapshot->key.database && basis->relation == snapshot->key.relation &&
           basis->lineage == snapshot->lineage && basis->m == VECTOR_M &&
           basis->ef_construction == VECTOR_EF_CONSTRUCTION &&
           (basis->lasting || basis->serial == snapshot->serial) &&
           basis->column == (uint32_t)column && strcmp(basis->name, of->name) == 0 &&
           strcmp(basis->type, of->type_name) == 0;
}

static void basis_put(const struct vector_basis *basis, struct text *out)
{
    record_put_u32(out, LAYOUT);
    record_put_u64(out, basis->system_id);
    record_put_u32(out, basis->database);
    record_put_u32(out, basis->relation);
    record_put_u64(out, basis->lineage);
    record_put_u8(out, basis->lasting);
    record_put_u32(out, basis->column);
    record_put_string(out, basis->name);
    record_put_string(out, basis->type);
    record_put_u32(out, basis->m);
    record_put_u32(out, basis->ef_construction);
    record_put_u64(out, basis->serial);
    record_put_u64(out, (uint64_t)basis->fetched_at);
}

static int basis_get(const struct buffer *record, struct vector_basis *out)
{
    struct record_reader in = {.at = record->data, .end = record->data + record->size};
    bool known = record_get_u32(&in) == LAYOUT;
    *out = (struct vector_basis){0};
    if (!known)
        return -EBADMSG;
    out->system_id = record_get_u64(&in);
    out->database = record_get_u32(&in);
    out->relation = record_get_u32(&in);
    out->lineage = record_get_u64(&in);
    out->lasting = record_get_u8(&in) != 0;
    out->column = record_get_u32(&in);
    out->name = record_get_string(&in);
    out->type = record_get_string(&in);
    out->m = record_get_u32(&in);
    out->ef_construction = record_get_u32(&in);
    out->serial = record_get_u64(&in);
    out->fetched_at = record_get_microseconds(&in);
    if (!in.bad && in.at == in.end)
        return 0;
    vector_basis_clear(out);
    return -EBADMSG;
}

/* ---- in memory ---- */

int vector_graph_new(struct hnsw *hnsw, struct vector_basis *basis, struct vector_graph **out)
{
    struct vector_graph *graph = calloc(1, sizeof *graph);
    if (graph == NULL) {
        hnsw_free(hnsw);
        vector_basis_clear(basis);
        return -ENOMEM;
    }
    graph->refs = 1;
    graph->hnsw = hnsw;
    graph->basis = *basis;
    *basis = (struct vector_basis){0};
    pthread_mutex_init(&graph->lock, NULL);
    *out = graph;
    return 0;
}

int vector_graph_copy(const struct vector_graph *from, struct vector_graph **out)
{
    struct hnsw *hnsw;
    struct vector_basis basis = from->basis;
    basis.name = strdup(from->basis.name);
    basis.type = strdup(from->basis.type);
    int rc = basis.name == NULL || basis.type == NULL ? -ENOMEM : hnsw_copy(from->hnsw, &hnsw);
    if (rc < 0) {
        vector_basis_clear(&basis);
        return rc;
    }
    if (!vector_graph_is_intact(from)) {
        hnsw_free(hnsw);
        vector_basis_clear(&basis);
        return -EBADMSG;
    }
    rc = vector_graph_new(hnsw, &basis, out);
    if (rc == 0)
        (*out)->saved = from->saved;
    return rc;
}

bool vector_graph_is_intact(const struct vector_graph *graph)
{
    return graph->mapping == NULL || mapping_is_intact(graph->mapping);
}

struct vector_graph *vector_graph_ref(struct vector_graph *graph)
{
    atomic_fetch_add(&graph->refs, 1);
    return graph;
}

void vector_graph_unref(struct vector_graph *graph)
{
    if (graph == NULL || atomic_fetch_sub(&graph->refs, 1) > 1)
        return;
    for (int i = 0; i < graph->idle_count; i++)
        hnsw_searcher_free(graph->idle[i]);
    hnsw_free(graph->hnsw);
    mapping_close(graph->mapping);
    vector_basis_clear(&graph->basis);
    pthread_mutex_destroy(&graph->lock);
    free(graph);
}

int vector_graph_searcher(struct vector_graph *graph, struct hnsw_searcher **out)
{
    struct hnsw_searcher *idle = NULL;
    pthread_mutex_lock(&graph->lock);
    if (graph->idle_count > 0)
        idle = graph->idle[--graph->idle_count];
    pthread_mutex_unlock(&graph->lock);
    if (idle == NULL)
        return hnsw_searcher_new(graph->hnsw, out);
    *out = idle;
    return 0;
}

void vector_graph_done(struct vector_graph *graph, struct hnsw_searcher *searcher)
{
    pthread_mutex_lock(&graph->lock);
    if (searcher != NULL && graph->idle_count < SEARCHERS_KEPT) {
        graph->idle[graph->idle_count++] = searcher;
        searcher = NULL;
    }
    pthread_mutex_unlock(&graph->lock);
    hnsw_searcher_free(searcher);
}

/* ---- on disk ---- */

uint64_t vector_graph_id(int column, const struct space *space)
{
    uint32_t of[] = {(uint32_t)column, space->element, space->metric, space->dims};
    return hash64(of, sizeof of);
}

/* Opens no link, and no file that would have to be waited for. Mapping costs nothing, however large
 * the file is: hnsw_open looks at its head first. */
static int map_file(struct store *store, uint32_t relation, uint64_t id, struct mapping **out)
{
    char name[STORE_INDEX_NAME];
    int folder = store_open_index(store, relation, id, name);
    if (folder < 0)
        return folder;
    int file = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    int rc = file < 0 ? -errno : mapping_open(file, UINT64_MAX, out);
    close(folder);
    if (file >= 0)
        close(file);
    return rc;
}

static int open_mapped(struct mapping *mapping, const struct space *space, const atomic_bool *stop,
                       struct vector_graph **out, struct error *error)
{
    struct hnsw *hnsw;
    struct buffer binding = {0};
    struct vector_basis basis;
    size_t size;
    const uint8_t *bytes = mapping_bytes(mapping, &size);
    int rc = hnsw_open(&(struct hnsw_image){bytes, size}, space, stop, &hnsw, &binding, error);
    if (rc == 0) {
        rc = basis_get(&binding, &basis);
        if (rc < 0)
            hnsw_free(hnsw);
    }
    buffer_clear(&binding);
    return rc < 0 ? rc : vector_graph_new(hnsw, &basis, out);
}

int vector_graph_open(struct store *store, const struct snapshot *snapshot, int column,
                      const struct space *space, const atomic_bool *stop, struct vector_graph **out,
                      struct error *error)
{
    struct mapping *mapping;
    struct vector_graph *graph;
    uint64_t id = vector_graph_id(column, space);
    int rc = map_file(store, snapshot->key.relation, id, &mapping);
    if (rc == -ENOSPC)
        return error_set(error, rc, "too many files are mapped");
    if (rc < 0)
        return rc;
    rc = open_mapped(mapping, space, stop, &graph, error);
    if (rc < 0) {
        mapping_close(mapping);
        return rc;
    }
    graph->saved = graph->mapped = true;
    graph->mapping = mapping;
    if (!vector_basis_fits(&graph->basis, snapshot, column)) {
        vector_graph_unref(graph);
        return error_set(error, -ESTALE, "it is of other rows");
    }
    *out = graph;
    return 0;
}

struct saving {
    const struct vector_graph *graph;
    const struct hnsw_binding *binding;
    const struct fetch_place *place;
    const atomic_bool *stop;
    struct error *error;
};

static int save(void *context, int folder, const char *name)
{
    const struct saving *saving = context;
    return hnsw_save(saving->graph->hnsw, saving->binding, folder, name, saving->stop,
                     saving->error);
}

/* Whether a relation's row groups must stay: an index must not drive out the rows that it is made
 * of. */
static bool in_use(void *context, uint32_t relation)
{
    const struct saving *saving = context;
    const struct fetch_place *place = saving->place;
    return relation == saving->graph->basis.relation || place->in_use == NULL ||
           place->in_use(place->context, relation);
}

int vector_graph_save(struct vector_graph *graph, const struct fetch_place *place,
                      const atomic_bool *stop, struct error *error)
{
    struct text record = {0};
    basis_put(&graph->basis, &record);
    int rc = record.failed;
    if (rc == 0) {
        struct hnsw_binding binding = {record.bytes.data, record.bytes.size};
        struct saving saving = {graph, &binding, place, stop, error};
        uint64_t size = hnsw_bytes(graph->hnsw) + record.bytes.size;
        uint64_t id = vector_graph_id((int)graph->basis.column, hnsw_space(graph->hnsw));
        uint32_t relation = graph->basis.relation;
        if (!store_make_room(place->store, size, false, in_use, &saving))
            rc = error_set(error, -ENOSPC,
                           "%llu bytes more do not fit into the cache; a larger -o cache_size "
                           "would keep it",
                           (unsigned long long)size);
        else
            rc = store_put_index(place->store, relation, id, size, save, &saving);
    }
    text_clear(&record);
    graph->saved = rc == 0;
    return rc;
}
