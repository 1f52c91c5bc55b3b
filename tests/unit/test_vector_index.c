/* Indexes over a corpus that is made up here: its functions stand in for those of fs/search/corpus.c. */
#include "fs/search/vector_index.h"

#include "fs/base/log.h"
#include "fs/base/patience.h"
#include "fs/search/vector_indexes.h"
#include "tests/unit/clusters.h"
#include "tests/unit/place.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { GROUP_ROWS = 200, GROUPS_MOST = 40, COLUMN = 1 };

static const struct space clustered = {ELEMENT_FLOAT32, METRIC_L2, 16};
static const struct space angles = {ELEMENT_FLOAT32, METRIC_COSINE, 16};

/* ---- a table whose rows are those of `v` that its groups name ---- */

struct table_group {
    uint64_t id;
    uint32_t count;
    uint32_t rows[GROUP_ROWS];
};

static struct fixture {
    struct place place;
    struct vector_indexes *indexes;
    uint64_t memory;
    struct vectors v;
    struct table_group groups[GROUPS_MOST];
    size_t group_count;
    uint64_t next_id, serial, lineage;
    bool lasting, intact, no_memory, dropped;
    const char *column_name;
} fixture;

struct corpus {
    atomic_uint refs;
    struct snapshot *snapshot;
    struct span spans[GROUPS_MOST];
    struct buffer bytes[GROUPS_MOST];
    uint64_t starts[GROUPS_MOST][GROUP_ROWS + 1];
    struct row_key *keys;
};

static atomic_int corpus_cache_alive, spans_asked, keys_asked;
static _Thread_local int keys_asked_here, files_read_here; /* by this thread */

struct corpus *corpus_ref(struct corpus *corpus)
{
    atomic_fetch_add(&corpus->refs, 1);
    return corpus;
}

static atomic_int dangling;

/* Whoever lets go of a corpus may still look at how long it may wait: at a flag of an entry that
 * nobody may remove meanwhile. */
static void look_at_patience(void)
{
    struct vector_indexes *indexes = fixture.indexes;
    const atomic_bool *stop = patience_stop();
    bool safe = false;
    if (stop == NULL)
        return;
    pthread_mutex_lock(&indexes->lock);
    for (const struct vector_entry *entry = indexes->entries; entry != NULL; entry = entry->next)
        safe |= &entry->stop == stop && (entry->building || entry->users > 0);
    pthread_mutex_unlock(&indexes->lock);
    dangling += !safe;
}

void corpus_unref(struct corpus *corpus)
{
    look_at_patience();
    if (corpus == NULL || atomic_fetch_sub(&corpus->refs, 1) > 1)
        return;
    for (int i = 0; i < GROUPS_MOST; i++)
        buffer_clear(&corpus->bytes[i]);
    free(corpus->keys);
    snapshot_unref(corpus->snapshot);
    free(corpus);
    corpus_cache_alive--;
}

struct snapshot *corpus_snapshot(const struct corpus *corpus) { return corpus->snapshot; }

int corpus_spans(struct corpus *corpus, int column, const struct span **spans, size_t *count,
                 struct error *error)
{
    (void)error;
    must(column == COLUMN);
    *spans = corpus->spans;
    *count = corpus->snapshot->group_count;
    spans_asked++;
    return 0;
}

static atomic_bool gate_closed; /* who builds waits at it, */
static atomic_int at_gate;      /* as so many do */

static void pass_gate(const atomic_bool *stop)
{
    at_gate++;
    while (gate_closed && !*stop)
        usleep(1000);
    at_gate--;
}

int corpus_load(struct corpus *corpus, int column, const atomic_bool *stop,
                const struct span **spans, size_t *count, struct error *error)
{
    pass_gate(stop);
    return *stop               ? -EINTR
           : fixture.no_memory ? -ENOMEM
                               : corpus_spans(corpus, column, spans, count, error);
}

int corpus_group_keys(struct corpus *corpus, size_t group, struct row_key *keys,
                      struct error *error)
{
    (void)error;
    must(fixture.lasting);
    uint64_t first = 0;
    for (size_t i = 0; i < group; i++)
        first += corpus->snapshot->groups[i]->rows;
    memcpy(keys, corpus->keys + first, corpus->snapshot->groups[group]->rows * sizeof *keys);
    keys_asked++;
    keys_asked_here++;
    return 0;
}

int corpus_row_key(struct corpus *corpus, uint64_t row, struct row_key *out, struct error *error)
{
    (void)error;
    must(row < corpus->snapshot->rows);
    *out = corpus->keys[row];
    return 0;
}

bool corpus_intact(struct corpus *corpus) { return corpus != NULL && fixture.intact; }

static void fill_group(struct corpus *corpus, size_t number, struct snapshot *snapshot)
{
    const struct table_group *from = &fixture.groups[number];
    struct group *group = calloc(1, sizeof *group);
    struct buffer *bytes = &corpus->bytes[number];
    must(group != NULL);
    group->refs = 1;
    group->kept = true;
    group->store = fixture.place.store;
    group->relation = PLACE_RELATION;
    group->id = from->id;
    group->rows = from->count;
    for (uint32_t i = 0; i < from->count; i++) {
        struct span one = vectors_span(&fixture.v, from->rows[i], 1);
        size_t size;
        const uint8_t *value = span_value(&one, 0, &size);
        corpus->starts[number][i] = bytes->size;
        must(buffer_append(bytes, value, size) == 0);
        corpus->keys[snapshot->rows + i] = vectors_key(from->rows[i]);
    }
    corpus->starts[number][from->count] = bytes->size;
    struct span *span = &corpus->spans[number];
    uint64_t size = corpus->starts[number][1];
    *span = (struct span){.bytes = bytes->data, .rows = from->count};
    if (number % 2 == 0 && size > 0 && bytes->size == from->count * size)
        span->fixed = (uint32_t)size;
    else
        span->starts = corpus->starts[number];
    must(snapshot_add_group(snapshot, group) == 0);
}

/* The table as it is now. */
static struct corpus *corpus_of(void)
{
    const struct rows_table table = {"fixed", fixture.lasting, 2, {ROWS_INT4, ROWS_VECTOR}};
    struct corpus *corpus = calloc(1, sizeof *corpus);
    must(corpus != NULL);
    corpus->keys = calloc(GROUPS_MOST * GROUP_ROWS, sizeof *corpus->keys);
    must(corpus->keys != NULL);
    corpus_cache_alive++;
    corpus->refs = 1;
    struct snapshot *snapshot;
    must(snapshot_new(fixture.place.store, &snapshot) == 0);
    corpus->snapshot = snapshot;
    snapshot->schema = rows_schema(&table);
    place_describe(snapshot, &table);
    snapshot->serial = fixture.serial;
    snapshot->lineage = fixture.lineage;
    free(snapshot->schema->columns[COLUMN].name);
    snapshot->schema->columns[COLUMN].name = place_copy(fixture.column_name);
    for (size_t i = 0; i < fixture.group_count; i++)
        fill_group(corpus, i, snapshot);
    return corpus;
}

static uint32_t new_row(void)
{
    vectors_add_some(&fixture.v);
    return fixture.v.rows - 1;
}

static void add_group(uint32_t count)
{
    struct table_group *group = &fixture.groups[fixture.group_count++];
    must(fixture.group_count <= GROUPS_MOST);
    *group = (struct table_group){.id = fixture.next_id++, .count = count};
    for (uint32_t i = 0; i < count; i++)
        group->rows[i] = new_row();
}

/* So many rows of the group are others now, from one in the midst on; the last `deleted` are gone.
 */
static void change_group(size_t number, uint32_t replaced, uint32_t deleted)
{
    struct table_group *group = &fixture.groups[number];
    group->id = fixture.next_id++;
    group->count -= deleted;
    for (uint32_t i = 0; i < replaced; i++)
        group->rows[(i + 37) % group->count] = new_row();
    fixture.serial++;
}

static void table_begin(struct space space, uint32_t rows)
{
    vectors_clear(&fixture.v);
    vectors_init(&fixture.v, space, 3);
    fixture.group_count = 0;
    for (uint32_t left = rows; left > 0;) {
        uint32_t count = left < GROUP_ROWS ? left : GROUP_ROWS;
        add_group(count);
        left -= count;
    }
    fixture.serial++;
    fixture.lineage = fixture.serial;
}

/* ---- the mount ---- */

static void mount_begin(void)
{
    must(vector_indexes_new(&fixture.place.fetch, fixture.memory, &fixture.indexes) == 0);
}

/* The relation is gone, if the test says so, and all that there never were. */
static size_t keep_gone(void *context, uint32_t *relations, size_t count)
{
    (void)context;
    size_t gone = 0;
    for (size_t i = 0; i < count; i++)
        if (fixture.dropped || relations[i] != PLACE_RELATION)
            relations[gone++] = relations[i];
    return gone;
}

static void mount_end(void)
{
    vector_indexes_stop(fixture.indexes);
    vector_indexes_join(fixture.indexes);
    vector_indexes_free(fixture.indexes);
    fixture.indexes = NULL;
}

/* The cache is opened again, too. */
static void mount_again(void)
{
    mount_end();
    store_close(fixture.place.store);
    must(store_open(fixture.place.dir, &place_name, 100 << 20, &fixture.place.store, NULL) == 0);
    fixture.place.fetch.store = fixture.place.store;
    mount_begin();
}

static int set_up(void **state)
{
    (void)state;
    memset(&fixture, 0, sizeof fixture);
    place_open(&fixture.place, 100 << 20);
    fixture.memory = 256 << 20;
    fixture.serial = 1000;
    fixture.next_id = 1;
    fixture.lasting = fixture.intact = true;
    fixture.column_name = "e";
    table_begin(clustered, 1000);
    /* Without it the store would not keep indexes of the relation. */
    struct buffer record = {0};
    must(store_put_record(fixture.place.store, PLACE_RELATION, "table", &record) == 0);
    mount_begin();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mount_end();
    assert_int_equal(corpus_cache_alive, 0);
    assert_int_equal(dangling, 0);
    vectors_clear(&fixture.v);
    place_close(&fixture.place);
    return 0;
}

static struct vector_entry *the_entry(void) { return fixture.indexes->entries; }

static bool is_busy(void)
{
    struct vector_indexes *indexes = fixture.indexes;
    bool busy = false;
    pthread_mutex_lock(&indexes->lock);
    for (struct vector_entry *entry = indexes->entries; entry != NULL; entry = entry->next)
        busy |= entry->building || entry->opening || entry->wanted != NULL || entry->unread != NULL;
    pthread_mutex_unlock(&indexes->lock);
    return busy;
}

static void wait_until_built(void)
{
    for (int i = 0; is_busy(); i++) {
        if (i > 60000)
            fail_msg("it is not built within a minute");
        usleep(1000);
    }
}

static struct vector_index *get_of(struct corpus *corpus, const struct space *space, bool begin)
{
    return vector_index_get(fixture.indexes, corpus, COLUMN, space, begin);
}

/* Of the table as it is now. */
static struct vector_index *get(bool begin)
{
    struct corpus *corpus = corpus_of();
    struct vector_index *index = get_of(corpus, &fixture.v.space, begin);
    corpus_unref(corpus);
    return index;
}

static void build(void)
{
    vector_index_unref(get(true));
    wait_until_built();
}

static char *state_text(const struct space *space)
{
    struct corpus *corpus = corpus_of();
    struct buffer out = {0};
    assert_int_equal(
        vector_index_write_state(fixture.indexes, corpus_snapshot(corpus), COLUMN, space, &out), 0);
    assert_int_equal(buffer_append_byte(&out, '\0'), 0);
    corpus_unref(corpus);
    return (char *)out.data;
}

static void assert_state(const char *part)
{
    char *text = state_text(&fixture.v.space);
    if (strstr(text, part) == NULL)
        fail_msg("%s is not in %s", part, text);
    free(text);
}

static void index_path(const struct space *space, char path[600])
{
    snprintf(path, 600, "%s/%d/%016llx.hnsw", store_path(fixture.place.store), PLACE_RELATION,
             (unsigned long long)vector_graph_id(COLUMN, space));
}

static ino_t index_file(void)
{
    char path[600];
    struct stat st;
    index_path(&fixture.v.space, path);
    return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* ---- what must be true of any answer ---- */

static uint32_t row_of_key(const struct corpus *corpus, struct row_key key)
{
    for (uint32_t row = 0; row < corpus->snapshot->rows; row++)
        if (corpus->keys[row].place == key.place && corpus->keys[row].xmin == key.xmin)
            return row;
    return UINT32_MAX;
}

/* By looking at everything. */
static void assert_joined(const struct vector_index *index, const struct corpus *corpus)
{
    uint64_t rows = corpus->snapshot->rows;
    uint8_t *has_slot = calloc(rows + 1, 1);
    uint32_t live = 0, fresh = 0;
    assert_non_null(has_slot);
    for (uint32_t slot = 0; slot < hnsw_slots(index->hnsw); slot++) {
        struct row_key key;
        bool used = hnsw_key(index->hnsw, slot, &key);
        uint32_t row = used ? row_of_key(corpus, key) : UINT32_MAX;
        assert_int_equal(index->row_of_slot[slot], row);
        if (row != UINT32_MAX)
            has_slot[row] = 1;
        live += row != UINT32_MAX;
        if (index->live != NULL)
            assert_int_equal(vectors_bit(index->live, slot), row != UINT32_MAX);
    }
    if (index->live == NULL)
        assert_int_equal(live, hnsw_rows(index->hnsw));
    for (uint32_t row = 0; row < rows; row++) {
        struct span one = vectors_span(&fixture.v, vectors_row(corpus->keys[row]), 1);
        size_t size;
        const uint8_t *value = span_value(&one, 0, &size);
        if (has_slot[row] || !value_has_place(&fixture.v.space, value, size))
            continue;
        assert_true(fresh < index->fresh_count);
        assert_int_equal(index->fresh[fresh++], row);
    }
    assert_int_equal(fresh, index->fresh_count);
    free(has_slot);
}

/* Nearly all rows that are in the index are what is nearest to their own vectors. */
static void assert_finds(struct vector_index *index, const struct corpus *corpus)
{
    struct hnsw_searcher *searcher;
    struct hnsw_found found[3];
    uint32_t asked = 0, hits = 0;
    assert_int_equal(vector_index_searcher(index, &searcher), 0);
    for (uint32_t slot = 0; slot < hnsw_slots(index->hnsw); slot += 13) {
        uint32_t row = index->row_of_slot[slot], count = 0;
        if (row == UINT32_MAX)
            continue;
        struct query *query = vectors_query(&fixture.v, vectors_row(corpus->keys[row]));
        const struct hnsw_question question = {
            .query = query, .k = 3, .ef = 100, .filter = index->live};
        assert_int_equal(hnsw_search(index->hnsw, searcher, &question, found, &count, NULL), 0);
        query_free(query);
        asked++;
        for (uint32_t i = 0; i < count; i++)
            hits += index->row_of_slot[found[i].slot] == row;
    }
    vector_index_done(index, searcher);
    assert_true(asked > 0 && hits * 100 >= asked * 95);
}

static void assert_right(uint32_t fresh)
{
    struct corpus *corpus = corpus_of();
    struct vector_index *index = get_of(corpus, &fixture.v.space, false);
    assert_non_null(index);
    assert_joined(index, corpus);
    assert_finds(index, corpus);
    assert_int_equal(index->fresh_count, fresh);
    vector_index_unref(index);
    corpus_unref(corpus);
}

/* ---- tests ---- */

static void test_pays(void **state)
{
    (void)state;
    static const struct space wide = {ELEMENT_FLOAT32, METRIC_L2, 1536},
                              bits = {ELEMENT_BIT, METRIC_HAMMING, 1024},
                              sparse = {ELEMENT_SPARSE, METRIC_L2, 1000000000};
    assert_false(vector_index_pays(&wide, 4999));
    assert_true(vector_index_pays(&wide, 5000));
    assert_false(vector_index_pays(&bits, 60000));
    assert_true(vector_index_pays(&bits, 70000));
    assert_false(vector_index_pays(&sparse, 5000));
    assert_true(vector_index_pays(&sparse, 10000));
}

static void test_has_place(void **state)
{
    (void)state;
    static const struct space spaces[] = {{ELEMENT_FLOAT32, METRIC_COSINE, 3},
                                          {ELEMENT_FLOAT16, METRIC_COSINE, 3},
                                          {ELEMENT_SPARSE, METRIC_COSINE, 9}};
    for (size_t i = 0; i < 3; i++) {
        struct vectors v;
        struct space l2 = {spaces[i].element, METRIC_L2, spaces[i].dims};
        vectors_init(&v, spaces[i], 1);
        vectors_add_some(&v);
        vectors_add_zero(&v);
        vectors_add_null(&v);
        for (uint32_t row = 0; row < 3; row++) {
            struct span one = vectors_span(&v, row, 1);
            size_t size;
            const uint8_t *value = span_value(&one, 0, &size);
            assert_int_equal(value_has_place(&spaces[i], value, size), row == 0);
            assert_int_equal(value_has_place(&l2, value, size), row < 2);
        }
        vectors_clear(&v);
    }
    static const uint8_t minus_zero[] = {0, 1, 0, 0, 0x80, 0, 0, 0};
    struct space one = {ELEMENT_FLOAT32, METRIC_COSINE, 1};
    assert_false(value_has_place(&one, minus_zero, sizeof minus_zero));
}

static void test_first_use(void **state)
{
    (void)state;
    assert_state("\"state\": \"absent\"");
    assert_null(get(false));
    assert_false(is_busy());
    assert_null(get(true));
    wait_until_built();
    assert_state("\"state\": \"ready\"");
    assert_state("\"rows\": 1000,");
    assert_state("\"fresh\": 0,");
    assert_state("\"saved\": true");
    assert_state("\"progress\": null");
    assert_state("{\"ef\": ");
    assert_state(
        "\"version\": {\"serial\": \"1001\", \"fetched_at\": \"2023-11-14T22:13:20.123456Z\"}");
    assert_state("\"error\": null");
    assert_right(0);
    struct vector_index *index = get(false);
    assert_null(index->live);
    assert_int_equal(index->serial, fixture.serial);
    vector_index_unref(index);
}

/* Once joined, it is only looked up. */
static void test_joined_once(void **state)
{
    (void)state;
    build();
    int asked = spans_asked;
    struct vector_index *first = get(true), *second = get(false);
    assert_non_null(first);
    assert_ptr_equal(first, second);
    assert_int_equal(spans_asked, asked);
    vector_index_unref(first);
    vector_index_unref(second);
}

/* Other groups are joined by key, equal ones taken over, whatever comes between them. */
static void test_changed(void **state)
{
    (void)state;
    build();
    assert_right(0);
    change_group(1, 20, 10);
    int asked = keys_asked;
    assert_right(20);
    assert_int_equal(keys_asked, asked + 1);
    change_group(0, 0, 7); /* all others move up */
    assert_right(20);
    change_group(3, 5, 0);
    assert_right(25);
    struct vector_binding *bound = the_entry()->bound;
    assert_int_equal(bound->carried, 193 + 190 + 200 + 200);
    assert_int_equal(bound->dead, 20 + 10 + 7 + 5);
    assert_non_null(bound->index.live);
    change_group(1, 0, 30);
    fixture.groups[2] = fixture.groups[4]; /* one is gone, */
    fixture.group_count = 4;
    fixture.serial++;
    assert_right(25);
    add_group(40); /* and another has come */
    fixture.serial++;
    assert_right(65);
    assert_false(is_busy());
}

static void test_taken_over_as_joined(void **state)
{
    (void)state;
    build();
    assert_right(0);
    for (int round = 0; round < 12; round++) {
        change_group((size_t)round * 7 % 5, (uint32_t)round * 3, 5);
        struct corpus *corpus = corpus_of();
        struct vector_index *index = get_of(corpus, &clustered, false);
        struct vector_binding *alone, *taken = (struct vector_binding *)index;
        assert_joined(index, corpus);
        assert_int_equal(vector_binding_new(taken->graph, corpus, COLUMN, NULL, &alone, NULL), 0);
        assert_int_equal(alone->carried, 0);
        assert_true(taken->carried > 0);
        assert_int_equal(alone->dead, taken->dead);
        assert_int_equal(alone->index.fresh_count, taken->index.fresh_count);
        assert_memory_equal(alone->fresh, taken->fresh, 4 * (size_t)taken->index.fresh_count);
        assert_memory_equal(alone->slot_of_row, taken->slot_of_row, 4 * (size_t)taken->rows);
        vector_index_unref(&alone->index);
        vector_index_unref(index);
        corpus_unref(corpus);
    }
}

static void test_nulls_are_not_fresh(void **state)
{
    (void)state;
    table_begin(angles, 400);
    build();
    struct table_group *group = &fixture.groups[1];
    vectors_add_null(&fixture.v);
    group->rows[3] = fixture.v.rows - 1;
    vectors_add_zero(&fixture.v);
    group->rows[4] = fixture.v.rows - 1;
    change_group(1, 1, 0);
    assert_right(1);
    change_group(0, 2, 0);
    assert_right(3);
}

static void test_updated(void **state)
{
    (void)state;
    table_begin(clustered, 6000);
    build();
    ino_t file = index_file();
    assert_true(file != 0);
    for (size_t i = 0; i < 4; i++)
        change_group(i, 160, 0);
    struct vector_index *index = get(true); /* 1,280 rows: too many to leave, few enough to serve */
    assert_non_null(index);
    assert_int_equal(index->fresh_count, 640);
    wait_until_built();
    assert_right(0);
    assert_int_equal(index->fresh_count, 640); /* who has it keeps it */
    vector_index_unref(index);
    assert_true(index_file() != file);
    index = get(false);
    assert_int_equal(hnsw_churn(index->hnsw), 1280);
    assert_int_equal(index->serial, fixture.serial);
    vector_index_unref(index);
    for (size_t i = 10; i < 20; i++)
        change_group(i, 100, 0);
    build(); /* too much has come and gone since */
    assert_right(0);
    index = get(false);
    assert_int_equal(hnsw_churn(index->hnsw), 0);
    vector_index_unref(index);
}

static void test_not_offered(void **state)
{
    (void)state;
    table_begin(clustered, 4000);
    build();
    for (size_t i = 0; i < 7; i++)
        change_group(i, 190, 0);
    assert_null(get(false));
    assert_null(get(true));
    wait_until_built();
    assert_right(0);
}

static void test_survives(void **state)
{
    (void)state;
    build();
    ino_t file = index_file();
    mount_again();
    assert_state("\"state\": \"ready\""); /* before any query */
    assert_right(0);
    assert_false(is_busy());
    assert_true(file != 0 && index_file() == file);
    mount_again();
    change_group(2, 10, 10);
    assert_right(10);
}

/* What is mapped is used at once, and soon from memory of its own: the answers are the same. */
static void test_copied(void **state)
{
    (void)state;
    build();
    mount_again();
    change_group(3, 20, 20);
    struct vector_index *mapped = get(false), *own = get(false);
    for (int i = 0; own == mapped; i++) {
        assert_true(i < 60000);
        vector_index_unref(own);
        usleep(1000);
        own = get(false);
    }
    assert_true(((struct vector_binding *)mapped)->graph->mapped);
    assert_false(((struct vector_binding *)own)->graph->mapped);
    struct corpus *corpus = corpus_of();
    assert_joined(mapped, corpus);
    assert_joined(own, corpus);
    assert_int_equal(own->fresh_count, 20);
    assert_int_equal(own->serial, mapped->serial);
    corpus_unref(corpus);
    vector_index_unref(mapped);
    vector_index_unref(own);
    change_group(0, 0, 10);
    assert_right(20); /* taken over from the copy */
    assert_int_equal(the_entry()->bound->carried, 780);
    assert_state("\"saved\": true");
}

static void damage(off_t at, int flip, off_t size)
{
    char path[600];
    index_path(&fixture.v.space, path);
    int fd = open(path, O_RDWR);
    uint8_t byte;
    assert_true(fd >= 0);
    if (flip != 0) {
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= (uint8_t)flip;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    } else {
        assert_int_equal(ftruncate(fd, size), 0);
    }
    close(fd);
}

static void test_damaged_file(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        build();
        mount_again();
        if (kind == 0)
            damage(20, 4, 0);
        else
            damage(0, 0, kind == 1 ? 5000 : 0);
        assert_null(get(false));
        assert_true(index_file() == 0);
        assert_state("\"state\": \"absent\"");
        build();
        assert_right(0);
        assert_true(index_file() != 0);
    }
}

/* A large file is read in the background; nobody waits for it meanwhile, nor for who makes something
 * else of the entry. */
static void test_large_file(void **state)
{
    (void)state;
    build();
    ino_t file = index_file();
    mount_again();
    fixture.indexes->at_once = 1000;
    assert_null(get(false));
    struct corpus *corpus = corpus_of();
    assert_null(get_of(corpus, &fixture.v.space, false));
    pthread_mutex_lock(&the_entry()->making); /* as the builder has it, who reads the file */
    assert_null(get_of(corpus, &fixture.v.space, true));
    assert_null(get_of(corpus, &fixture.v.space, true));
    pthread_mutex_unlock(&the_entry()->making);
    corpus_unref(corpus);
    wait_until_built();
    assert_right(0);
    assert_int_equal(index_file(), file); /* and it was not built again */
}

/* Who asks how it stands has it opened, and no more, by the builder; and the next question has its
 * rows joined there, too. */
static void test_large_file_looked_at(void **state)
{
    (void)state;
    build();
    ino_t file = index_file();
    mount_again();
    fixture.indexes->at_once = 1000;
    struct vector_entry *entry =
        vector_entry_find(fixture.indexes, PLACE_RELATION, COLUMN, &clustered);
    files_read_here = keys_asked_here = 0;
    pthread_mutex_lock(&entry->making); /* the builder gets no further */
    assert_state("\"state\": \"opening\"");
    assert_state("\"state\": \"opening\"");
    pthread_mutex_unlock(&entry->making);
    wait_until_built();
    assert_state("\"state\": \"ready\"");
    assert_state("\"rows\": 1000");
    assert_state("\"fresh\": null");
    assert_null(entry->bound);
    assert_null(get(false));
    assert_null(get(true));
    wait_until_built();
    assert_int_equal(files_read_here, 0);
    assert_int_equal(keys_asked_here, 0);
    assert_right(0);
    assert_int_equal(index_file(), file);
    vector_entry_leave(fixture.indexes, entry);
    /* Nor is it waited for at the end. */
    mount_again();
    fixture.indexes->at_once = 1000;
    entry = vector_entry_find(fixture.indexes, PLACE_RELATION, COLUMN, &clustered);
    pthread_mutex_lock(&entry->making);
    assert_state("\"state\": \"opening\"");
    vector_indexes_stop(fixture.indexes);
    vector_indexes_join(fixture.indexes);
    pthread_mutex_unlock(&entry->making);
    vector_entry_leave(fixture.indexes, entry);
}

static bool has_state(const struct space *space, const char *name)
{
    char part[64], *text = state_text(space);
    snprintf(part, sizeof part, "\"state\": \"%s\"", name);
    bool has = strstr(text, part) != NULL;
    free(text);
    return has;
}

static void wait_for_state(const struct space *space, const char *name)
{
    for (int i = 0; !has_state(space, name); i++) {
        if (i > 10000)
            fail_msg("it is not %s within ten seconds", name);
        usleep(1000);
    }
}

static void want_angles(void)
{
    struct corpus *corpus = corpus_of();
    assert_null(get_of(corpus, &angles, true));
    corpus_unref(corpus);
}

/* What is there already waits for no build of another index, whoever asks for it, and says so; nor
 * is it said to be built. */
static void test_large_file_beside_build(void **state)
{
    (void)state;
    build();
    ino_t file = index_file();
    for (int asked = 0; asked < 2; asked++) {
        mount_again();
        fixture.indexes->at_once = 1000;
        gate_closed = true;
        want_angles();
        wait_for_state(&angles, "building");
        while (at_gate == 0)
            usleep(1000);
        struct vector_entry *entry =
            vector_entry_find(fixture.indexes, PLACE_RELATION, COLUMN, &clustered);
        pthread_mutex_lock(&entry->making); /* nobody opens it yet */
        if (asked)
            assert_null(get(true));
        assert_state("\"state\": \"opening\"");
        assert_state("\"progress\": null");
        pthread_mutex_unlock(&entry->making);
        vector_entry_leave(fixture.indexes, entry);
        wait_for_state(&clustered, "ready");
        struct vector_index *index = NULL;
        for (int i = 0; index == NULL && i < 10000; i++, usleep(1000))
            index = get(true); /* which has its rows joined */
        assert_non_null(index);
        vector_index_unref(index);
        assert_right(0);
        assert_true(has_state(&angles, "building"));
        assert_int_equal(at_gate, 1);
        gate_closed = false;
        wait_until_built();
        assert_true(has_state(&angles, "ready"));
        assert_int_equal(index_file(), file);
        char path[600];
        index_path(&angles, path);
        assert_int_equal(unlink(path), 0);
    }
}

/* One that has to be built stands in line behind another. */
static void test_builds_in_line(void **state)
{
    (void)state;
    gate_closed = true;
    want_angles();
    while (at_gate == 0)
        usleep(1000);
    assert_null(get(true));
    assert_state("\"state\": \"building\"");
    assert_state("\"progress\": 0.000");
    gate_closed = false;
    wait_until_built();
    assert_right(0);
    assert_true(has_state(&angles, "ready"));
}

/* A damaged one is found out there. */
static void test_large_file_damaged(void **state)
{
    (void)state;
    build();
    mount_again();
    damage(20, 4, 0);
    fixture.indexes->at_once = 1000;
    free(state_text(&clustered));
    wait_until_built();
    assert_state("\"state\": \"absent\"");
    assert_true(index_file() == 0);
}

static atomic_bool cut_when_mapped;

/* fs/search/vector_graph.c says so of a file that it has mapped, before it reads the first byte. */
int __real_madvise(void *at, size_t size, int advice);
int __wrap_madvise(void *at, size_t size, int advice);
int __wrap_madvise(void *at, size_t size, int advice)
{
    files_read_here += advice != MADV_HUGEPAGE;
    if (advice != MADV_HUGEPAGE && atomic_exchange(&cut_when_mapped, false))
        damage(0, 0, 5000);
    return __real_madvise(at, size, advice);
}

/* Between its being mapped and its being read. */
static void test_cut_while_opened(void **state)
{
    (void)state;
    build();
    mount_again();
    cut_when_mapped = true;
    assert_null(get(false));
    assert_false(cut_when_mapped);
    assert_true(index_file() == 0);
    build();
    assert_right(0);
}

/* What stands in the place of a file: a link would lead out of the cache, a pipe would have to be
 * waited for. */
static void test_no_file(void **state)
{
    (void)state;
    char path[600], other[610];
    build();
    index_path(&fixture.v.space, path);
    snprintf(other, sizeof other, "%s.other", path);
    mount_again();
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(symlink(other, path), 0);
    assert_null(get(false));
    mount_again();
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_null(get(false));
    mount_again();
    unlink(path); /* or it is gone: it is as good as damaged */
    assert_int_equal(rename(other, path), 0);
    assert_right(0);
}

static void allow_files(rlim_t most)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = most;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* What keeps a file from being opened and passes: it is neither given up nor made anew. A large one
 * is opened by the builder. */
static void no_file_for_now(uint64_t at_once)
{
    struct rlimit limit;
    build();
    ino_t file = index_file();
    mount_again();
    fixture.indexes->at_once = at_once;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    allow_files(3);
    for (int i = 0; i < 3; i++) {
        assert_null(get(true));
        wait_until_built();
    }
    allow_files(limit.rlim_cur);
    assert_null(get(true)); /* not that soon */
    assert_true(file != 0 && index_file() == file);
    the_entry()->unopened_at -= 60000;
    the_entry()->failed_at -= 600000;
    vector_index_unref(get(true));
    wait_until_built();
    assert_right(0);
    assert_int_equal(index_file(), file);
}

static void test_no_file_for_now(void **state)
{
    (void)state;
    no_file_for_now(1 << 30);
}

static void test_no_large_file_for_now(void **state)
{
    (void)state;
    no_file_for_now(1000);
}

/* Under whoever searches it: he finds it out, and the next one gets another, or none. */
static void test_cut_while_mapped(void **state)
{
    (void)state;
    build();
    mount_again();
    struct vector_index *mapped = get(false);
    assert_non_null(mapped);
    assert_true(vector_index_intact(mapped));
    damage(0, 0, 0);
    struct row_key key;
    for (uint32_t slot = 0; slot < hnsw_slots(mapped->hnsw); slot++)
        (void)hnsw_key(mapped->hnsw, slot, &key);
    assert_false(vector_index_intact(mapped));
    struct vector_index *next = get(false);
    assert_true(next != mapped);
    assert_true(next == NULL || vector_index_intact(next));
    if (next != NULL)
        vector_index_unref(next);
    vector_index_unref(mapped);
    build();
    assert_right(0);
}

/* After a rewrite the same keys may name other rows. */
static void test_of_other_rows(void **state)
{
    (void)state;
    build();
    struct corpus *before = corpus_of();
    fixture.serial++;
    fixture.lineage = fixture.serial;
    assert_null(get(false));
    build();
    assert_right(0);
    /* An answer that is still of the past does without, and does not turn back what there is. */
    assert_null(get_of(before, &clustered, true));
    assert_false(is_busy());
    assert_right(0);
    corpus_unref(before);
    mount_again();
    fixture.column_name = "renamed";
    fixture.serial++;
    assert_null(get(false));
}

static void test_no_lasting_keys(void **state)
{
    (void)state;
    fixture.lasting = false;
    build();
    struct vector_index *index = get(false);
    assert_non_null(index);
    assert_int_equal(index->fresh_count, 0);
    for (uint32_t slot = 0; slot < hnsw_slots(index->hnsw); slot++) {
        struct row_key key;
        if (hnsw_key(index->hnsw, slot, &key))
            assert_int_equal(index->row_of_slot[slot], key.place);
    }
    vector_index_unref(index);
    mount_again();
    index = get(false);
    assert_non_null(index);
    vector_index_unref(index);
    fixture.serial++; /* another version: nothing is known of its rows */
    assert_null(get(false));
    build();
    index = get(false);
    assert_non_null(index);
    vector_index_unref(index);
}

static void test_older_snapshot(void **state)
{
    (void)state;
    table_begin(clustered, 4000);
    struct corpus *before = corpus_of();
    for (size_t i = 0; i < 6; i++)
        change_group(i, 100, 0);
    build();
    struct vector_index *index = get_of(before, &clustered, true);
    assert_non_null(index);
    assert_joined(index, before);
    assert_int_equal(index->fresh_count, 600);
    assert_false(is_busy()); /* although it is far from that one */
    vector_index_unref(index);
    corpus_unref(before);
    assert_right(0);
}

static void let_time_pass(void) { the_entry()->failed_at -= 3600 * 1000; }

static void assert_not_begun(void)
{
    int asked = spans_asked;
    assert_null(get(true));
    assert_false(is_busy());
    assert_int_equal(spans_asked, asked);
}

/* How often the log has it. */
static unsigned said(const char *what)
{
    struct buffer lines = {0};
    unsigned count = 0;
    assert_int_equal(log_show(&lines), 0);
    assert_int_equal(buffer_append_byte(&lines, '\0'), 0);
    for (const char *at = (char *)lines.data; (at = strstr(at, what)) != NULL; at++)
        count++;
    buffer_clear(&lines);
    return count;
}

/* A row of other dimensions, as a column without any may have them. */
static void test_impossible(void **state)
{
    (void)state;
    unsigned failures = said("cannot be built"), refusals = said("there can be no l2 index");
    store_be16(fixture.v.bytes.data + fixture.v.starts[77], 9);
    build();
    assert_null(get(false));
    assert_state("\"state\": \"impossible\"");
    assert_state("\"error\": \"not all vectors of the column are of 16 dimensions\"");
    let_time_pass();
    assert_not_begun(); /* ever, for the same rows */
    fixture.serial++;
    build();
    assert_state("\"state\": \"impossible\"");
    assert_int_equal(said("cannot be built"), failures);              /* it is no fault, */
    assert_int_equal(said("there can be no l2 index"), refusals + 1); /* and was said */
    store_be16(fixture.v.bytes.data + fixture.v.starts[77], 16);
    fixture.serial++;
    build();
    assert_right(0);
    assert_state("\"state\": \"ready\"");
    assert_state("\"error\": null");
}

static void test_failure(void **state)
{
    (void)state;
    fixture.no_memory = true;
    build();
    assert_null(get(false));
    assert_state("\"state\": \"failed\"");
    assert_state("\"error\": \"no memory\"");
    assert_not_begun(); /* again for the same rows, so soon */
    let_time_pass();
    build();
    assert_state("\"state\": \"failed\"");
    fixture.no_memory = false;
    fixture.serial++;
    build();
    assert_right(0);
    assert_state("\"state\": \"ready\"");
    assert_state("\"error\": null");
}

static void test_broken_corpus(void **state)
{
    (void)state;
    fixture.intact = false;
    build();
    assert_null(get(false));
    assert_true(index_file() == 0);
    assert_state("\"state\": \"failed\"");
}

/* One alone is always kept, the others as far as they have room; who is dropped is mapped again. */
static void test_memory(void **state)
{
    (void)state;
    mount_end();
    fixture.memory = 4;
    mount_begin();
    build();
    struct corpus *corpus = corpus_of();
    struct space other = clustered;
    other.metric = METRIC_L1;
    vector_index_unref(get_of(corpus, &other, true));
    wait_until_built();
    int loaded = 0;
    for (struct vector_entry *entry = the_entry(); entry != NULL; entry = entry->next)
        loaded += entry->graph != NULL;
    assert_int_equal(loaded, 1);
    assert_true(the_entry()->graph->mapped); /* even one alone is too large */
    for (int i = 0; i < 4; i++) {
        struct vector_index *index = get_of(corpus, i % 2 == 0 ? &clustered : &other, false);
        assert_non_null(index);
        assert_joined(index, corpus);
        vector_index_unref(index);
    }
    assert_false(is_busy());
    corpus_unref(corpus);
}

static void test_no_room_on_disk(void **state)
{
    (void)state;
    mount_end();
    store_close(fixture.place.store);
    must(store_open(fixture.place.dir, &place_name, 10000, &fixture.place.store, NULL) == 0);
    fixture.place.fetch.store = fixture.place.store;
    mount_begin();
    build();
    assert_right(0);
    assert_state("\"saved\": false");
    assert_true(store_used(fixture.place.store) == 0);
    assert_true(index_file() == 0);
}

static void test_counted_on_disk(void **state)
{
    (void)state;
    char path[600];
    struct stat st;
    build();
    index_path(&clustered, path);
    assert_int_equal(stat(path, &st), 0);
    assert_true(store_used(fixture.place.store) == (uint64_t)st.st_size);
    mount_again();
    assert_true(store_used(fixture.place.store) == (uint64_t)st.st_size);
    store_drop_index(fixture.place.store, PLACE_RELATION, vector_graph_id(COLUMN, &clustered));
    assert_true(store_used(fixture.place.store) == 0);
    build();
    mount_end();
    store_drop_record(fixture.place.store, PLACE_RELATION, "table"); /* nobody knows its rows */
    mount_begin();
    mount_again();
    assert_true(index_file() == 0);
    assert_true(store_used(fixture.place.store) == 0);
}

static void test_dropped_relation(void **state)
{
    (void)state;
    build();
    vector_indexes_tend(fixture.indexes, keep_gone, NULL);
    assert_true(index_file() != 0);
    fixture.dropped = true;
    vector_indexes_tend(fixture.indexes, keep_gone, NULL);
    assert_null(fixture.indexes->entries);
    assert_int_equal(fixture.indexes->entry_count, 0);
    assert_true(index_file() != 0); /* it may only not be shown: the file goes with the folder */
}

/* However many columns somebody has asked the state of, others still get an index. */
static void test_many_entries(void **state)
{
    (void)state;
    struct vector_indexes *indexes = fixture.indexes;
    build();
    const struct vector_entry *built = the_entry();
    struct vector_entry *used = vector_entry_find(indexes, 1 << 20, 0, &clustered);
    assert_non_null(used);
    for (uint32_t i = 0; i < 10000; i++) {
        struct vector_entry *entry = vector_entry_find(indexes, (1 << 21) + i, 0, &clustered);
        assert_non_null(entry);
        vector_entry_leave(indexes, entry);
    }
    assert_true(indexes->entry_count <= 4096);
    assert_ptr_equal(vector_entry_find(indexes, 1 << 20, 0, &clustered), used);
    vector_entry_leave(indexes, used);
    vector_entry_leave(indexes, used);
    /* Those of relations that are not there go. */
    vector_indexes_tend(fixture.indexes, keep_gone, NULL);
    assert_int_equal(indexes->entry_count, 1);
    assert_ptr_equal(the_entry(), built);
    assert_non_null(built->graph);
    /* With all of them in use it says so, instead of making more. */
    for (uint32_t i = 0; i < 4095; i++)
        assert_non_null(vector_entry_find(indexes, (1 << 21) + i, 0, &clustered));
    assert_null(vector_entry_find(indexes, 1 << 20, 0, &clustered));
}

static void test_stopped(void **state)
{
    (void)state;
    table_begin(clustered, 8000);
    assert_null(get(true));
    mount_end(); /* in the middle, or before it has begun */
    assert_int_equal(corpus_cache_alive, 0);
    mount_begin();
    build();
    assert_right(0);
    vector_indexes_stop(fixture.indexes);
    vector_indexes_join(fixture.indexes);
    table_begin(clustered, 500);
    assert_null(get(true)); /* and nothing is begun any more */
    assert_false(is_busy());
}

static void test_searchers(void **state)
{
    (void)state;
    build();
    struct vector_index *index = get(false);
    struct hnsw_searcher *first, *second, *third;
    assert_int_equal(vector_index_searcher(index, &first), 0);
    assert_int_equal(vector_index_searcher(index, &second), 0);
    assert_ptr_not_equal(first, second);
    vector_index_done(index, first);
    assert_int_equal(vector_index_searcher(index, &third), 0);
    assert_ptr_equal(first, third);
    vector_index_done(index, second);
    vector_index_done(index, third);
    vector_index_unref(index);
    vector_index_unref(NULL);
}

/* ---- many at once ---- */

struct crowd {
    struct corpus *corpora[4];
    atomic_bool stop;
    atomic_int wrong, answered;
};

static void *ask(void *argument)
{
    struct crowd *crowd = argument;
    for (unsigned i = 0; !crowd->stop; i++) {
        struct corpus *corpus = crowd->corpora[i % 4];
        struct vector_index *index = get_of(corpus, &clustered, true);
        struct hnsw_searcher *searcher;
        if (index == NULL)
            continue;
        crowd->answered++;
        for (uint32_t n = 0; n < index->fresh_count; n++)
            crowd->wrong += index->fresh[n] >= corpus->snapshot->rows;
        crowd->wrong += vector_index_searcher(index, &searcher) != 0;
        vector_index_done(index, searcher);
        vector_index_unref(index);
    }
    return NULL;
}

static void test_many(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    static struct crowd crowd;
    pthread_t threads[THREADS];
    memset(&crowd, 0, sizeof crowd);
    for (int i = 0; i < 4; i++) {
        crowd.corpora[i] = corpus_of();
        for (size_t k = 0; k < 5; k++)
            change_group(k, 110, 0);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &crowd), 0);
    for (int i = 0; i < 60000 && crowd.answered < 200; i++) {
        usleep(1000);
        free(state_text(&clustered));
        vector_indexes_tend(fixture.indexes, keep_gone, NULL);
    }
    crowd.stop = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(crowd.wrong, 0);
    assert_true(crowd.answered >= 200);
    wait_until_built();
    for (int i = 0; i < 4; i++)
        corpus_unref(crowd.corpora[i]);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_pays),
        TEST(test_has_place),
        TEST(test_first_use),
        TEST(test_joined_once),
        TEST(test_changed),
        TEST(test_taken_over_as_joined),
        TEST(test_nulls_are_not_fresh),
        TEST(test_updated),
        TEST(test_not_offered),
        TEST(test_survives),
        TEST(test_copied),
        TEST(test_damaged_file),
        TEST(test_large_file),
        TEST(test_large_file_looked_at),
        TEST(test_large_file_beside_build),
        TEST(test_builds_in_line),
        TEST(test_large_file_damaged),
        TEST(test_cut_while_opened),
        TEST(test_no_file),
        TEST(test_no_file_for_now),
        TEST(test_no_large_file_for_now),
        TEST(test_cut_while_mapped),
        TEST(test_of_other_rows),
        TEST(test_no_lasting_keys),
        TEST(test_older_snapshot),
        TEST(test_impossible),
        TEST(test_failure),
        TEST(test_broken_corpus),
        TEST(test_memory),
        TEST(test_no_room_on_disk),
        TEST(test_counted_on_disk),
        TEST(test_dropped_relation),
        TEST(test_many_entries),
        TEST(test_stopped),
        TEST(test_searchers),
        TEST(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
