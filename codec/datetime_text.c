/* Days become a year, month and day as in Howard Hinnant's "chrono-Compatible Low-Level Date
 * Algorithms": years that start in March, eras of 400 years (146,097 days). */
#include "codec/datetime_text.h"

#include "codec/bytes.h"
#include "codec/number_text.h"

#include <errno.h>

#define DAY_US INT64_C(86400000000)

/* What the server accepts: from 4714-11-24 BC (Julian day 0) until before 5874898-01-01 (date) or
 * 294277-01-01. */
#define DATE_FIRST (-2451545)
#define DATE_END 2145031949
#define TIMESTAMP_FIRST (DATE_FIRST * DAY_US)
#define TIMESTAMP_END INT64_C(9223371331200000000)

enum shape {
    ISO,
    XSD /* in quotes */
};

#define DATETIME_TEXT_MAX 48 /* "294276-12-31T23:59:59.999999+00:00 BC", in quotes, is far less */

static char *write_two(char *at, uint32_t n)
{
    at[0] = (char)('0' + n / 10);
    at[1] = (char)('0' + n % 10);
    return at + 2;
}

/* Writes Y-MM-DD, the year without its era; days count from 2000-01-01. */
static char *write_day(char *at, int32_t days, bool *before_christ)
{
    int64_t z = (int64_t)days - 60; /* from 2000-03-01 */
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    uint32_t day_of_era = (uint32_t)(z - era * 146097);
    uint32_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t march = (5 * day_of_year + 2) / 153; /* months since March */
    uint32_t day = day_of_year - (153 * march + 2) / 5 + 1;
    uint32_t month = march < 10 ? march + 3 : march - 9;
    int64_t year = 2000 + era * 400 + year_of_era + (month <= 2);

    *before_christ = year <= 0;
    if (year <= 0)
        year = 1 - year;
    if (year < 10000) {
        at = write_two(at, (uint32_t)year / 100);
        at = write_two(at, (uint32_t)year % 100);
    } else {
        at += integer_text(year, at);
    }
    *at++ = '-';
    at = write_two(at, month);
    *at++ = '-';
    return write_two(at, day);
}

/* Writes HH:MM:SS[.ffffff] without trailing zeros. */
static char *write_time(char *at, int64_t us)
{
    uint32_t seconds = (uint32_t)(us / 1000000), fraction = (uint32_t)(us % 1000000);
    at = write_two(at, seconds / 3600);
    *at++ = ':';
    at = write_two(at, seconds / 60 % 60);
    *at++ = ':';
    at = write_two(at, seconds % 60);
    if (fraction == 0)
        return at;
    *at++ = '.';
    at = write_two(at, fraction / 10000);
    at = write_two(at, fraction / 100 % 100);
    at = write_two(at, fraction % 100);
    while (at[-1] == '0')
        at--;
    return at;
}

static char *write_text(char *at, const char *text)
{
    size_t n = strlen(text);
    memcpy(at, text, n);
    return at + n;
}

static int append(struct buffer *out, enum shape shape, const char *text, const char *end)
{
    int rc = shape == XSD ? buffer_append_byte(out, '"') : 0;
    if (rc == 0)
        rc = buffer_append(out, text, (size_t)(end - text));
    if (rc == 0 && shape == XSD)
        rc = buffer_append_byte(out, '"');
    return rc;
}

static int append_date(const uint8_t *wire, size_t size, enum shape shape, struct buffer *out)
{
    if (size != 4)
        return -EBADMSG;
    int32_t days = (int32_t)load_be32(wire);
    char text[DATETIME_TEXT_MAX], *at = text;
    if (days == INT32_MIN || days == INT32_MAX) {
        at = write_text(at, days < 0 ? "-infinity" : "infinity");
    } else if (days < DATE_FIRST || days >= DATE_END) {
        return -EBADMSG;
    } else {
        bool before_christ;
        at = write_day(at, days, &before_christ);
        at = write_text(at, before_christ ? " BC" : "");
    }
    return append(out, shape, text, at);
}

static int append_timestamp(const uint8_t *wire, size_t size, enum shape shape, const char *zone,
                            struct buffer *out)
{
    if (size != 8)
        return -EBADMSG;
    int64_t us = (int64_t)load_be64(wire);
    char text[DATETIME_TEXT_MAX], *at = text;
    if (us == INT64_MIN || us == INT64_MAX) {
        at = write_text(at, us < 0 ? "-infinity" : "infinity");
    } else if (us < TIMESTAMP_FIRST || us >= TIMESTAMP_END) {
        return -EBADMSG;
    } else {
        int64_t days = us / DAY_US - (us % DAY_US < 0);
        bool before_christ;
        at = write_day(at, (int32_t)days, &before_christ);
        *at++ = shape == XSD ? 'T' : ' ';
        at = write_time(at, us - days * DAY_US);
        at = write_text(at, zone);
        at = write_text(at, before_christ ? " BC" : "");
    }
    return append(out, shape, text, at);
}

int date_render(const uint8_t *wire, size_t size, struct buffer *out)
{
    return append_date(wire, size, ISO, out);
}

int date_render_json(const uint8_t *wire, size_t size, struct buffer *out)
{
    return append_date(wire, size, XSD, out);
}

int timestamp_render(const uint8_t *wire, size_t size, struct buffer *out)
{
    return append_timestamp(wire, size, ISO, "", out);
}

int timestamp_render_json(const uint8_t *wire, size_t size, struct buffer *out)
{
    return append_timestamp(wire, size, XSD, "", out);
}

int timestamptz_render(const uint8_t *wire, size_t size, struct buffer *out)
{
    return append_timestamp(wire, size, ISO, "+00", out);
}

int timestamptz_render_json(const uint8_t *wire, size_t size, struct buffer *out)
{
    return append_timestamp(wire, size, XSD, "+00:00", out);
}
