/* Single rows that are much longer than the others must not decide what all are centred on and
 * measured by: the others would be left with no digits of their own. */
#include "index/code_kind.h"

#include "codec/bytes.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

enum {
    SAMPLE = 10000, /* rows that are looked at */
    LONG = 4,       /* a row counts for the mean with up to so many times the usual length */
    RARE = 100,     /* one row in so many does not count for a scale that all have, */
    WIDE = 16       /* if it has more than so many times the usual length */
};

struct survey {
    struct field *field;
    double *sums;    /* of each dimension */
    float *vector;   /* the row that is looked at */
    double *lengths; /* of each row of the sample that has one above 0 */
    double limit;    /* of the length that counts for the sums */
    double longest;
    float greatest;
    uint32_t count, length_count;
};

/* ---- what is done with each row of the sample ---- */

typedef int look_at_value(struct survey *survey, const uint8_t *value, size_t size);

static void add_length(struct survey *survey, double square)
{
    double length = sqrt(square);
    survey->longest = length > survey->longest ? length : survey->longest;
    if (length > 0 && survey->length_count < SAMPLE)
        survey->lengths[survey->length_count++] = length;
}

/* Of the vector; vector_length2 ends at FLT_MAX. */
static double square_of(const struct survey *survey)
{
    double sum = 0;
    for (uint32_t d = 0; d < survey->field->space.dims; d++)
        sum += (double)survey->vector[d] * (double)survey->vector[d];
    return sum;
}

static int look_at_length(struct survey *survey, const uint8_t *value, size_t size)
{
    int rc = dense_read(survey->field, value, size, survey->vector);
    if (rc == 0)
        add_length(survey, square_of(survey));
    return rc;
}

static int look_at_sums(struct survey *survey, const uint8_t *value, size_t size)
{
    int rc = dense_read(survey->field, value, size, survey->vector);
    if (rc != 0)
        return rc;
    double length = sqrt(square_of(survey));
    double by = length > survey->limit ? survey->limit / length : 1;
    survey->count++;
    for (uint32_t d = 0; d < survey->field->space.dims; d++)
        survey->sums[d] += by * (double)survey->vector[d];
    return 0;
}

static int look_at_greatest(struct survey *survey, const uint8_t *value, size_t size)
{
    int rc = look_at_length(survey, value, size);
    float greatest = rc == 0 ? vector_greatest(survey->vector, survey->field->space.dims) : 0;
    survey->greatest = greatest > survey->greatest ? greatest : survey->greatest;
    return rc;
}

static int look_at_sparse(struct survey *survey, const uint8_t *value, size_t size)
{
    int rc = field_check(survey->field, value, size);
    if (rc < 0)
        return rc;
    uint32_t n = load_be32(value + 4);
    double sum = 0;
    for (uint32_t j = 0; j < n; j++) {
        uint32_t bits = load_be32(value + 12 + (size_t)4 * n + (size_t)4 * j);
        float x;
        memcpy(&x, &bits, 4);
        sum += (double)x * x;
    }
    add_length(survey, sum);
    return 0;
}

/* Looks at one row of `step`; not at NULL. */
static int look_at_each(struct survey *survey, const struct span *spans, size_t span_count,
                        uint64_t step, look_at_value *look)
{
    uint64_t row = 0;
    survey->length_count = 0;
    survey->longest = 0;
    for (size_t s = 0; s < span_count; row += spans[s++].rows)
        for (uint64_t i = (step - row % step) % step; i < spans[s].rows; i += step) {
            size_t size;
            const uint8_t *value = span_value(&spans[s], (uint32_t)i, &size);
            int rc = size > 0 ? look(survey, value, size) : 0;
            if (rc < 0)
                return rc;
        }
    return 0;
}

static int look_at_sample(struct survey *survey, const struct span *spans, size_t span_count,
                          look_at_value *look)
{
    uint64_t rows = 0;
    for (size_t s = 0; s < span_count; s++)
        rows += spans[s].rows;
    return look_at_each(survey, spans, span_count, rows / SAMPLE + 1, look);
}

/* ---- what follows from it ---- */

static int compare_lengths(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The length that all but one in `one_in` of the rows do not exceed; 0: none has any. */
static double length_of(struct survey *survey, uint32_t one_in)
{
    uint32_t n = survey->length_count;
    qsort(survey->lengths, n, sizeof *survey->lengths, compare_lengths);
    return n > 0 ? survey->lengths[n - 1 - (n - 1) / one_in] : 0;
}

/* That of all rows but the rarest, and no more than many times the usual one. */
static double bounded_length(struct survey *survey)
{
    double rare = length_of(survey, RARE), usual = WIDE * length_of(survey, 2);
    return rare < usual ? rare : usual;
}

static int survey_mean(struct survey *survey, const struct span *spans, size_t span_count)
{
    struct field *field = survey->field;
    field->mean = calloc(field->space.dims, sizeof *field->mean);
    if (field->mean == NULL)
        return -ENOMEM;
    int rc = look_at_sample(survey, spans, span_count, look_at_length);
    survey->limit = LONG * length_of(survey, 2);
    if (rc == 0) /* the mean that is subtracted is still 0 */
        rc = look_at_sample(survey, spans, span_count, look_at_sums);
    for (uint32_t d = 0; rc == 0 && d < field->space.dims && survey->count > 0; d++) {
        float mean = (float)(survey->sums[d] / survey->count);
        field->mean[d] = isfinite(mean) ? mean : 0;
    }
    return rc;
}

/* 8 times the root mean square of a row that is as long as most; a number beyond that is taken for
 * that. */
static int survey_step(struct survey *survey, const struct span *spans, size_t span_count)
{
    struct field *field = survey->field;
    int rc = look_at_sample(survey, spans, span_count, look_at_greatest);
    double usual = 8 * bounded_length(survey) / sqrt(field->space.dims);
    double greatest = survey->greatest;
    field->step = (float)((greatest < usual ? greatest : usual) / 127);
    if (!(field->step > 0) || !isfinite(field->step))
        field->step = 1;
    return rc;
}

static int survey_radius(struct survey *survey, const struct span *spans, size_t span_count,
                         look_at_value *look)
{
    int rc = look_at_sample(survey, spans, span_count, look);
    double usual = LONG * length_of(survey, 2);
    if (rc == 0) /* the longest of all, which a sample may not have */
        rc = look_at_each(survey, spans, span_count, 1, look);
    double radius = survey->longest < usual ? survey->longest : usual;
    survey->field->radius2 = radius * radius < FLT_MAX ? (float)(radius * radius) : FLT_MAX;
    return rc;
}

/* ---- a survey ---- */

static int survey_init(struct survey *survey, struct field *field, size_t dims)
{
    *survey = (struct survey){.field = field,
                              .sums = calloc(dims, sizeof *survey->sums),
                              .vector = malloc(dims * sizeof *survey->vector),
                              .lengths = malloc(SAMPLE * sizeof *survey->lengths)};
    return survey->sums == NULL || survey->vector == NULL || survey->lengths == NULL ? -ENOMEM : 0;
}

static void survey_clear(struct survey *survey)
{
    free(survey->sums);
    free(survey->vector);
    free(survey->lengths);
}

int dense_survey(struct field *field, const struct span *spans, size_t span_count)
{
    struct survey survey;
    enum metric metric = field->space.metric;
    int rc = survey_init(&survey, field, field->space.dims);
    if (rc == 0)
        rc = metric == METRIC_IP ? survey_radius(&survey, spans, span_count, look_at_length)
                                 : survey_mean(&survey, spans, span_count);
    if (rc == 0 && metric == METRIC_L1)
        rc = survey_step(&survey, spans, span_count);
    survey_clear(&survey);
    return rc;
}

int sparse_survey(struct field *field, const struct span *spans, size_t span_count)
{
    struct survey survey;
    if (field->space.metric != METRIC_IP)
        return 0;
    int rc = survey_init(&survey, field, 1);
    if (rc == 0)
        rc = survey_radius(&survey, spans, span_count, look_at_sparse);
    survey_clear(&survey);
    return rc;
}
