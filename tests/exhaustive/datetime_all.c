/* Prints what the codec makes of every day and of one moment in each, for datetime_all.sh to
 * compare with the server:
 *
 *   datetime_all FIRST LAST [date]     days since 2000-01-01; a line each of: day, the date, its
 * JSON, and, without "date", the texts and JSON of timestamp and timestamptz of the moment |day| *
 * 7919000003 mod 86400000000 microseconds into the day
 */
#include "codec/bytes.h"
#include "tests/unit/type_json.h"

#include <stdio.h>
#include <stdlib.h>

static int append(struct buffer *out, const char *name, bool json, int64_t value, size_t size)
{
    uint8_t wire[8];
    const struct type *type = type_find(NULL, name);
    if (size == 4)
        store_be32(wire, (uint32_t)value);
    else
        store_be64(wire, (uint64_t)value);
    int rc = buffer_append_byte(out, '|');
    if (rc != 0)
        return rc;
    return json ? type_json(type, wire, size, out) : type->text(wire, size, out);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    bool date_only = argc > 3;
    const int64_t day_us = INT64_C(86400000000);
    struct buffer line = {0};
    int rc = 0;
    for (int64_t day = atoll(argv[1]), last = atoll(argv[2]); rc == 0 && day <= last; day++) {
        int64_t us = day * day_us + llabs(day) * 7919000003 % day_us;
        line.size = 0;
        rc = buffer_printf(&line, "%lld", (long long)day);
        for (int json = 0; rc == 0 && json < 2; json++)
            rc = append(&line, "date", json, day, 4);
        for (int json = 0; rc == 0 && !date_only && json < 2; json++)
            rc = append(&line, "timestamp", json, us, 8);
        for (int json = 0; rc == 0 && !date_only && json < 2; json++)
            rc = append(&line, "timestamptz", json, us, 8);
        if (rc == 0)
            rc = buffer_append_byte(&line, '\n');
        if (rc == 0 && fwrite(line.data, 1, line.size, stdout) != line.size)
            rc = 1;
    }
    buffer_clear(&line);
    return rc != 0 || fflush(stdout) != 0;
}
