#include "codec/format.h"

const struct format *const formats[FORMAT_COUNT] = {&format_csv, &format_bin, &format_jsonl,
                                                    &format_tsv, &format_arrow};

int format_find(const char *name, size_t size)
{
    for (int i = 0; i < FORMAT_COUNT; i++)
        if (strlen(formats[i]->name) == size && memcmp(formats[i]->name, name, size) == 0)
            return i;
    return -1;
}

const char *format_encoder(const struct format *format)
{
    return format->encoder != NULL ? format->encoder() : "";
}
