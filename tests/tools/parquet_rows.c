/* parquet_rows [-s] FILE: checks a Parquet file strictly, and prints what it holds.
 *
 * A row is a line, its values are separated by tabs (parquet_print.h). -s prints the schema: a column
 * a line, its name, a tab, its type.
 *
 * Exit 1: the file is not what it must be; why is on stderr.
 */
#include "tests/unit/parquet_print.h"

/* The text of a column's values so far, a line each. */
struct printed {
    FILE *stream;
    char *text;
    size_t size;
    bool begun, in_list; /* a row; a list in it */
};

struct printer {
    const struct parquet_file *file;
    struct printed *columns;
};

/* A line can only be ended when the next one begins. */
static void end_line(struct printed *printed)
{
    if (printed->begun)
        fputs(printed->in_list ? "]\n" : "\n", printed->stream);
    printed->begun = printed->in_list = false;
}

static void sink(void *context, size_t column, const struct parquet_value *value)
{
    const struct printer *printer = context;
    const struct parquet_leaf *leaf = &printer->file->leaves[column];
    struct printed *printed = &printer->columns[column];
    if (value->first)
        end_line(printed);
    else
        fputc(',', printed->stream);
    if (value->null && !value->empty) {
        fputs("\\N", printed->stream);
    } else if (leaf->list && value->first) {
        fputc('[', printed->stream);
        printed->in_list = true;
    }
    if (!value->null)
        parquet_print_value(printed->stream, leaf, value);
    printed->begun = true;
}

static void print_rows(const struct parquet_file *file, struct printed *columns)
{
    const char **at = calloc(file->leaf_count + 1, sizeof *at);
    for (size_t i = 0; i < file->leaf_count; i++) {
        end_line(&columns[i]);
        fclose(columns[i].stream);
        at[i] = columns[i].text;
    }
    for (int64_t row = 0; row < file->rows; row++)
        for (size_t i = 0; i < file->leaf_count || (i == 0 && file->leaf_count == 0); i++) {
            const char *end = file->leaf_count > 0 ? strchr(at[i], '\n') : "";
            if (file->leaf_count > 0)
                fwrite(at[i], 1, (size_t)(end - at[i]), stdout);
            at[i] = end + 1;
            putchar(i + 1 < file->leaf_count ? '\t' : '\n');
        }
    for (size_t i = 0; i < file->leaf_count; i++)
        free(columns[i].text);
    free(at);
}

static void print_schema(const struct parquet_file *file)
{
    static const char *const physical[] = {"BOOLEAN", "INT32",  "INT64",      "INT96",
                                           "FLOAT",   "DOUBLE", "BYTE_ARRAY", "FIXED"};
    static const char *const logical[] = {
        [L_STRING] = " STRING", [L_DECIMAL] = " DECIMAL",     [L_DATE] = " DATE",
        [L_TIME] = " TIME",     [L_TIMESTAMP] = " TIMESTAMP", [L_INTEGER] = " INTEGER",
        [L_JSON] = " JSON",     [L_UUID] = " UUID",           [L_FLOAT16] = " FLOAT16"};
    for (size_t i = 0; i < file->leaf_count; i++) {
        const struct parquet_leaf *leaf = &file->leaves[i];
        printf("%.*s\t%s%s", (int)leaf->path[0]->size, (const char *)leaf->path[0]->bytes,
               leaf->list ? "LIST " : "", physical[leaf->physical]);
        if (leaf->physical == P_FIXED)
            printf("(%d)", (int)leaf->type_length);
        printf("%s", leaf->logical != L_NONE ? logical[leaf->logical] : "");
        if (leaf->logical == L_DECIMAL)
            printf("(%d,%d)", (int)leaf->precision, (int)leaf->scale);
        if (leaf->logical == L_INTEGER)
            printf("(%d,%s)", (int)leaf->bits, leaf->is_signed ? "signed" : "unsigned");
        if (leaf->logical == L_TIME || leaf->logical == L_TIMESTAMP)
            printf("(%s)", leaf->adjusted ? "UTC" : "local");
        putchar('\n');
    }
}

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *in = fopen(path, "rb");
    uint8_t *bytes = NULL;
    size_t room = 0;
    *size = 0;
    if (in == NULL)
        return NULL;
    for (size_t n = 1; n > 0; *size += n) {
        if (*size == room)
            bytes = realloc(bytes, room = 2 * room + 65536);
        if (bytes == NULL)
            abort();
        n = fread(bytes + *size, 1, room - *size, in);
    }
    bool failed = ferror(in) != 0;
    fclose(in);
    if (!failed)
        return bytes;
    free(bytes);
    return NULL;
}

static bool print_file(struct parquet_file *file, bool schema)
{
    struct printer printer = {file, calloc(file->leaf_count + 1, sizeof *printer.columns)};
    for (size_t i = 0; i < file->leaf_count; i++)
        printer.columns[i].stream =
            open_memstream(&printer.columns[i].text, &printer.columns[i].size);
    bool good = parquet_read(file, sink, &printer);
    if (good && schema)
        print_schema(file);
    else if (good)
        print_rows(file, printer.columns);
    free(printer.columns);
    return good;
}

int main(int argc, char **argv)
{
    bool schema = argc == 3 && strcmp(argv[1], "-s") == 0;
    struct parquet_file file = {0};
    size_t size;
    if (argc != 2 && !schema) {
        fputs("usage: parquet_rows [-s] FILE\n", stderr);
        return 2;
    }
    uint8_t *bytes = read_file(argv[argc - 1], &size);
    if (bytes == NULL) {
        perror(argv[argc - 1]);
        return 1;
    }
    bool good = parquet_open(bytes, size, &file) && print_file(&file, schema);
    if (!good)
        fprintf(stderr, "%s: %s\n", argv[argc - 1], file.complaint.text);
    parquet_close(&file);
    free(bytes);
    return good ? 0 : 1;
}
