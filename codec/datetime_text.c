/* Days become a year, month and day as in Howard Hinnant's "chrono-Compatible Low-Level Date
 * Algorithms": years that start in March, eras of 400 years (146,097 days). */
#include "codec/datetime_text.h"

#include "codec/bytes.h"
#include "codec/number_text.h"

#define DAY_US INT64_C(86400000000)

/* What the server accepts: from 4714-11-24 BC (Julian day 0) until before 5874898-01-01 (date) or
 * 294277-01-01. */
#define DATE_FIRST (-2451545)
#define DATE_END 2145031949
#define TIMESTAMP_FIRST (DATE_FIRST * DAY_US)
#define TIMESTAMP_END INT64_C(9223371331200000000)

enum shape {
    ISO,
    XSD /* and in quotes */
};

_Static_assert(VALUE_ROOM >= sizeof "\"294276-12-31T23:59:59.999999+00:00 BC\"",
               "a value has room for its text in quotes");

static const char two_digits[] = "00010203040506070809101112131415161718192021222324"
                                 "25262728293031323334353637383940414243444546474849"
                                 "50515253545556575859606162636465666768697071727374"
                                 "75767778798081828384858687888990919293949596979899";

static uint8_t *write_two(uint8_t *at, uint32_t n)
{
    memcpy(at, two_digits + 2 * (size_t)n, 2);
    return at + 2;
}

/* Writes Y-MM-DD, the year without its era; days count from 2000-01-01. */
static uint8_t *write_day(uint8_t *at, int32_t days, bool *before_christ)
{
    /* All dates are later than ERAS eras before 2000-03-01. */
    enum { ERAS = 17, ERA = 146097, MARCH = 60 };
    uint32_t day_of_all = (uint32_t)days + ERAS * ERA - MARCH;
    uint32_t era = day_of_all / ERA, day_of_era = day_of_all % ERA;
    uint32_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t march = (5 * day_of_year + 2) / 153; /* months since March */
    uint32_t day = day_of_year - (153 * march + 2) / 5 + 1;
    uint32_t month = march < 10 ? march + 3 : march - 9;
    int32_t year = 2000 + ((int32_t)era - ERAS) * 400 + (int32_t)year_of_era + (month <= 2);

    *before_christ = year <= 0;
    if (year <= 0)
        year = 1 - year;
    if (year < 10000) {
        at = write_two(at, (uint32_t)year / 100);
        at = write_two(at, (uint32_t)year % 100);
    } else {
        at += integer_text(year, (char *)at);
    }
    *at++ = '-';
    at = write_two(at, month);
    *at++ = '-';
    return write_two(at, day);
}

/* Writes HH:MM:SS[.ffffff] without trailing zeros. */
static uint8_t *write_time(uint8_t *at, int64_t us)
{
    uint32_t seconds = (uint32_t)((uint64_t)us / 1000000);
    uint32_t fraction = (uint32_t)((uint64_t)us % 1000000);
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

static uint8_t *write_text(uint8_t *at, const char *text, size_t size)
{
    memcpy(at, text, size);
    return at + size;
}

static uint8_t *write_infinity(uint8_t *at, bool minus)
{
    return minus ? write_text(at, "-infinity", 9) : write_text(at, "infinity", 8);
}

static inline uint8_t *write_date(uint8_t *at, const uint8_t *wire, size_t size, enum shape shape)
{
    if (size != 4)
        return NULL;
    int32_t days = (int32_t)load_be32(wire);
    if (shape == XSD)
        *at++ = '"';
    if (days == INT32_MIN || days == INT32_MAX) {
        at = write_infinity(at, days < 0);
    } else if (days < DATE_FIRST || days >= DATE_END) {
        return NULL;
    } else {
        bool before_christ;
        at = write_day(at, days, &before_christ);
        if (before_christ)
            at = write_text(at, " BC", 3);
    }
    if (shape == XSD)
        *at++ = '"';
    return at;
}

static inline uint8_t *write_timestamp(uint8_t *at, const uint8_t *wire, size_t size,
                                       enum shape shape, bool with_zone)
{
    if (size != 8)
        return NULL;
    int64_t us = (int64_t)load_be64(wire);
    if (shape == XSD)
        *at++ = '"';
    if (us == INT64_MIN || us == INT64_MAX) {
        at = write_infinity(at, us < 0);
    } else if (us < TIMESTAMP_FIRST || us >= TIMESTAMP_END) {
        return NULL;
    } else {
        int64_t days = us / DAY_US - (us % DAY_US < 0);
        bool before_christ;
        at = write_day(at, (int32_t)days, &before_christ);
        *at++ = shape == XSD ? 'T' : ' ';
        at = write_time(at, us - days * DAY_US);
        if (with_zone)
            at = write_text(at, "+00:00", shape == XSD ? 6 : 3);
        if (before_christ)
            at = write_text(at, " BC", 3);
    }
    if (shape == XSD)
        *at++ = '"';
    return at;
}

uint8_t *date_write(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    (void)pen;
    return write_date(at, wire, size, ISO);
}

uint8_t *date_write_json(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    (void)pen;
    return write_date(at, wire, size, XSD);
}

uint8_t *timestamp_write(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    (void)pen;
    return write_timestamp(at, wire, size, ISO, false);
}

uint8_t *timestamp_write_json(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    (void)pen;
    return write_timestamp(at, wire, size, XSD, false);
}

uint8_t *timestamptz_write(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    (void)pen;
    return write_timestamp(at, wire, size, ISO, true);
}

uint8_t *timestamptz_write_json(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    (void)pen;
    return write_timestamp(at, wire, size, XSD, true);
}

RENDER_BY_WRITE(date_render, date_write)
RENDER_BY_WRITE(timestamp_render, timestamp_write)
RENDER_BY_WRITE(timestamptz_render, timestamptz_write)
