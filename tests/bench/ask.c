/* Times whole queries, of the same vectors, a hundred in turn: through a mount's query/ask, and
 * through a prepared statement of the server (PGHOST and the like say which).
 *
 *   ask --ask FILE --table NAME --query F.fvecs --metric cosine --k 10
 *       --ef E,E,… --server-ef E,E,… [--exact] [--queries N] [--seconds S]
 *
 * NAME has id int, the row's number in the base from 0, and embedding vector. The nearest are read
 * from QUERY.METRIC.K.truth. `ef` and `server-ef` are as many, and asked for in pairs; with --exact
 * both look at all rows. Prints, tab-separated, for each pair two lines:
 *
 *   ask ef E recall R qps Q p50_us P p99_us P
 *   server ef E recall R qps Q p50_us P p99_us P
 *
 * Not timed: putting the numbers of a query into text (ask) or the server's binary, looking for the
 * ids in the answer.
 */
#include "tests/bench/vectors.h"

#include <endian.h>
#include <errno.h>
#include <libpq-fe.h>
#include <stdbool.h>

enum {
    EFS_MOST = 32,
    ANSWER_MOST = 1 << 20,
    BLOCK = 100 /* queries one way, then the other: the processor's caches are warm for both */
};

struct settings {
    const char *ask, *table, *query, *metric;
    uint32_t k, queries, efs[EFS_MOST], server_efs[EFS_MOST], ef_count, server_ef_count;
    double seconds;
    bool exact;
};

static struct settings settings = {.metric = "cosine", .k = 10, .queries = 1000, .seconds = 1};
static struct truth truth;
static uint32_t dims;
static char answer[ANSWER_MOST + 1];

static void die(const char *what, const char *why) { vectors_die(what, why); }

/* ---- options ---- */

static uint32_t read_efs(const char *text, uint32_t *out)
{
    uint32_t count = 0;
    for (const char *at = text; *at != 0;) {
        char *end;
        if (count == EFS_MOST)
            die(text, "too many numbers");
        out[count++] = (uint32_t)strtoul(at, &end, 10);
        if (end == at || (*end != ',' && *end != 0))
            die(text, "is no list of numbers");
        at = *end == ',' ? end + 1 : end;
    }
    return count;
}

static void read_option(const char *name, const char *value)
{
    if (strcmp(name, "--ask") == 0)
        settings.ask = value;
    else if (strcmp(name, "--table") == 0)
        settings.table = value;
    else if (strcmp(name, "--query") == 0)
        settings.query = value;
    else if (strcmp(name, "--metric") == 0)
        settings.metric = value;
    else if (strcmp(name, "--k") == 0)
        settings.k = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(name, "--queries") == 0)
        settings.queries = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(name, "--seconds") == 0)
        settings.seconds = strtod(value, NULL);
    else if (strcmp(name, "--ef") == 0)
        settings.ef_count = read_efs(value, settings.efs);
    else if (strcmp(name, "--server-ef") == 0)
        settings.server_ef_count = read_efs(value, settings.server_efs);
    else
        die(name, "is no option");
}

static void read_options(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--exact") == 0)
            settings.exact = true;
        else if (i + 1 < argc)
            read_option(argv[i], argv[i + 1]), i++;
        else
            die(argv[i], "is no option, or needs a value");
    }
    if (settings.ask == NULL || settings.table == NULL || settings.query == NULL)
        die(argv[0], "needs --ask, --table and --query");
    if (settings.exact)
        settings.ef_count = settings.server_ef_count = 1;
    if (settings.ef_count == 0 || settings.ef_count != settings.server_ef_count)
        die(argv[0], "needs as many --ef as --server-ef");
}

/* ---- the two ways ---- */

/* What is asked, made beforehand. */
struct question {
    char *line; /* of JSON */
    size_t line_size;
    uint8_t *binary; /* of the type vector */
};

static struct question *make_questions(const uint8_t *vectors, uint32_t ef)
{
    struct question *questions = vectors_room(settings.queries, sizeof *questions);
    for (uint32_t q = 0; q < settings.queries; q++) {
        const uint8_t *vector = vectors + (size_t)q * (4 + 4 * (size_t)dims) + 4;
        char *at = questions[q].line = vectors_room(dims + 20, 16);
        uint8_t *binary = questions[q].binary = vectors_room(4 + 4 * (size_t)dims, 1);
        uint16_t head = htobe16((uint16_t)dims);
        memcpy(binary, &head, 2);
        at += sprintf(at, "{\"vector\":[");
        for (uint32_t i = 0; i < dims; i++) {
            uint32_t bits = vectors_u32(vector + 4 * (size_t)i), swapped = htobe32(bits);
            float number;
            memcpy(&number, &bits, 4);
            memcpy(binary + 4 + 4 * (size_t)i, &swapped, 4);
            at += sprintf(at, "%s%.9g", i > 0 ? "," : "", (double)number);
        }
        at += sprintf(at, "],\"k\":%u,\"metric\":\"%s\",", settings.k, settings.metric);
        if (settings.exact)
            at += sprintf(at, "\"mode\":\"exact\"}\n");
        else
            at += sprintf(at, "\"mode\":\"hnsw\",\"ef_search\":%u}\n", ef);
        questions[q].line_size = (size_t)(at - questions[q].line);
    }
    return questions;
}

static void free_questions(struct question *questions)
{
    for (uint32_t q = 0; q < settings.queries; q++) {
        free(questions[q].line);
        free(questions[q].binary);
    }
    free(questions);
}

static uint32_t lines_in(const char *bytes, size_t size)
{
    uint32_t lines = 0;
    for (size_t i = 0; i < size; i++)
        lines += bytes[i] == '\n';
    return lines;
}

/* The answer goes into `answer`. It is whole when it has k lines; one that says what is wrong has
 * fewer, and then comes the end. */
static void ask_mount(int fd, const struct question *question)
{
    size_t size = 0;
    uint32_t lines = 0;
    ssize_t n = 1;
    if (write(fd, question->line, question->line_size) != (ssize_t)question->line_size)
        die(settings.ask, strerror(errno));
    while (lines < settings.k && (n = read(fd, answer + size, ANSWER_MOST - size)) > 0) {
        lines += lines_in(answer + size, (size_t)n);
        size += (size_t)n;
    }
    answer[size] = 0;
    if (lines != settings.k)
        die(settings.ask, n < 0 ? strerror(errno) : size > 0 ? answer : "an empty answer");
}

static PGresult *ask_server(PGconn *connection, const struct question *question)
{
    const char *values[] = {(const char *)question->binary};
    int lengths[] = {(int)(4 + 4 * dims)}, formats[] = {1};
    PGresult *result = PQexecPrepared(connection, "nearest", 1, values, lengths, formats, 1);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        die("server", PQerrorMessage(connection));
    return result;
}

static size_t hits_of_mount(uint32_t query)
{
    size_t hits = 0, rows = 0;
    for (const char *at = answer; (at = strstr(at, "\"id\":")) != NULL; at++, rows++)
        hits += (size_t)truth_has(&truth, query, (uint32_t)strtoul(at + 5, NULL, 10), 1e30);
    if (rows != settings.k)
        die(settings.ask, "an answer of another number of rows");
    return hits;
}

static size_t hits_of_server(uint32_t query, const PGresult *result)
{
    size_t hits = 0;
    if (PQntuples(result) != (int)settings.k)
        die("server", "an answer of another number of rows");
    for (int i = 0; i < PQntuples(result); i++) {
        uint32_t id = be32toh(vectors_u32((const uint8_t *)PQgetvalue(result, i, 0)));
        hits += (size_t)truth_has(&truth, query, id, 1e30);
    }
    return hits;
}

/* ---- measuring ---- */

static void execute(PGconn *connection, const char *statement)
{
    PGresult *result = PQexec(connection, statement);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        die(statement, PQerrorMessage(connection));
    PQclear(result);
}

static PGconn *connect_server(void)
{
    const char *operators[][2] = {{"l2", "<->"}, {"ip", "<#>"}, {"cosine", "<=>"}};
    const char *operation = NULL;
    char statement[1024];
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (strcmp(settings.metric, operators[i][0]) == 0)
            operation = operators[i][1];
    if (operation == NULL)
        die(settings.metric, "is none of l2, ip, cosine");
    PGconn *connection = PQconnectdb("");
    if (PQstatus(connection) != CONNECTION_OK)
        die("server", PQerrorMessage(connection));
    if (settings.exact)
        execute(connection, "SET enable_indexscan = off");
    else
        execute(connection, "SET enable_seqscan = off");
    snprintf(statement, sizeof statement,
             "SELECT id, embedding %s $1::vector AS distance FROM %s ORDER BY embedding %s "
             "$1::vector LIMIT %u",
             operation, settings.table, operation, settings.k);
    PGresult *result = PQprepare(connection, "nearest", statement, 0, NULL);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        die("server", PQerrorMessage(connection));
    PQclear(result);
    return connection;
}

struct times {
    double *seconds;
    size_t count, room, hits;
};

static void times_add(struct times *times, double seconds, size_t hits)
{
    if (times->count == times->room) {
        times->room = times->room * 2 + 1024;
        times->seconds = realloc(times->seconds, times->room * sizeof *times->seconds);
        if (times->seconds == NULL)
            die("memory", "there is not enough");
    }
    times->seconds[times->count++] = seconds;
    times->hits += hits;
}

static void times_print(struct times *times, const char *who, uint32_t ef)
{
    char what[64];
    snprintf(what, sizeof what, "%s\tef\t%u", who, ef);
    print_latencies(what, (double)times->hits / (double)(times->count * settings.k), times->seconds,
                    times->count);
    free(times->seconds);
}

static void time_mount(int fd, const struct question *questions, uint32_t first, uint32_t end,
                       struct times *times)
{
    for (uint32_t q = first; q < end; q++) {
        double from = seconds_now();
        ask_mount(fd, &questions[q]);
        double seconds = seconds_now() - from;
        times_add(times, seconds, hits_of_mount(q));
    }
}

static void time_server(PGconn *connection, const struct question *questions, uint32_t first,
                        uint32_t end, struct times *times)
{
    for (uint32_t q = first; q < end; q++) {
        double from = seconds_now();
        PGresult *result = ask_server(connection, &questions[q]);
        double seconds = seconds_now() - from;
        times_add(times, seconds, hits_of_server(q, result));
        PQclear(result);
    }
}

static void measure_pair(int fd, PGconn *connection, const uint8_t *vectors, uint32_t pair)
{
    struct question *questions = make_questions(vectors, settings.efs[pair]);
    struct times mount = {0}, server = {0};
    char statement[64];
    snprintf(statement, sizeof statement, "SET hnsw.ef_search = %u", settings.server_efs[pair]);
    if (!settings.exact)
        execute(connection, statement);
    for (uint32_t q = 0; q < settings.queries && q < 20; q++) { /* warms both */
        ask_mount(fd, &questions[q]);
        PQclear(ask_server(connection, &questions[q]));
    }
    double begin = seconds_now();
    do
        for (uint32_t q = 0; q < settings.queries; q += BLOCK) {
            uint32_t end = q + BLOCK < settings.queries ? q + BLOCK : settings.queries;
            time_mount(fd, questions, q, end, &mount);
            time_server(connection, questions, q, end, &server);
        }
    while (seconds_now() - begin < settings.seconds);
    times_print(&mount, "ask", settings.efs[pair]);
    times_print(&server, "server", settings.server_efs[pair]);
    free_questions(questions);
}

int main(int argc, char **argv)
{
    char path[4096];
    read_options(argc, argv);
    struct vectors_file file = vectors_map(settings.query);
    uint32_t rows = vectors_dense(settings.query, file, &dims);
    truth_path(path, sizeof path, settings.query, settings.metric, settings.k);
    if (!truth_read_any(&truth, path) || truth.queries != rows || truth.k != settings.k)
        die(path, "is not there, or of other queries; bench-index makes it");
    if (settings.queries > rows)
        settings.queries = rows;
    int fd = open(settings.ask, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        die(settings.ask, strerror(errno));
    PGconn *connection = connect_server();
    for (uint32_t i = 0; i < settings.ef_count; i++)
        measure_pair(fd, connection, file.bytes, i);
    PQfinish(connection);
    close(fd);
    truth_clear(&truth);
    vectors_unmap(file);
    return 0;
}
