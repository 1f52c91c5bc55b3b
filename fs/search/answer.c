#include "fs/search/answer_parts.h"

#include "codec/clock.h"
#include "codec/json_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static const char *const method_names[] = {
    [METHOD_EXACT] = "exact", [METHOD_HNSW] = "hnsw", [METHOD_SERVER] = "server"};
static const char *const mode_names[] = {
    [MODE_AUTO] = "auto", [MODE_EXACT] = "exact", [MODE_HNSW] = "hnsw", [MODE_SERVER] = "server"};

/* ---- the plan ---- */

static double now_ms(void) { return (double)clock_us() / 1e3; }

static void put_index(struct json_writer *json, const struct answer *answer)
{
    double age = (double)(calendar_us() - answer->index_fetched_at) / 1e6;
    json_open_object(json, "index", JSON_ONE_LINE);
    json_put_unsigned(json, "version", answer->index_serial);
    json_put_fixed(json, "age_seconds", age > 0 ? age : 0, 1);
    json_put_unsigned(json, "rows_not_in_it", answer->fresh);
    json_close(json);
    json_put_unsigned(json, "ef_search", answer->ef);
}

static void put_search(struct json_writer *json, const struct answer *answer)
{
    if (answer->method == METHOD_HNSW)
        put_index(json, answer);
    if (answer->method != METHOD_SERVER) {
        json_put_unsigned(json, "rows", answer->snapshot->rows);
        json_put_unsigned(json, "rows_matching", answer->matched);
        json_put_unsigned(json, "candidates_visited", answer->visited);
        json_put_signed(json, "threads", answer->threads);
    }
    if (answer->recall > 0)
        json_put_short(json, "recall_expected", answer->recall, 4);
}

/* Writes what is known; if the question failed early that is not much. */
static int write_plan(const struct answer *answer, int failed, double ms, struct buffer *out)
{
    const struct question *question = answer->question;
    struct json_writer json = {0};
    json_open_object(&json, NULL, JSON_LINES);
    if (failed == 0)
        json_put_words(&json, "method", method_names[answer->method]);
    if (failed == 0 && answer->why != NULL)
        json_put_words(&json, "because", answer->why);
    json_put_words(&json, "mode", mode_names[question->mode]);
    if (answer->column >= 0) {
        json_put_words(&json, "column", answer_column_name(answer));
        json_put_words(&json, "metric", metric_name(answer->space.metric));
    }
    json_put_unsigned(&json, "vectors", answer->query_count);
    json_put_unsigned(&json, "k", question->k);
    json_put_unsigned(&json, "returned", answer->returned);
    json_put_short(&json, "recall_asked", question->recall, 4);
    if (failed == 0)
        put_search(&json, answer);
    if (answer->snapshot != NULL)
        json_put_unsigned(&json, "version", answer->snapshot->serial);
    if (failed < 0)
        json_put_words(&json, "error",
                       answer->error->text[0] != '\0' ? answer->error->text : strerror(-failed));
    json_put_fixed(&json, "milliseconds", ms, 3);
    json_close(&json);
    return json_end(&json, out);
}

/* ---- the answer ---- */

int answer_fits(const struct answer *answer, uint64_t bytes)
{
    /* the share of memory= that an answer may take; for a moment it takes that twice */
    enum { SHARE = 4, LEAST = 4 << 20 };
    uint64_t most = answer->search->memory / SHARE;
    most = most < LEAST ? LEAST : most;
    if (bytes <= most)
        return 0;
    return error_set(answer->error, -EINVAL,
                     "the answer is larger than %" PRIu64
                     " MiB, a quarter of memory=; ask for fewer "
                     "rows (k) or columns, or mount with more memory",
                     most >> 20);
}

/* Chooses the server if the question asks for it, or if the rows have no ids: then they cannot be
 * filtered here. */
static void choose_server(struct answer *answer)
{
    const struct question *question = answer->question;
    const struct snapshot *snapshot = answer->snapshot;
    bool nameless = question->filter != NULL && !snapshot->schema->with_row_ids;
    bool view = snapshot->relation.kind == RELATION_VIEW;
    bool statement = snapshot->relation.kind == RELATION_STATEMENT;
    bool foreign = snapshot->relation.kind == RELATION_FOREIGN;
    if (question->mode != MODE_SERVER && !nameless)
        return;
    answer->method = METHOD_SERVER;
    if (question->mode != MODE_SERVER)
        answer->why = view        ? "rows of a view cannot be filtered here"
                      : statement ? "rows of a statement cannot be filtered here"
                      : foreign   ? "rows of a foreign table cannot be filtered here"
                                : "the table is read as one stream, whose rows cannot be filtered "
                                  "here";
}

/* Answers from the rows at hand. While the table changes all the time, the server filters other
 * rows than those at hand: then the server finds the nearest, too. */
static int answer_locally(struct answer *answer, struct buffer *out)
{
    int rc = answer_filter(answer);
    if (rc == -ESTALE && answer->last) {
        answer->why = "the table changes faster than it can be read";
        return answer_server(answer, out);
    }
    if (rc == 0)
        rc = answer_search(answer);
    return rc == 0 ? answer_rows(answer, out) : rc;
}

static int answer_once(struct answer *answer, struct buffer *out)
{
    int rc = answer_asked(answer);
    if (rc < 0)
        return rc;
    choose_server(answer);
    rc = answer_vectors(answer);
    if (rc == -ENOSPC && answer->question->mode == MODE_AUTO) {
        answer->method = METHOD_SERVER;
        answer->why = "the vectors fit neither into the cache nor into memory";
        rc = answer_vectors(answer);
    }
    if (rc == 0)
        rc = answer_columns(answer);
    if (rc < 0)
        return rc;
    rc = format_head(formats[answer->format],
                     &(struct format_view){.schema = answer->schema, .rows = ROWS_UNKNOWN}, out);
    if (rc < 0)
        return error_set(answer->error, rc, "no memory for the answer");
    return answer->method == METHOD_SERVER ? answer_server(answer, out)
                                           : answer_locally(answer, out);
}

static void answer_clear(struct answer *answer)
{
    for (size_t i = 0; answer->queries != NULL && i < answer->query_count; i++)
        query_free(answer->queries[i]);
    free(answer->queries);
    vector_batch_clear(&answer->batch);
    buffer_clear(&answer->key_vector);
    schema_free(answer->schema);
    free(answer->sources);
    free(answer->filter);
    free(answer->found);
    free(answer->counts);
    corpus_unref(answer->corpus);
    if (answer->large)
        answer_room_leave(&answer->search->room);
}

/* One attempt. *broken: a file of the cache was cut short while it was read. */
static int attempt(struct answer *answer, struct snapshot *snapshot, struct buffer *out,
                   bool *broken)
{
    int rc = corpus_get(answer->search->corpora, snapshot, &answer->corpus, answer->error);
    *broken = false;
    if (rc < 0)
        return rc;
    answer->snapshot = corpus_snapshot(answer->corpus);
    rc = answer_once(answer, out);
    *broken = !corpus_intact(answer->corpus) || answer->index_broken;
    return rc;
}

int answer_make(struct search *search, struct snapshot *snapshot, const struct question *question,
                const struct answer_way *way, struct buffer *out, struct buffer *plan,
                struct error *error)
{
    enum { ATTEMPTS = 3 };
    double start = now_ms();
    size_t before = out->size;
    struct error none = {""};
    struct answer answer = {0};
    bool broken = true;
    int rc = 0;
    for (int i = 0; broken && i < ATTEMPTS; i++) {
        answer_clear(&answer);
        out->size = before;
        answer = (struct answer){.search = search,
                                 .question = question,
                                 .format = way->format,
                                 .stop = way->stop,
                                 .last = way->last,
                                 .waits = patience_waits(),
                                 .error = error != NULL ? error : &none,
                                 .column = -1};
        rc = attempt(&answer, snapshot, out, &broken);
    }
    if (broken)
        rc = error_set(answer.error, -EIO, "files of the cache are cut short while they are read");
    if (rc < 0)
        out->size = before;
    if (plan != NULL && write_plan(&answer, rc, now_ms() - start, plan) < 0 && rc == 0)
        rc = error_set(answer.error, -ENOMEM, "no memory for the answer");
    answer_clear(&answer);
    return rc;
}
