#include "fs/search/corpus.h"

#include "fs/base/patience.h"

#include <errno.h>
#include <stdlib.h>

/* The values of one column. */
struct column_spans {
    struct column_spans *next;
    int column;
    struct span *spans;
};

struct corpus {
    atomic_uint refs;
    struct corpus_cache *corpora;
    struct snapshot *snapshot;
    struct group_rows **groups;
    uint64_t *first;             /* number of each group's first row, then that of all rows */
    size_t *source_first;        /* each source's first group, then the number of groups */
    pthread_mutex_t breaks_lock; /* held for a moment; guards what follows */
    unsigned breaks;             /* mapping_breaks() at the last time all was whole */
    bool broken;
    /* mark of the last time that the server was found to see the same rows; or NULL */
    char *rows_mark;
    /* a thread that waits for the server may hold it (patience.h), as key_lock */
    pthread_mutex_t lock;
    struct column_spans *_Atomic spans; /* grows under the lock */
    pthread_mutex_t key_lock;           /* corpus_key.c */
};

/* ---- making ---- */

static void corpus_free(struct corpus *corpus)
{
    for (size_t i = 0; corpus->groups != NULL && i < corpus->snapshot->group_count; i++)
        group_rows_unref(corpus->groups[i]);
    for (struct column_spans *at = corpus->spans, *next; at != NULL; at = next) {
        next = at->next;
        free(at->spans);
        free(at);
    }
    free(corpus->groups);
    free(corpus->first);
    free(corpus->source_first);
    free(corpus->rows_mark);
    snapshot_unref(corpus->snapshot);
    pthread_mutex_destroy(&corpus->breaks_lock);
    pthread_mutex_destroy(&corpus->lock);
    pthread_mutex_destroy(&corpus->key_lock);
    free(corpus);
}

/* Takes the groups, which are in the order of their sources. */
static int take_groups(struct corpus *corpus)
{
    struct snapshot *snapshot = corpus->snapshot;
    size_t source = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < snapshot->group_count; i++) {
        struct group *group = snapshot->groups[i];
        rc = group_rows_get(corpus_cache_groups(corpus->corpora), group, snapshot->schema,
                            &corpus->groups[i]);
        corpus->first[i + 1] = corpus->first[i] + group->rows;
        while (source <= group->source && source < snapshot->source_count)
            corpus->source_first[source++] = i;
    }
    while (source <= snapshot->source_count)
        corpus->source_first[source++] = snapshot->group_count;
    return rc;
}

static int make(struct corpus_cache *corpora, struct snapshot *snapshot, struct corpus **out)
{
    struct corpus *corpus = calloc(1, sizeof *corpus);
    if (corpus == NULL)
        return -ENOMEM;
    corpus->refs = 1;
    corpus->corpora = corpora;
    corpus->snapshot = snapshot_ref(snapshot);
    corpus->breaks = mapping_breaks();
    pthread_mutex_init(&corpus->breaks_lock, NULL);
    pthread_mutex_init(&corpus->lock, NULL);
    pthread_mutex_init(&corpus->key_lock, NULL);
    corpus->groups = calloc(snapshot->group_count + 1, sizeof *corpus->groups);
    corpus->first = calloc(snapshot->group_count + 1, sizeof *corpus->first);
    corpus->source_first = calloc(snapshot->source_count + 1, sizeof *corpus->source_first);
    int rc = corpus->groups == NULL || corpus->first == NULL || corpus->source_first == NULL
                 ? -ENOMEM
                 : take_groups(corpus);
    if (rc < 0)
        corpus_free(corpus);
    else
        *out = corpus;
    return rc;
}

int corpus_get(struct corpus_cache *corpora, struct snapshot *snapshot, struct corpus **out,
               struct error *error)
{
    *out = corpus_cache_find(corpora, snapshot);
    if (*out != NULL)
        return 0;
    int rc = make(corpora, snapshot, out);
    if (rc < 0)
        return error_set(error, rc, "no memory for a query");
    corpus_cache_keep(corpora, *out);
    return 0;
}

struct corpus *corpus_ref(struct corpus *corpus)
{
    corpus->refs++;
    return corpus;
}

void corpus_unref(struct corpus *corpus)
{
    if (corpus != NULL && atomic_fetch_sub(&corpus->refs, 1) == 1)
        corpus_free(corpus);
}

struct snapshot *corpus_snapshot(const struct corpus *corpus) { return corpus->snapshot; }

bool corpus_intact(struct corpus *corpus)
{
    pthread_mutex_lock(&corpus->breaks_lock);
    unsigned breaks = mapping_breaks();
    if (corpus->breaks != breaks) {
        for (size_t i = 0; i < corpus->snapshot->group_count; i++)
            corpus->broken |= !group_rows_intact(corpus->groups[i]);
        corpus->breaks = breaks;
    }
    bool intact = !corpus->broken;
    pthread_mutex_unlock(&corpus->breaks_lock);
    if (!intact)
        corpus_cache_drop(corpus->corpora, corpus);
    return intact;
}

static struct group_origin origin_of(const struct corpus *corpus, size_t group)
{
    return (struct group_origin){corpus_cache_place(corpus->corpora), corpus->snapshot, group};
}

/* ---- a column ---- */

static int load_span(struct corpus *corpus, size_t number, int part_number, struct span *out,
                     struct error *error)
{
    struct group_origin origin = origin_of(corpus, number);
    const struct part *part;
    int rc = group_rows_hold(corpus->groups[number], &origin, part_number, &part, error);
    if (rc < 0)
        return rc;
    bool fixed = part->run.fixed != RUN_VARIABLE;
    if (fixed && part->run.fixed == 0 && corpus->snapshot->groups[number]->rows > 0)
        return error_set(error, -EIO, "row group %zu has vectors without a byte", number);
    *out = (struct span){.bytes = part->run.bytes,
                         .rows = corpus->snapshot->groups[number]->rows,
                         .fixed = fixed ? part->run.fixed : 0,
                         .starts = part->starts};
    if (fixed && part->run.fixed == 0) /* it has no rows */
        out->fixed = 1;
    return 0;
}

static const struct span *find_spans(const struct corpus *corpus, int column)
{
    for (const struct column_spans *at = corpus->spans; at != NULL; at = at->next)
        if (at->column == column)
            return at->spans;
    return NULL;
}

/* Under the lock. */
static int load_spans(struct corpus *corpus, int column, const atomic_bool *stop,
                      const struct span **out, struct error *error)
{
    size_t count = corpus->snapshot->group_count;
    int part = corpus->snapshot->schema->columns[column].part[PART_BINARY];
    if (part == PART_NONE)
        return error_set(error, -EINVAL, "the server gives no binary form of column \"%s\"",
                         corpus->snapshot->schema->columns[column].name);
    struct column_spans *loaded = calloc(1, sizeof *loaded);
    struct span *spans = calloc(count + 1, sizeof *spans);
    int rc =
        loaded == NULL || spans == NULL ? error_set(error, -ENOMEM, "no memory for a query") : 0;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = stop != NULL && *stop ? error_set(error, -EINTR, "stopped")
                                   : load_span(corpus, i, part, &spans[i], error);
    if (rc < 0) {
        free(loaded);
        free(spans);
        return rc;
    }
    *loaded = (struct column_spans){corpus->spans, column, spans};
    corpus->spans = loaded;
    *out = spans;
    return 0;
}

int corpus_load(struct corpus *corpus, int column, const atomic_bool *stop,
                const struct span **spans, size_t *count, struct error *error)
{
    int rc = 0;
    const struct span *found = find_spans(corpus, column);
    if (found == NULL) {
        rc = patience_lock(&corpus->lock, error);
        if (rc < 0)
            return rc;
        found = find_spans(corpus, column);
        if (found == NULL)
            rc = load_spans(corpus, column, stop, &found, error);
        pthread_mutex_unlock(&corpus->lock);
    }
    if (rc < 0)
        return rc;
    *spans = found;
    *count = corpus->snapshot->group_count;
    return 0;
}

int corpus_spans(struct corpus *corpus, int column, const struct span **spans, size_t *count,
                 struct error *error)
{
    return corpus_load(corpus, column, NULL, spans, count, error);
}

/* ---- single rows ---- */

struct corpus_row corpus_row(const struct corpus *corpus, uint64_t number)
{
    size_t low = 0, high = corpus->snapshot->group_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (corpus->first[middle] <= number)
            low = middle;
        else
            high = middle;
    }
    return (struct corpus_row){low, (uint32_t)(number - corpus->first[low])};
}

uint64_t corpus_number(const struct corpus *corpus, struct corpus_row row)
{
    return corpus->first[row.group] + row.row;
}

void corpus_pin(struct corpus *corpus, size_t group) { group_rows_pin(corpus->groups[group]); }

void corpus_unpin(struct corpus *corpus, size_t group) { group_rows_unpin(corpus->groups[group]); }

static int part_of(struct corpus *corpus, size_t group, int number, const struct part **out,
                   struct error *error)
{
    struct group_origin origin = origin_of(corpus, group);
    return group_rows_part(corpus->groups[group], &origin, number, out, error);
}

int corpus_made(struct corpus *corpus, size_t group, make_part *made, void *context,
                const struct part **out, struct error *error)
{
    return group_rows_made(corpus->groups[group], made, context, out, error);
}

bool corpus_has_room(const struct corpus *corpus, uint64_t bytes)
{
    return bytes <= group_cache_budget(corpus_cache_groups(corpus->corpora)) / 2;
}

int corpus_value(struct corpus *corpus, struct corpus_row row, int part, const uint8_t **bytes,
                 int32_t *size, struct error *error)
{
    const struct part *run;
    int rc = part_of(corpus, row.group, part, &run, error);
    if (rc == 0)
        *bytes = part_value(run, row.row, size);
    return rc;
}

/* ---- identities ---- */

/* The group's row ids, ten bytes for each row; the group is pinned. */
static int row_ids(struct corpus *corpus, size_t group, struct rowgroup *out, struct error *error)
{
    const struct part *part;
    int rc = part_of(corpus, group, schema_parts(corpus->snapshot->schema), &part, error);
    if (rc == 0 && part->run.size != (size_t)10 * corpus->snapshot->groups[group]->rows)
        rc = error_set(error, -EIO, "row group %zu has no row ids", group);
    if (rc == 0)
        *out = (struct rowgroup){.row_ids = part->run};
    return rc;
}

static struct row_key key_of(const struct group *group, struct row_id id)
{
    return (struct row_key){(uint64_t)group->source << 48 | (uint64_t)id.block << 16 | id.offset,
                            id.xmin};
}

int corpus_group_keys(struct corpus *corpus, size_t number, struct row_key *keys,
                      struct error *error)
{
    const struct group *group = corpus->snapshot->groups[number];
    struct rowgroup ids;
    corpus_pin(corpus, number);
    int rc = row_ids(corpus, number, &ids, error);
    for (uint32_t i = 0; rc == 0 && i < group->rows; i++)
        keys[i] = key_of(group, rowgroup_row_id(&ids, i));
    corpus_unpin(corpus, number);
    return rc;
}

int corpus_row_key(struct corpus *corpus, uint64_t row, struct row_key *out, struct error *error)
{
    struct corpus_row at = corpus_row(corpus, row);
    struct rowgroup ids;
    corpus_pin(corpus, at.group);
    int rc = row_ids(corpus, at.group, &ids, error);
    if (rc == 0)
        *out = key_of(corpus->snapshot->groups[at.group], rowgroup_row_id(&ids, at.row));
    corpus_unpin(corpus, at.group);
    return rc;
}

static bool is_before(const struct ctid *a, uint32_t block, uint16_t offset)
{
    return a->block < block || (a->block == block && a->offset < offset);
}

/* Finds the group whose range has this place. */
static bool find_group(const struct corpus *corpus, const struct row_key *key, size_t *out)
{
    size_t source = (size_t)(key->place >> 48);
    if (source >= corpus->snapshot->source_count)
        return false;
    size_t low = corpus->source_first[source], end = corpus->source_first[source + 1], high = end;
    struct ctid place = {(uint32_t)(key->place >> 16), (uint16_t)key->place};
    while (low < high) { /* finds the first that ends behind it */
        size_t middle = low + (high - low) / 2;
        const struct ctid *last = &corpus->snapshot->groups[middle]->range.end;
        if (is_before(&place, last->block, last->offset))
            high = middle;
        else
            low = middle + 1;
    }
    *out = low;
    return low < end;
}

static int find_in_group(struct corpus *corpus, size_t group, const struct row_key *key,
                         uint32_t *row, struct error *error)
{
    struct rowgroup ids;
    uint32_t low = 0, rows = corpus->snapshot->groups[group]->rows, high = rows;
    struct ctid place = {(uint32_t)(key->place >> 16), (uint16_t)key->place};
    int rc = row_ids(corpus, group, &ids, error);
    while (rc == 0 && low < high) { /* finds the first that is not before it */
        uint32_t middle = low + (high - low) / 2;
        struct row_id id = rowgroup_row_id(&ids, middle);
        if (is_before(&(struct ctid){id.block, id.offset}, place.block, place.offset))
            low = middle + 1;
        else
            high = middle;
    }
    if (rc < 0)
        return rc;
    struct row_id id = low < rows ? rowgroup_row_id(&ids, low) : (struct row_id){UINT32_MAX, 0, 0};
    *row = low;
    return id.block == place.block && id.offset == place.offset && id.xmin == key->xmin ? 1 : 0;
}

int corpus_find_row(struct corpus *corpus, const struct row_key *key, uint64_t *row,
                    struct error *error)
{
    size_t group;
    uint32_t number = 0;
    if (!find_group(corpus, key, &group))
        return 0;
    corpus_pin(corpus, group);
    int rc = find_in_group(corpus, group, key, &number, error);
    corpus_unpin(corpus, group);
    if (rc > 0)
        *row = corpus->first[group] + number;
    return rc;
}

bool corpus_rows_hold(struct corpus *corpus, const char *mark)
{
    char *of_version = snapshot_mark(corpus->snapshot);
    bool holds = of_version != NULL && mark_holds(of_version, mark);
    free(of_version);
    pthread_mutex_lock(&corpus->breaks_lock);
    holds |= corpus->rows_mark != NULL && mark_holds(corpus->rows_mark, mark);
    pthread_mutex_unlock(&corpus->breaks_lock);
    return holds;
}

/* Without memory for the note it is found out again. */
void corpus_note_rows(struct corpus *corpus, const char *mark)
{
    char *copy = strdup(mark);
    pthread_mutex_lock(&corpus->breaks_lock);
    char *before = corpus->rows_mark;
    corpus->rows_mark = copy;
    pthread_mutex_unlock(&corpus->breaks_lock);
    free(before);
}

/* ---- the key ---- */

struct key_place corpus_key_place(struct corpus *corpus)
{
    return (struct key_place){corpus->corpora, &corpus->key_lock};
}
