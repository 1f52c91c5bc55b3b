/* Measures index/ on the files of scripts/make-index-data, as bench-hnswlib does hnswlib:
 *
 *   bench-index --base FILE --query FILE --metric NAME --k 10 --m 16 --ef-construction 200
 *               --threads 2 --ef 10,20,40,…
 *
 * builds and prints tab-separated lines:
 *
 *   build_s S, bytes B       what hnsw_bytes says
 *   rss_bytes B              memory of the process, once all queries were answered, the base's
 * being freed ef E recall R qps Q p50_us P p99_us P      one thread, the preparing of the query
 * included
 *
 * The answers are those of hnsw_search alone; with --rescore their exact distances are computed as
 * well, from the base, which then stays in memory. And:
 *
 *   --seconds S       how long to ask for each ef, at least (0.5)
 *   --code-bits N     hnsw_options.code_bits
 *   --save DIR        saves the index, prints save_s
 *   --open DIR        opens that instead of building; prints open_ms MEDIAN LEAST MOST: from
 * hnsw_open to the first answer, in nine fresh processes
 *   --exact           no index: exact scans, against the memory bandwidth of one core
 *   --churn           20 times 10 % of the rows are deleted and as many inserted; then the recall
 * of this index and of one that is made anew of the same rows
 *   --truth           only finds the true neighbours
 *   --filter S,S,…    recall and speed where a share of S of the rows counts, and the share of the
 * queries that looked at all of these
 *
 * The true neighbours are read from where bench-hnswlib or an earlier run has put them, or found by
 * exact search.
 */
#include "tests/bench/index.h"

#include <inttypes.h>

enum { OPENS = 9 };

struct settings settings = {
    .metric = "l2",
    .k = 10,
    .m = 16,
    .ef_construction = 200,
    .efs = {10, 20, 40, 80, 160, 320},
    .ef_count = 6,
    .threads = 2,
    .seconds = 0.5,
};

struct space space;
struct values queries;

void check(int code, const char *what, const struct error *error)
{
    if (code != 0)
        vectors_die(what, error != NULL && error->text[0] != 0 ? error->text : strerror(-code));
}

/* ---- options ---- */

static uint32_t read_numbers(const char *text, double *out)
{
    uint32_t count = 0;
    for (const char *at = text; *at != 0;) {
        char *end;
        if (count == EFS_MOST)
            vectors_die(text, "too many numbers");
        out[count++] = strtod(at, &end);
        if (end == at || (*end != ',' && *end != 0) || !(out[count - 1] > 0))
            vectors_die(text, "is no list of numbers above 0");
        at = *end == ',' ? end + 1 : end;
    }
    if (count == 0)
        vectors_die(text, "is no list of numbers above 0");
    return count;
}

static double read_number(const char *text)
{
    double numbers[EFS_MOST];
    if (read_numbers(text, numbers) != 1)
        vectors_die(text, "is not one number");
    return numbers[0];
}

static void read_efs(const char *text)
{
    double numbers[EFS_MOST];
    settings.ef_count = read_numbers(text, numbers);
    for (uint32_t i = 0; i < settings.ef_count; i++)
        settings.efs[i] = (uint32_t)numbers[i];
}

static void read_option(const char *name, const char *value)
{
    if (strcmp(name, "--base") == 0)
        settings.base = value;
    else if (strcmp(name, "--query") == 0)
        settings.query = value;
    else if (strcmp(name, "--metric") == 0)
        settings.metric = value;
    else if (strcmp(name, "--save") == 0)
        settings.save = value;
    else if (strcmp(name, "--open") == 0)
        settings.open = value;
    else if (strcmp(name, "--open-once") == 0)
        settings.open_once = value;
    else if (strcmp(name, "--k") == 0)
        settings.k = (uint32_t)read_number(value);
    else if (strcmp(name, "--m") == 0)
        settings.m = (uint32_t)read_number(value);
    else if (strcmp(name, "--ef-construction") == 0)
        settings.ef_construction = (uint32_t)read_number(value);
    else if (strcmp(name, "--threads") == 0)
        settings.threads = (int)read_number(value);
    else if (strcmp(name, "--code-bits") == 0)
        settings.code_bits = (int)read_number(value);
    else if (strcmp(name, "--seconds") == 0)
        settings.seconds = read_number(value);
    else if (strcmp(name, "--ef") == 0)
        read_efs(value);
    else if (strcmp(name, "--filter") == 0)
        settings.filter_count = read_numbers(value, settings.filters);
    else
        vectors_die(name, "is no option");
}

static void read_options(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--exact") == 0)
            settings.exact = true;
        else if (strcmp(argv[i], "--churn") == 0)
            settings.churn = true;
        else if (strcmp(argv[i], "--truth") == 0)
            settings.truth = true;
        else if (strcmp(argv[i], "--rescore") == 0)
            settings.rescore = true;
        else if (i + 1 < argc)
            read_option(argv[i], argv[i + 1]), i++;
        else
            vectors_die(argv[i], "is no option, or needs a value");
    }
    if (settings.query == NULL || (settings.base == NULL && settings.open_once == NULL))
        vectors_die(argv[0], "needs --base and --query");
}

static void read_queries(void)
{
    values_load(&queries, settings.query);
    int metric = metric_find(settings.metric, strlen(settings.metric));
    if (metric < 0 || !metric_fits((enum metric)metric, queries.element))
        vectors_die(settings.metric, "is no metric for these vectors");
    space = (struct space){queries.element, (enum metric)metric, queries.dims};
}

void load_base(struct values *base)
{
    values_load(base, settings.base);
    if (base->element != space.element || base->dims != space.dims)
        vectors_die(settings.base, "its vectors are others than the queries'");
}

/* ---- --open ---- */

/* In the fresh process. */
static void answer_once(void)
{
    struct hnsw_found *found = vectors_room(settings.k, sizeof *found);
    struct hnsw_searcher *searcher;
    struct query *query;
    struct error error = {{0}};
    uint32_t count;
    size_t size;
    const uint8_t *value = span_value(&queries.span, 0, &size);
    double from = seconds_now();
    struct hnsw *hnsw = open_saved(settings.open_once);
    check(hnsw_searcher_new(hnsw, &searcher), "hnsw_searcher_new", NULL);
    check(query_new(&space, value, size, &query, &error), settings.query, &error);
    check(
        hnsw_search(hnsw, searcher,
                    &(struct hnsw_question){.query = query, .k = settings.k, .ef = settings.efs[0]},
                    found, &count, NULL),
        "hnsw_search", NULL);
    double seconds = seconds_now() - from;
    printf("%.6f\n", seconds * 1e3);
    query_free(query);
    hnsw_searcher_free(searcher);
    hnsw_free(hnsw);
    free(found);
}

static double open_in_process(void)
{
    char command[9000], line[64] = "";
    char ef[16], k[16];
    snprintf(ef, sizeof ef, "%u", settings.efs[0]);
    snprintf(k, sizeof k, "%u", settings.k);
    char *self = realpath("/proc/self/exe", NULL);
    int size = snprintf(command, sizeof command,
                        "'%s' --open-once '%s' --query '%s' --metric %s --k %s --ef %s", self,
                        settings.open, settings.query, settings.metric, k, ef);
    free(self);
    FILE *child = size < (int)sizeof command ? popen(command, "r") : NULL;
    if (child == NULL || fgets(line, sizeof line, child) == NULL || pclose(child) != 0)
        vectors_die(settings.open, "cannot be opened in a process of its own");
    return strtod(line, NULL);
}

static void measure_open(void)
{
    double ms[OPENS];
    open_in_process(); /* warms the page cache */
    for (int i = 0; i < OPENS; i++)
        ms[i] = open_in_process();
    qsort(ms, OPENS, sizeof *ms, vectors_compare_doubles);
    printf("open_ms\t%.3f\t%.3f\t%.3f\n", ms[OPENS / 2], ms[0], ms[OPENS - 1]);
}

static void measure_index(struct values *base)
{
    struct truth truth;
    struct hnsw *hnsw;
    if (settings.filter_count == 0)
        get_truth(base, &truth); /* before anything else: it may take long, and much memory */
    if (settings.open != NULL) {
        measure_open();
        hnsw = open_saved(settings.open);
    } else {
        double from = seconds_now();
        hnsw = build(base, NULL, base->span.rows);
        printf("build_s\t%.3f\n", seconds_now() - from);
    }
    printf("bytes\t%" PRIu64 "\n", hnsw_bytes(hnsw));
    fflush(stdout);
    if (settings.save != NULL)
        save(hnsw);
    if (settings.filter_count == 0) {
        measure_curve(hnsw, base, &truth);
        truth_clear(&truth);
    }
    for (uint32_t i = 0; i < settings.filter_count; i++)
        measure_filter(hnsw, base, settings.filters[i]);
    hnsw_free(hnsw);
}

int main(int argc, char **argv)
{
    struct values base;
    read_options(argc, argv);
    read_queries();
    if (settings.open_once != NULL) {
        answer_once();
        values_free(&queries);
        return 0;
    }
    load_base(&base);
    if (settings.truth) {
        struct truth truth;
        get_truth(&base, &truth);
        truth_clear(&truth);
    } else if (settings.exact)
        measure_exact(&base);
    else if (settings.churn)
        measure_churn(&base);
    else
        measure_index(&base);
    values_free(&base);
    values_free(&queries);
    return 0;
}
