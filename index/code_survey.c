/* Single rows that are much longer than the others must not decide what all are centred on and
 * measured by: the others would be left with no digits of their own. */
#include "index/code_read.h"

#include "codec/bytes.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

enum { SAMPLE = 10000 };

/* LONG times the usual length counts as that, for the mean; the rarest rows, one in RARE, do not
 * count for a scale that all have, as long as they are WIDE times the usual one. */
enum { LONG = 4, RARE = 100, WIDE = 16 };

struct survey {
    struct field *field;
    double *sums;
    float *vector;
    double *lengths; /* of each row of the sample that has one above 0 */
    double limit, longest;
    float most;
    uint32_t count, length_count;
};

/* ---- what is done with each row of the sample ---- */

static void add_length(struct survey *survey, double square)
{
    double length = sqrt(square);
    survey->longest = length > survey->longest ? length : survey->longest;
    if (length > 0 && survey->length_count < SAMPLE)
        survey->lengths[survey->length_count++] = length;
}

/* vector_length2 ends where float32 does. */
static double square_of(const struct survey *survey)
{
    double sum = 0;
    for (uint32_t d = 0; d < survey->field->space.dims; d++)
        sum += (double)survey->vector[d] * (double)survey->vector[d];
    return sum;
}

static void note_length(struct survey *survey) { add_length(survey, square_of(survey)); }

static void note_sums(struct survey *survey)
{
    uint32_t dims = survey->field->space.dims;
    double length = sqrt(square_of(survey));
    double by = length > survey->limit ? survey->limit / length : 1;
    survey->count++;
    for (uint32_t d = 0; d < dims; d++)
        survey->sums[d] += by * (double)survey->vector[d];
}

static void note_most(struct survey *survey)
{
    float most = vector_greatest(survey->vector, survey->field->space.dims);
    survey->most = most > survey->most ? most : survey->most;
    note_length(survey);
}

static int look_at(struct survey *survey, const uint8_t *value, size_t size,
                   void (*note)(struct survey *))
{
    int rc = size == 0 ? 1 : field_read(survey->field, value, size, survey->vector);
    if (rc == 0)
        note(survey);
    return rc < 0 ? rc : 0;
}

static double sparse_length2(const uint8_t *value)
{
    uint32_t n = load_be32(value + 4);
    double sum = 0;
    for (uint32_t j = 0; j < n; j++) {
        uint32_t bits = load_be32(value + 12 + (size_t)4 * n + (size_t)4 * j);
        float x;
        memcpy(&x, &bits, 4);
        sum += (double)x * x;
    }
    return sum;
}

static int look_at_sparse(struct survey *survey, const uint8_t *value, size_t size)
{
    int rc = size == 0 ? 0 : field_check(survey->field, value, size);
    if (size > 0 && rc == 0)
        add_length(survey, sparse_length2(value));
    return rc;
}

/* Calls `note` for the rows of the sample, which is one row of `step`; NULL: they are sparse. */
static int look_at_each(struct survey *survey, const struct span *spans, size_t span_count,
                        uint64_t step, void (*note)(struct survey *))
{
    uint64_t row = 0;
    survey->length_count = 0;
    survey->longest = 0;
    for (size_t s = 0; s < span_count; row += spans[s++].rows)
        for (uint64_t i = (step - row % step) % step; i < spans[s].rows; i += step) {
            size_t size;
            const uint8_t *value = span_value(&spans[s], (uint32_t)i, &size);
            int rc = note != NULL ? look_at(survey, value, size, note)
                                  : look_at_sparse(survey, value, size);
            if (rc < 0)
                return rc;
        }
    return 0;
}

static int look_at_some(struct survey *survey, const struct span *spans, size_t span_count,
                        void (*note)(struct survey *))
{
    uint64_t rows = 0;
    for (size_t s = 0; s < span_count; s++)
        rows += spans[s].rows;
    return look_at_each(survey, spans, span_count, rows / SAMPLE + 1, note);
}

/* ---- what follows from it ---- */

static int compare_lengths(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The length that all but one in `one_in` of the rows are not beyond; 0: none has any. */
static double length_of(struct survey *survey, uint32_t one_in)
{
    uint32_t n = survey->length_count;
    qsort(survey->lengths, n, sizeof *survey->lengths, compare_lengths);
    return n > 0 ? survey->lengths[n - 1 - (n - 1) / one_in] : 0;
}

/* As `length_of`, but not beyond many times the usual. */
static double bounded_length(struct survey *survey)
{
    double rare = length_of(survey, RARE), usual = WIDE * length_of(survey, 2);
    return rare < usual ? rare : usual;
}

static int find_mean(struct survey *survey, const struct span *spans, size_t span_count)
{
    struct field *field = survey->field;
    field->mean = calloc(field->space.dims, sizeof *field->mean);
    if (field->mean == NULL)
        return -ENOMEM;
    int rc = look_at_some(survey, spans, span_count, note_length);
    survey->limit = LONG * length_of(survey, 2);
    if (rc == 0) /* the mean that is subtracted is still 0 */
        rc = look_at_some(survey, spans, span_count, note_sums);
    for (uint32_t d = 0; rc == 0 && d < field->space.dims && survey->count > 0; d++) {
        float mean = (float)(survey->sums[d] / survey->count);
        field->mean[d] = isfinite(mean) ? mean : 0;
    }
    return rc;
}

/* Of l1: 8 times the root mean square of a row that is as long as most; single values beyond that
 * are taken for less. */
static int find_step(struct survey *survey, const struct span *spans, size_t span_count)
{
    struct field *field = survey->field;
    int rc = look_at_some(survey, spans, span_count, note_most);
    double usual = 8 * bounded_length(survey) / sqrt(field->space.dims), most = survey->most;
    field->step = (float)((most < usual ? most : usual) / 127);
    if (!(field->step > 0) || !isfinite(field->step))
        field->step = 1;
    return rc;
}

static int find_radius(struct survey *survey, const struct span *spans, size_t span_count)
{
    bool sparse = survey->field->space.element == ELEMENT_SPARSE;
    void (*note)(struct survey *) = sparse ? NULL : note_length;
    int rc = look_at_some(survey, spans, span_count, note);
    double usual = LONG * length_of(survey, 2);
    if (rc == 0) /* the longest are what is looked for */
        rc = look_at_each(survey, spans, span_count, 1, note);
    double radius = survey->longest < usual ? survey->longest : usual;
    survey->field->radius2 = radius * radius < FLT_MAX ? (float)(radius * radius) : FLT_MAX;
    return rc;
}

static int find_all(struct survey *survey, const struct span *spans, size_t span_count)
{
    enum metric metric = survey->field->space.metric;
    if (metric == METRIC_IP)
        return find_radius(survey, spans, span_count);
    int rc = find_mean(survey, spans, span_count);
    return rc == 0 && metric == METRIC_L1 ? find_step(survey, spans, span_count) : rc;
}

int field_survey(struct field *field, const struct span *spans, size_t span_count)
{
    bool dense = field_dense(field);
    if (!dense && (field->space.element == ELEMENT_BIT || field->space.metric != METRIC_IP))
        return 0;
    uint32_t dims = dense ? field->space.dims : 1;
    struct survey survey = {.field = field,
                            .sums = calloc(dims, sizeof(double)),
                            .vector = malloc(dims * sizeof(float)),
                            .lengths = malloc(SAMPLE * sizeof(double))};
    int rc = survey.sums == NULL || survey.vector == NULL || survey.lengths == NULL
                 ? -ENOMEM
                 : find_all(&survey, spans, span_count);
    free(survey.sums);
    free(survey.vector);
    free(survey.lengths);
    return rc;
}
