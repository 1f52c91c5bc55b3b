/* Measures hnswlib on the files of scripts/make-index-data, as bench-index does pgvecfs's own index:
 *
 *   bench-hnswlib --base F.fvecs --query F.fvecs --metric l2|ip|cosine --k 10 --m 16
 *                 --ef-construction 200 --threads 2 --ef 10,20,40,…
 *
 * Prints tab-separated lines:
 *   build_s S          inserting all rows, with `threads` threads
 *   bytes B            what hnswlib needs to search: level 0 (links, vector and label of each row) and
 *                      the links above; not its locks, levels, label map and lists of visited rows
 *   rss_bytes B        memory of the process after the build, the base's being freed
 *   ef E recall R qps Q p50_us P p99_us P      one thread, for each ef
 *
 * The true neighbours are found by an exact scan, once; they are kept beside the queries. cosine:
 * vectors of length 1 under hnswlib's inner product, as its own Python binding has it.
 */
#include "tests/bench/vectors.h"

#include <hnswlib/hnswlib.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

struct Options {
    std::string base, query, metric = "l2";
    uint32_t k = 10, m = 16, ef_construction = 200, threads = 2;
    double seconds = 0.5; // for each ef at least
    std::vector<uint32_t> efs = {10, 20, 40, 80, 160, 320};
};

static std::vector<uint32_t> numbers(const char *text)
{
    std::vector<uint32_t> out;
    for (const char *at = text; *at != 0;) {
        char *end;
        out.push_back(uint32_t(strtoul(at, &end, 10)));
        if (end == at || out.back() == 0)
            vectors_die(text, "is no list of numbers");
        at = *end == ',' ? end + 1 : end;
    }
    return out;
}

static Options options_read(int argc, char **argv)
{
    Options options;
    for (int i = 1; i < argc; i += 2) {
        std::string name = argv[i];
        if (i + 1 >= argc)
            vectors_die(argv[i], "needs a value");
        const char *value = argv[i + 1];
        if (name == "--base")
            options.base = value;
        else if (name == "--query")
            options.query = value;
        else if (name == "--metric")
            options.metric = value;
        else if (name == "--k")
            options.k = numbers(value)[0];
        else if (name == "--m")
            options.m = numbers(value)[0];
        else if (name == "--ef-construction")
            options.ef_construction = numbers(value)[0];
        else if (name == "--threads")
            options.threads = numbers(value)[0];
        else if (name == "--seconds")
            options.seconds = atof(value);
        else if (name == "--ef")
            options.efs = numbers(value);
        else
            vectors_die(argv[i], "is no option");
    }
    if (options.base.empty() || options.query.empty())
        vectors_die(argv[0], "needs --base and --query");
    if (options.metric != "l2" && options.metric != "ip" && options.metric != "cosine")
        vectors_die(options.metric.c_str(), "is none of hnswlib's metrics: l2, ip, cosine");
    return options;
}

/* ---- vectors ---- */

struct Vectors {
    vectors_file file;
    uint32_t rows, dims;

    explicit Vectors(const std::string &path) : file(vectors_map(path.c_str()))
    {
        rows = vectors_dense(path.c_str(), file, &dims);
    }
    float *row(size_t i) const { return reinterpret_cast<float *>(file.bytes + i * (4 + 4 * size_t(dims)) + 4); }
};

static double norm(const float *v, uint32_t dims)
{
    double sum = 0;
    for (uint32_t i = 0; i < dims; i++)
        sum += double(v[i]) * v[i];
    return std::sqrt(sum);
}

static double distance(const std::string &metric, const float *a, const float *b, uint32_t dims)
{
    double products = 0, squares = 0;
    for (uint32_t i = 0; i < dims; i++) {
        products += double(a[i]) * b[i];
        squares += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
    }
    if (metric == "l2")
        return std::sqrt(squares);
    return metric == "ip" ? -products : 1 - products / (norm(a, dims) * norm(b, dims));
}

static void parallel(uint32_t threads, size_t count, const std::function<void(size_t)> &work)
{
    std::atomic<size_t> next{0};
    std::vector<std::thread> others;
    auto run = [&] {
        for (size_t i; (i = next++) < count;)
            work(i);
    };
    for (uint32_t t = 1; t < threads; t++)
        others.emplace_back(run);
    run();
    for (auto &other : others)
        other.join();
}

/* float32 finds more rows than asked for; of these the distances are computed again, in double. */
static void truth_of_query(const Options &options, const Vectors &base, const Vectors &query, size_t q,
                           hnswlib::SpaceInterface<float> &space, const std::vector<float> &norms,
                           truth &out)
{
    std::vector<std::pair<float, uint32_t>> near(base.rows);
    auto measure = space.get_dist_func();
    for (uint32_t i = 0; i < base.rows; i++) {
        float rank = measure(query.row(q), base.row(i), space.get_dist_func_param());
        near[i] = {options.metric == "cosine" ? (rank - 1) / norms[i] : rank, i};
    }
    size_t some = std::min<size_t>(base.rows, options.k + 100);
    std::partial_sort(near.begin(), near.begin() + long(some), near.end());
    std::vector<std::pair<double, uint32_t>> best;
    for (size_t i = 0; i < some; i++)
        best.emplace_back(distance(options.metric, query.row(q), base.row(near[i].second), base.dims),
                          near[i].second);
    std::sort(best.begin(), best.end());
    for (uint32_t i = 0; i < options.k; i++) {
        out.rows[q * options.k + i] = best[i].second;
        out.distances[q * options.k + i] = best[i].first;
    }
}

static truth truth_get(const Options &options, const Vectors &base, const Vectors &query,
                       hnswlib::SpaceInterface<float> &space)
{
    truth out;
    char path[4096];
    truth_path(path, sizeof path, options.query.c_str(), options.metric.c_str(), options.k);
    if (truth_read(&out, path, options.base.c_str(), base.rows, query.rows, options.k))
        return out;
    std::vector<float> norms(base.rows);
    for (uint32_t i = 0; i < base.rows; i++)
        norms[i] = std::max(float(norm(base.row(i), base.dims)), 1e-30F);
    truth_init(&out, query.rows, options.k);
    parallel(options.threads, query.rows,
             [&](size_t q) { truth_of_query(options, base, query, q, space, norms, out); });
    truth_write(&out, path, base.rows);
    return out;
}

/* ---- what is measured ---- */

using Index = hnswlib::HierarchicalNSW<float>;

static std::unique_ptr<Index> build(const Options &options, const Vectors &base,
                                    hnswlib::SpaceInterface<float> &space)
{
    double from = seconds_now();
    std::unique_ptr<Index> index(new Index(&space, base.rows, options.m, options.ef_construction));
    index->addPoint(base.row(0), 0);
    parallel(options.threads, base.rows - 1, [&](size_t i) { index->addPoint(base.row(i + 1), i + 1); });
    printf("build_s\t%.3f\n", seconds_now() - from);
    size_t bytes = base.rows * index->size_data_per_element_;
    for (uint32_t i = 0; i < base.rows; i++)
        bytes += size_t(index->element_levels_[i]) * index->size_links_per_element_;
    printf("bytes\t%zu\n", bytes);
    return index;
}

static void search(const Options &options, Index &index, const std::vector<float> &queries, size_t rows,
                   uint32_t dims, uint32_t ef, std::vector<uint32_t> &found, std::vector<double> &times)
{
    index.setEf(ef);
    times.clear();
    for (double begin = seconds_now(); times.empty() || seconds_now() - begin < options.seconds;)
        for (size_t q = 0; q < rows; q++) {
            double from = seconds_now();
            auto answer = index.searchKnn(&queries[q * dims], options.k);
            times.push_back(seconds_now() - from);
            for (size_t i = options.k; !answer.empty(); answer.pop())
                found[q * options.k + --i] = uint32_t(answer.top().second);
        }
}

int main(int argc, char **argv)
{
    Options options = options_read(argc, argv);
    auto base = std::make_unique<Vectors>(options.base);
    auto query = std::make_unique<Vectors>(options.query);
    uint32_t dims = base->dims;
    if (query->dims != dims || base->rows < options.k)
        vectors_die(options.query.c_str(), "has other dimensions than the base, or that too few rows");
    hnswlib::L2Space l2(dims);
    hnswlib::InnerProductSpace ip(dims);
    hnswlib::SpaceInterface<float> &space =
        options.metric == "l2" ? static_cast<hnswlib::SpaceInterface<float> &>(l2) : ip;
    truth truth = truth_get(options, *base, *query, space);

    std::vector<float> queries;
    for (uint32_t q = 0; q < query->rows; q++)
        queries.insert(queries.end(), query->row(q), query->row(q) + dims);
    if (options.metric == "cosine") {
        auto shorten = [&](float *v) {
            double length = norm(v, dims);
            for (uint32_t i = 0; i < dims; i++)
                v[i] = float(v[i] / (length > 0 ? length : 1));
        };
        for (uint32_t i = 0; i < base->rows; i++)
            shorten(base->row(i));
        for (uint32_t q = 0; q < query->rows; q++)
            shorten(&queries[size_t(q) * dims]);
    }
    auto index = build(options, *base, space);
    vectors_unmap(base->file);
    malloc_trim(0);
    printf("rss_bytes\t%llu\n", (unsigned long long)memory_resident());

    Vectors exact(options.base); // for the distances of rows found, after the measuring
    std::vector<uint32_t> found(size_t(query->rows) * options.k);
    std::vector<double> times;
    for (uint32_t ef : options.efs) {
        search(options, *index, queries, query->rows, dims, ef, found, times);
        size_t hits = 0;
        for (size_t i = 0; i < found.size(); i++) {
            size_t q = i / options.k;
            hits += size_t(truth_has(&truth, uint32_t(q), found[i],
                                     distance(options.metric, query->row(q), exact.row(found[i]), dims)));
        }
        char what[32];
        snprintf(what, sizeof what, "ef\t%u", ef);
        print_latencies(what, double(hits) / double(found.size()), times.data(), times.size());
    }
    truth_clear(&truth);
    vectors_unmap(exact.file);
    vectors_unmap(query->file);
    return 0;
}
