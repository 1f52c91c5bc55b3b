/* The server makes the answer: by its own ORDER BY … LIMIT, once for each query. */
#include "fs/search/answer_parts.h"

#include "codec/copy_stream.h"
#include "pgclient/search_nearest.h"

#include <errno.h>
#include <stdlib.h>

/* Takes one query's rows as they come. */
struct taking {
    struct answer *answer;
    struct copy_stream stream;
    struct rowgroup_builder *builder;
};

static int take_row(void *context, const uint8_t *tuple, size_t size)
{
    struct taking *taking = context;
    int rc = answer_fits(taking->answer, taking->answer->taken += size);
    return rc < 0 ? rc : rowgroup_builder_add(taking->builder, tuple, size, taking->answer->error);
}

static int take_bytes(void *context, const uint8_t *bytes, size_t size)
{
    struct taking *taking = context;
    return copy_stream_feed(&taking->stream, bytes, size, take_row, taking, taking->answer->error);
}

static int no_memory(const struct answer *answer)
{
    return error_set(answer->error, -ENOMEM, "no memory for the answer");
}

static int take_group(struct answer *answer, struct session *session,
                      const struct search_nearest *search, struct rowgroup **out)
{
    struct taking taking = {.answer = answer,
                            .stream = {.fields = rowgroup_fields(answer->schema)}};
    if (rowgroup_builder_new(answer->schema, &taking.builder) < 0)
        return no_memory(answer);
    uint64_t said = 0;
    int rc = search_nearest(session, search, take_bytes, &taking, &said, answer->error);
    if (rc == 0)
        rc = copy_stream_end(&taking.stream, said, answer->error);
    if (rc == 0 && rowgroup_builder_finish(taking.builder, out) < 0)
        rc = no_memory(answer);
    copy_stream_clear(&taking.stream);
    rowgroup_builder_free(taking.builder);
    return rc == -EBADMSG ? -EIO : rc;
}

/* Takes a query's rows. An index of the server's may have found fewer than match; then the server
 * looks at all rows. */
static int take_all(struct answer *answer, struct session *session, struct search_nearest *search,
                    struct buffer *out)
{
    struct rowgroup *group = NULL;
    uint64_t taken = answer->taken;
    search->no_index = answer->question->mode == MODE_EXACT;
    int rc = take_group(answer, session, search, &group);
    if (rc == 0 && group->rows < search->k && !search->no_index) {
        rowgroup_free(group);
        group = NULL;
        answer->taken = taken;
        search->no_index = true;
        rc = take_group(answer, session, search, &group);
    }
    if (rc == 0) {
        answer->returned += group->rows;
        rc = answer->returned > ANSWER_ROWS_MOST
                 ? error_set(answer->error, -EINVAL,
                             "%zu vectors with %u rows each are too many: an answer has %d at most",
                             answer->query_count, answer->question->k, ANSWER_ROWS_MOST)
                 : 0;
    }
    if (rc == 0) {
        rc = formats[answer->format]->body(answer->schema, group, NULL, out);
        if (rc == -ENOMEM)
            no_memory(answer);
        else if (rc == -EBADMSG)
            rc = error_set(answer->error, -ESTALE, /* by now the column's type may be another */
                           "the server sent a value that is none of its type");
        if (rc == 0)
            rc = answer_fits(answer, out->size);
    }
    rowgroup_free(group);
    return rc;
}

/* The key of the row that is left out. */
struct except {
    struct search_value values[KEY_COLUMNS_MOST];
    struct buffer texts;
};

static int find_except(struct answer *answer, struct except *except, struct search_nearest *search)
{
    const struct schema *schema = answer->snapshot->schema;
    size_t starts[KEY_COLUMNS_MOST];
    if (!answer->by_key)
        return 0;
    int rc = corpus_key_columns(answer->corpus, &answer->key, answer->error);
    for (int i = 0; rc == 0 && i < answer->key.count; i++) {
        starts[i] = except->texts.size;
        rc = corpus_put_key(answer->corpus, answer->key.columns[i], answer->except, &except->texts,
                            answer->error);
        if (rc == 0)
            rc = buffer_append_byte(&except->texts, '\0');
    }
    if (rc < 0)
        return rc == -ENOMEM ? no_memory(answer) : rc;
    for (int i = 0; i < answer->key.count; i++)
        except->values[i] = (struct search_value){schema->columns[answer->key.columns[i]].name,
                                                  (char *)except->texts.data + starts[i]};
    search->except = except->values;
    search->except_count = (size_t)answer->key.count;
    if (!answer->typed)
        search->dims = answer->space.dims;
    return 0;
}

/* What the mount itself would refuse: the server has no distance for it, and no row. */
static int check_query(struct answer *answer, const uint8_t *value, size_t size)
{
    struct query *query;
    if (answer->space.metric != METRIC_COSINE)
        return 0;
    int rc = query_new(&answer->space, value, size, &query, answer->error);
    if (rc == 0)
        query_free(query);
    return rc;
}

static int ask_each(struct answer *answer, struct session *session, struct search_nearest *search,
                    struct buffer *out)
{
    const struct type *type = answer->snapshot->schema->columns[answer->column].type;
    struct buffer text = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < answer->query_count; i++) {
        size_t size;
        const uint8_t *value = answer_vector(answer, i, &size);
        text.size = 0;
        rc = check_query(answer, value, size);
        if (rc < 0)
            break;
        rc = type->text(value, size, &text);
        if (rc == 0)
            rc = buffer_append_byte(&text, '\0');
        if (rc < 0) {
            rc = no_memory(answer);
            break;
        }
        search->number = (uint32_t)i;
        search->query = (const char *)text.data;
        rc = take_all(answer, session, search, out);
    }
    buffer_clear(&text);
    return rc;
}

struct asking {
    struct search_nearest *search;
    struct buffer *out;
    uint64_t taken, returned; /* as they were at the beginning */
    size_t size;
};

static int ask_all(struct answer *answer, struct session *session, const struct version_key *now,
                   void *context)
{
    (void)now;
    const struct asking *asking = context;
    answer->taken = asking->taken;
    answer->returned = asking->returned;
    asking->out->size = asking->size;
    return ask_each(answer, session, asking->search, asking->out);
}

int answer_server(struct answer *answer, struct buffer *out)
{
    const struct question *question = answer->question;
    const struct schema *schema = answer->snapshot->schema;
    struct except except = {.texts = {0}};
    struct search_nearest search = {
        .relation = &answer->snapshot->relation,
        .schema = answer->schema,
        .column = answer_column_name(answer),
        .type = schema->columns[answer->column].type->name,
        .metric = metric_operator(answer->space.metric),
        .condition = question->filter,
        .k = question->k,
        .ef = question->ef,
        .stop = answer->stop,
    };
    const char **names = calloc((size_t)answer->schema->column_count, sizeof *names);
    if (names == NULL)
        return no_memory(answer);
    for (int i = 0; i < answer->schema->column_count - 1; i++)
        names[i] = answer->sources[i] >= 0 ? schema->columns[answer->sources[i]].name : NULL;
    search.names = names;
    struct asking asking = {&search, out, answer->taken, answer->returned, out->size};
    int rc = find_except(answer, &except, &search);
    if (rc == 0)
        rc = answer_on_server(answer, ask_all, &asking);
    free(names);
    buffer_clear(&except.texts);
    answer->method = METHOD_SERVER;
    return rc;
}
