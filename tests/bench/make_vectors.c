/* Writes the vectors that the searches are measured on; scripts/make-index-data calls it.
 *
 *   make_vectors words JSON DIR    real words of 100 dimensions, in order of frequency; every 170th
 *                                  is a query
 *   make_vectors sift DIR          300,000 of 128 dimensions, small whole numbers, none negative
 *   make_vectors big DIR           40,000 of 1536 dimensions, of length 1, and 10,000 more
 *   make_vectors bits DIR          200,000 fingerprints of 1024 bits
 *   make_vectors sparse DIR        50,000 of 30,000 dimensions, 100 to 200 of them not 0
 *
 * Into DIR/KIND.base.EXT and DIR/KIND.query.EXT (vectors.h has the formats), big-more.base.fvecs.
 * The same on every run: the generator has a fixed seed.
 */
#include "tests/bench/vectors.h"

#include <endian.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

static void die(const char *what)
{
    fprintf(stderr, "make_vectors: %s%s%s\n", what, errno != 0 ? ": " : "",
            errno != 0 ? strerror(errno) : "");
    exit(1);
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL)
        die("out of memory");
    return memory;
}

/* ---- random numbers: splitmix64 ---- */

static uint64_t random_state;

static uint64_t random64(void)
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint32_t random_below(uint32_t n) { return (uint32_t)(((random64() >> 32) * n) >> 32); }
static float random_unit(void) { return (float)(random64() >> 40) * 0x1p-24F; }

/* The sum of four even ones is near enough to normal; of variance 1. */
static float random_normal(void)
{
    uint64_t r = random64();
    int32_t sum = (int32_t)((r & 0xffff) + (r >> 16 & 0xffff) + (r >> 32 & 0xffff) + (r >> 48));
    return (float)(sum - 131070) * (1 / 37837.2F);
}

/* ---- files ---- */

static FILE *create(const char *dir, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        die(path);
    return file;
}

static void put(FILE *file, const void *bytes, size_t size)
{
    if (fwrite(bytes, 1, size, file) != size)
        die("cannot write");
}

static void put_number(FILE *file, uint32_t number) { put(file, &number, sizeof number); }

static void put_vector(FILE *file, const float *vector, uint32_t dims)
{
    put_number(file, dims);
    put(file, vector, dims * sizeof *vector);
}

static void finish(FILE *file)
{
    if (fclose(file) != 0)
        die("cannot write");
}

/* ---- words ---- */

enum { WORD_DIMS = 100, WORDS_MOST = 1 << 20, HOLD_OUT = 170 };

static char *read_all(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        die(path);
    long size = ftell(file);
    rewind(file);
    char *text = allocate((size_t)size + 1, 1);
    if (fread(text, 1, (size_t)size, file) != (size_t)size)
        die(path);
    fclose(file);
    return text;
}

/* The file is {"words":[…],"vectors":{"the":[100 numbers, norm, index],…},…}; the index is the
 * word's place by frequency. */
static void make_words(const char *json, const char *dir)
{
    char *text = read_all(json), *at = strstr(text, "\"vectors\":{");
    float *vectors = allocate((size_t)WORDS_MOST * WORD_DIMS, sizeof *vectors);
    uint32_t words = 0, largest = 0;
    errno = 0;
    if (at == NULL)
        die("no \"vectors\" in the package");
    for (at += strlen("\"vectors\":{"); *at == '"'; at++) {
        for (at++; *at != '"' && *at != 0; at++)
            at += *at == '\\' && at[1] != 0;
        float numbers[WORD_DIMS + 2];
        if (strncmp(at, "\":[", 3) != 0)
            die("a word without a vector in the package");
        at += 2;
        for (int i = 0; i < WORD_DIMS + 2; i++) {
            char *end;
            numbers[i] = strtof(at + 1, &end);
            if (end == at + 1 || *end != (i == WORD_DIMS + 1 ? ']' : ','))
                die("a vector in the package is none of 100 dimensions");
            at = end;
        }
        at++;
        uint32_t index = (uint32_t)numbers[WORD_DIMS + 1];
        if (index >= WORDS_MOST)
            die("too many words");
        memcpy(vectors + (size_t)index * WORD_DIMS, numbers, WORD_DIMS * sizeof *numbers);
        words++;
        largest = index > largest ? index : largest;
        if (*at != ',')
            break;
    }
    if (words == 0 || largest + 1 != words)
        die("the numbers of the words have gaps");
    FILE *base = create(dir, "words.base.fvecs"), *query = create(dir, "words.query.fvecs");
    for (uint32_t i = 0; i < words; i++)
        put_vector(i % HOLD_OUT == HOLD_OUT - 1 ? query : base, vectors + (size_t)i * WORD_DIMS,
                   WORD_DIMS);
    finish(base);
    finish(query);
    free(vectors);
    free(text);
}

/* ---- clusters ---- */

/* Points around the centres of a space of few dimensions, put into one of many by a random matrix.
 */
struct mixture {
    uint32_t clusters, latent, dims;
    float spread; /* of a cluster, where the centres' is 1 */
    float noise;  /* in the many dimensions */
    float *centres, *matrix, *point;
};

static void mixture_init(struct mixture *mixture)
{
    size_t centres = (size_t)mixture->clusters * mixture->latent;
    size_t cells = (size_t)mixture->latent * mixture->dims;
    mixture->centres = allocate(centres, sizeof(float));
    mixture->matrix = allocate(cells, sizeof(float));
    mixture->point = allocate(mixture->latent, sizeof(float));
    for (size_t i = 0; i < centres; i++)
        mixture->centres[i] = random_normal();
    for (size_t i = 0; i < cells; i++)
        mixture->matrix[i] = random_normal();
}

static void mixture_clear(struct mixture *mixture)
{
    free(mixture->centres);
    free(mixture->matrix);
    free(mixture->point);
}

static void mixture_draw(struct mixture *mixture, float *out)
{
    const float *centre =
        mixture->centres + (size_t)random_below(mixture->clusters) * mixture->latent;
    for (uint32_t i = 0; i < mixture->dims; i++)
        out[i] = mixture->noise * random_normal();
    for (uint32_t l = 0; l < mixture->latent; l++) {
        float value = centre[l] + mixture->spread * random_normal();
        const float *row = mixture->matrix + (size_t)l * mixture->dims;
        for (uint32_t i = 0; i < mixture->dims; i++)
            out[i] += value * row[i];
    }
}

static void make_big_file(struct mixture *mixture, const char *dir, const char *name, uint32_t rows)
{
    FILE *file = create(dir, name);
    float *vector = allocate(mixture->dims, sizeof *vector);
    for (uint32_t row = 0; row < rows; row++) {
        double sum = 0;
        mixture_draw(mixture, vector);
        for (uint32_t i = 0; i < mixture->dims; i++)
            sum += (double)vector[i] * vector[i];
        for (uint32_t i = 0; i < mixture->dims; i++)
            vector[i] = (float)(vector[i] / sqrt(sum));
        put_vector(file, vector, mixture->dims);
    }
    free(vector);
    finish(file);
}

static void make_big(const char *dir)
{
    struct mixture mixture = {
        .clusters = 64, .latent = 150, .dims = 1536, .spread = 0.7F, .noise = 10};
    mixture_init(&mixture);
    make_big_file(&mixture, dir, "big.base.fvecs", 40000);
    make_big_file(&mixture, dir, "big.query.fvecs", 1000);
    make_big_file(&mixture, dir, "big-more.base.fvecs", 10000);
    mixture_clear(&mixture);
}

static void make_sift_file(struct mixture *mixture, const char *dir, const char *name,
                           uint32_t rows)
{
    FILE *file = create(dir, name);
    float vector[128];
    for (uint32_t row = 0; row < rows; row++) {
        mixture_draw(mixture, vector);
        for (uint32_t i = 0; i < mixture->dims; i++) {
            float value = roundf(7 * vector[i]);
            vector[i] = value < 0 ? 0 : value > 255 ? 255 : value;
        }
        put_vector(file, vector, mixture->dims);
    }
    finish(file);
}

static void make_sift(const char *dir)
{
    struct mixture mixture = {
        .clusters = 3000, .latent = 24, .dims = 128, .spread = 0.6F, .noise = 1};
    mixture_init(&mixture);
    make_sift_file(&mixture, dir, "sift.base.fvecs", 300000);
    make_sift_file(&mixture, dir, "sift.query.fvecs", 1000);
    mixture_clear(&mixture);
}

/* ---- bits ---- */

enum { BITS = 1024, PROTOTYPES = 2000 };

/* A fingerprint keeps most of the bits of its prototype and has some others. */
static void make_bits_file(uint8_t (*prototypes)[BITS], const char *dir, const char *name,
                           uint32_t rows)
{
    FILE *file = create(dir, name);
    for (uint32_t row = 0; row < rows; row++) {
        const uint8_t *prototype = prototypes[random_below(PROTOTYPES)];
        float lost = 0.05F + 0.35F * random_unit(), gained = 0.2F * lost;
        uint8_t bytes[BITS / 8] = {0};
        for (uint32_t i = 0; i < BITS; i++) {
            bool set = prototype[i] ? random_unit() >= lost : random_unit() < gained;
            bytes[i / 8] |= (uint8_t)(set ? 0x80 >> i % 8 : 0);
        }
        put_number(file, BITS);
        put(file, bytes, sizeof bytes);
    }
    finish(file);
}

static void make_bits(const char *dir)
{
    uint8_t(*prototypes)[BITS] = allocate(PROTOTYPES, BITS);
    for (uint32_t p = 0; p < PROTOTYPES; p++) {
        float density = 0.08F + 0.2F * random_unit();
        for (uint32_t i = 0; i < BITS; i++)
            prototypes[p][i] = random_unit() < density;
    }
    make_bits_file(prototypes, dir, "bits.base.bits", 200000);
    make_bits_file(prototypes, dir, "bits.query.bits", 1000);
    free(prototypes);
}

/* ---- sparse ---- */

enum { VOCABULARY = 30000, TOPICS = 500, TOPIC_WORDS = 400, NONZERO_MOST = 200 };

/* Word r comes about 1/r as often as the first one. */
static uint32_t random_zipf(uint32_t n)
{
    return (uint32_t)expf(random_unit() * logf((float)n)) % n;
}

static int compare_numbers(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void make_sparse_file(uint32_t (*topics)[TOPIC_WORDS], const char *dir, const char *name,
                             uint32_t rows)
{
    FILE *file = create(dir, name);
    bool *taken = allocate(VOCABULARY, sizeof *taken);
    for (uint32_t row = 0; row < rows; row++) {
        const uint32_t *topic = topics[random_below(TOPICS)];
        uint32_t nonzero = 100 + random_below(NONZERO_MOST - 100), words[NONZERO_MOST];
        float values[NONZERO_MOST];
        for (uint32_t i = 0; i < nonzero; i++) {
            do
                words[i] = random_unit() < 0.7F ? topic[random_zipf(TOPIC_WORDS)]
                                                : random_zipf(VOCABULARY);
            while (taken[words[i]]);
            taken[words[i]] = true;
        }
        qsort(words, nonzero, sizeof *words, compare_numbers);
        for (uint32_t i = 0; i < nonzero; i++) {
            taken[words[i]] = false;
            values[i] = expf(0.5F * random_normal());
        }
        put_number(file, VOCABULARY);
        put_number(file, nonzero);
        put(file, words, nonzero * sizeof *words);
        put(file, values, nonzero * sizeof *values);
    }
    free(taken);
    finish(file);
}

static void make_sparse(const char *dir)
{
    uint32_t(*topics)[TOPIC_WORDS] = allocate(TOPICS, sizeof *topics);
    for (uint32_t t = 0; t < TOPICS; t++)
        for (uint32_t i = 0; i < TOPIC_WORDS; i++)
            topics[t][i] = random_below(VOCABULARY);
    make_sparse_file(topics, dir, "sparse.base.svecs", 50000);
    make_sparse_file(topics, dir, "sparse.query.svecs", 1000);
    free(topics);
}

/* ---- COPY BINARY ---- */

static void put_be(FILE *file, uint64_t number, size_t size)
{
    number = htobe64(number) >> (64 - 8 * size);
    put(file, &number, size);
}

static void copy_file(const char *path)
{
    struct vectors_file file = vectors_map(path);
    uint32_t dims, rows = vectors_dense(path, file, &dims);
    put(stdout, "PGCOPY\n\377\r\n", 11); /* with its NUL */
    put_be(stdout, 0, 8);
    for (uint32_t row = 0; row < rows; row++) {
        const uint8_t *at = file.bytes + row * (4 + 4 * (size_t)dims);
        put_be(stdout, 2, 2);
        put_be(stdout, 4, 4);
        put_be(stdout, row, 4);
        put_be(stdout, 4 + 4 * (uint64_t)dims, 4);
        put_be(stdout, dims, 2);
        put_be(stdout, 0, 2);
        for (size_t i = 1; i <= dims; i++)
            put_be(stdout, vectors_u32(at + 4 * i), 4);
    }
    put_be(stdout, 0xffff, 2);
    finish(stdout);
    vectors_unmap(file);
}

int main(int argc, char **argv)
{
    random_state = 42;
    if (argc == 4 && strcmp(argv[1], "words") == 0)
        make_words(argv[2], argv[3]);
    else if (argc == 3 && strcmp(argv[1], "sift") == 0)
        make_sift(argv[2]);
    else if (argc == 3 && strcmp(argv[1], "big") == 0)
        make_big(argv[2]);
    else if (argc == 3 && strcmp(argv[1], "bits") == 0)
        make_bits(argv[2]);
    else if (argc == 3 && strcmp(argv[1], "sparse") == 0)
        make_sparse(argv[2]);
    else if (argc == 3 && strcmp(argv[1], "copy") == 0)
        copy_file(argv[2]);
    else {
        fprintf(stderr, "usage: make_vectors words JSON DIR | sift DIR | big DIR | bits DIR | "
                        "sparse DIR | copy FILE\n");
        return 2;
    }
    return 0;
}
