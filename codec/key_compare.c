#include "codec/key_compare.h"

#include "codec/bytes.h"

/* How a type's COPY BINARY bytes are ordered. */
enum order { ORDER_BYTES, ORDER_SIGNED, ORDER_FLOAT, ORDER_NUMERIC };

static enum order order_of(const struct column *column)
{
    static const struct {
        const char *name;
        enum order order;
    } known[] = {{"int2", ORDER_SIGNED},      {"int4", ORDER_SIGNED},
                 {"int8", ORDER_SIGNED},      {"date", ORDER_SIGNED},
                 {"timestamp", ORDER_SIGNED}, {"timestamptz", ORDER_SIGNED},
                 {"float4", ORDER_FLOAT},     {"float8", ORDER_FLOAT}};
    for (size_t i = 0; column->type != NULL && i < sizeof known / sizeof *known; i++)
        if (strcmp(column->type->name, known[i].name) == 0)
            return known[i].order;
    bool numeric = column->type == NULL && (strcmp(column->type_name, "numeric") == 0 ||
                                            strncmp(column->type_name, "numeric(", 8) == 0);
    return numeric ? ORDER_NUMERIC : ORDER_BYTES;
}

int key_part(const struct column *column)
{
    bool binary = column->type != NULL || order_of(column) == ORDER_NUMERIC;
    return column->part[binary && column->part[PART_BINARY] != PART_NONE ? PART_BINARY : PART_TEXT];
}

static int compare_bytes(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    size_t size = a_size < b_size ? a_size : b_size;
    int order = size > 0 ? memcmp(a, b, size) : 0;
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

/* Two's complement: the first bit counts the other way. */
static int compare_signed(const uint8_t *a, const uint8_t *b, size_t size)
{
    int x = size > 0 ? *a ^ 0x80 : 0, y = size > 0 ? *b ^ 0x80 : 0;
    return x != y ? x - y : compare_bytes(a, size, b, size);
}

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

/* numeric: i16 digits, i16 weight, u16 sign, u16 scale, then digits to the base of 10000. Where
 * among the numbers it stands: -infinity, negative, 0, positive, infinity, NaN. */
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

int key_compare(const struct column *column, const uint8_t *a, size_t a_size, const uint8_t *b,
                size_t b_size)
{
    enum order order = order_of(column);
    if (order == ORDER_NUMERIC && column->part[PART_BINARY] != PART_NONE)
        return compare_numerics(a, a_size, b, b_size);
    if (order == ORDER_SIGNED && a_size == b_size)
        return compare_signed(a, b, a_size);
    if (order == ORDER_FLOAT && a_size == b_size && (a_size == 4 || a_size == 8))
        return compare_floats(float_of(a, a_size), float_of(b, b_size));
    return compare_bytes(a, a_size, b, b_size);
}
