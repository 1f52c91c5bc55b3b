#include "codec/key_compare.h"

#include "codec/bytes.h"

static const struct {
    const char *type;
    enum key_order order;
} orders[] = {
    {"bool", KEY_BYTES},        {"char", KEY_BYTES},       {"bytea", KEY_BYTES},
    {"uuid", KEY_BYTES},        {"oid", KEY_BYTES},        {"xid8", KEY_BYTES},
    {"pg_lsn", KEY_BYTES},      {"tid", KEY_BYTES},        {"macaddr", KEY_BYTES},
    {"macaddr8", KEY_BYTES},    {"int2", KEY_SIGNED},      {"int4", KEY_SIGNED},
    {"int8", KEY_SIGNED},       {"money", KEY_SIGNED},     {"date", KEY_SIGNED},
    {"time", KEY_SIGNED},       {"timestamp", KEY_SIGNED}, {"timestamptz", KEY_SIGNED},
    {"float4", KEY_FLOAT},      {"float8", KEY_FLOAT},     {"numeric", KEY_NUMERIC},
    {"interval", KEY_INTERVAL}, {"timetz", KEY_TIMETZ},    {"inet", KEY_NETWORK},
    {"cidr", KEY_NETWORK},      {"bit", KEY_BITS},         {"varbit", KEY_BITS},
};

enum key_order key_order_of(const char *type)
{
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        if (strcmp(orders[i].type, type) == 0)
            return orders[i].order;
    return KEY_TEXT;
}

static bool has_order(const struct column *column, enum key_order order)
{
    return order != KEY_TEXT && column->part[PART_BINARY] != PART_NONE;
}

int key_part(const struct column *column, enum key_order order)
{
    bool binary = column->type != NULL || has_order(column, order);
    return column->part[binary ? PART_BINARY : PART_TEXT];
}

static int compare_bytes(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    size_t size = a_size < b_size ? a_size : b_size;
    int order = size > 0 ? memcmp(a, b, size) : 0;
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

/* Two's complement: with its first bit turned over, a number is ordered as bytes are. */
static int compare_signed(const uint8_t *a, const uint8_t *b, size_t size)
{
    int x = size > 0 ? *a ^ 0x80 : 0, y = size > 0 ? *b ^ 0x80 : 0;
    return x != y ? x - y : compare_bytes(a, size, b, size);
}

static int compare_integers(int64_t x, int64_t y) { return (x > y) - (x < y); }

/* As PostgreSQL orders them: NaN is above all, -0 equals 0. */
static int compare_floats(double x, double y)
{
    if (x != x || y != y)
        return (x != x) - (y != y);
    return (x > y) - (x < y);
}

static double float_of(const uint8_t *at, size_t size)
{
    if (size == 4) {
        uint32_t bits = load_be32(at);
        float value;
        memcpy(&value, &bits, sizeof value);
        return (double)value;
    }
    uint64_t bits = load_be64(at);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* numeric is i16 digits, i16 weight, u16 sign, u16 scale, then digits to the base of 10000. Its
 * class, in their order: -infinity, negative, 0, positive, infinity, NaN. */
static int numeric_side(const uint8_t *at)
{
    switch (load_be16(at + 4)) {
    case 0x0000:
        return load_be16(at) == 0 ? 2 : 3;
    case 0x4000:
        return load_be16(at) == 0 ? 2 : 1;
    case 0xD000:
        return 4;
    case 0xF000:
        return 0;
    default:
        return 5;
    }
}

static int compare_numerics(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    enum { HEAD = 8 };
    if (a_size < HEAD || b_size < HEAD)
        return compare_bytes(a, a_size, b, b_size);
    int side = numeric_side(a), order = side - numeric_side(b);
    if (order != 0 || (side != 1 && side != 3))
        return order;
    order = (int16_t)load_be16(a + 2) - (int16_t)load_be16(b + 2);
    if (order == 0)
        order = compare_bytes(a + HEAD, a_size - HEAD, b + HEAD, b_size - HEAD);
    return side == 1 ? -order : order;
}

/* i64 microseconds, i32 days, i32 months. An infinite interval, whose fields are all the least or
 * the most, is compared in the same way. */
static int compare_intervals(const uint8_t *a, const uint8_t *b)
{
    enum { DAYS_OF_MONTH = 30 };
    const int64_t day_us = INT64_C(86400) * 1000000;
    int64_t days[2], rest[2];
    const uint8_t *at[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        int64_t us = (int64_t)load_be64(at[i]);
        days[i] = (int64_t)(int32_t)load_be32(at[i] + 12) * DAYS_OF_MONTH +
                  (int32_t)load_be32(at[i] + 8) + us / day_us;
        rest[i] = us % day_us;
        if (rest[i] < 0) {
            rest[i] += day_us;
            days[i]--;
        }
    }
    return days[0] != days[1] ? compare_integers(days[0], days[1])
                              : compare_integers(rest[0], rest[1]);
}

/* i64 microseconds of the day, i32 seconds of the zone, west of UTC. */
static int compare_timetz(const uint8_t *a, const uint8_t *b)
{
    int64_t a_zone = (int32_t)load_be32(a + 8), b_zone = (int32_t)load_be32(b + 8);
    uint64_t a_utc = load_be64(a) + (uint64_t)a_zone * 1000000;
    uint64_t b_utc = load_be64(b) + (uint64_t)b_zone * 1000000;
    int order = compare_integers((int64_t)a_utc, (int64_t)b_utc);
    return order != 0 ? order : compare_integers(a_zone, b_zone);
}

static int compare_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, left = bits % 8;
    int order = memcmp(a, b, whole);
    if (order != 0 || left == 0)
        return order;
    return (a[whole] >> (8 - left)) - (b[whole] >> (8 - left));
}

/* u8 family, u8 bits of the network, u8 whether it is a cidr, u8 bytes, then the address. */
static int compare_networks(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    enum { HEAD = 4 };
    if (a_size < HEAD || b_size < HEAD || a[0] != b[0] || a_size != b_size ||
        a[1] > (a_size - HEAD) * 8 || b[1] > (b_size - HEAD) * 8)
        return compare_bytes(a, a_size, b, b_size);
    int order = compare_bits(a + HEAD, b + HEAD, a[1] < b[1] ? a[1] : b[1]);
    if (order == 0)
        order = a[1] - b[1];
    return order != 0 ? order : memcmp(a + HEAD, b + HEAD, a_size - HEAD);
}

/* u32 number of bits, then the bits. The bits are compared first, then their number. */
static int compare_bit_strings(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    enum { HEAD = 4 };
    if (a_size < HEAD || b_size < HEAD)
        return compare_bytes(a, a_size, b, b_size);
    size_t size = (a_size < b_size ? a_size : b_size) - HEAD;
    int order = memcmp(a + HEAD, b + HEAD, size);
    return order != 0 ? order : compare_bytes(a, HEAD, b, HEAD);
}

static int compare_as(enum key_order order, const uint8_t *a, size_t a_size, const uint8_t *b,
                      size_t b_size)
{
    enum { INTERVAL = 16, TIMETZ = 12 };
    bool alike = a_size == b_size;
    if (order == KEY_SIGNED && alike)
        return compare_signed(a, b, a_size);
    if (order == KEY_FLOAT && alike && (a_size == 4 || a_size == 8))
        return compare_floats(float_of(a, a_size), float_of(b, b_size));
    if (order == KEY_NUMERIC)
        return compare_numerics(a, a_size, b, b_size);
    if (order == KEY_INTERVAL && alike && a_size == INTERVAL)
        return compare_intervals(a, b);
    if (order == KEY_TIMETZ && alike && a_size == TIMETZ)
        return compare_timetz(a, b);
    if (order == KEY_NETWORK)
        return compare_networks(a, a_size, b, b_size);
    if (order == KEY_BITS)
        return compare_bit_strings(a, a_size, b, b_size);
    return compare_bytes(a, a_size, b, b_size);
}

int key_compare(const struct column *column, enum key_order order, const uint8_t *a, size_t a_size,
                const uint8_t *b, size_t b_size)
{
    return compare_as(has_order(column, order) ? order : KEY_TEXT, a, a_size, b, b_size);
}
