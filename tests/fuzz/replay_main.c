/* Runs a fuzz target without a fuzzer.
 *
 *   fuzz-replay-NAME               over the inputs that it makes itself, and over its corpus, if it
 *                                  has one; fails if there is a kind of input of which none is taken,
 *                                  or if a stored one is not (refused-…: if it is)
 *   fuzz-replay-NAME PATH…         over files, and all files of directories (not of theirs)
 *   fuzz-replay-NAME --seeds DIR   writes the inputs that it makes itself, for a fuzzer
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

static size_t replayed;

static unsigned long taken(void)
{
    unsigned long sum = 0;
    for (unsigned kind = 0; fuzz_kind(kind) != NULL; kind++)
        sum += fuzz_taken[kind];
    return sum;
}

/* ---- from files ---- */

static int replay_file(const char *path)
{
    uint8_t *data = NULL;
    FILE *file = fopen(path, "rb");
    struct stat st;
    int rc = -1;
    if (file == NULL || fstat(fileno(file), &st) != 0)
        goto out;
    /* A block of exactly the input's size, so that a sanitizer sees any read behind it. */
    size_t size = (size_t)st.st_size;
    data = malloc(size > 0 ? size : 1);
    if (data == NULL || fread(data, 1, size, file) != size)
        goto out;
    LLVMFuzzerTestOneInput(data, size);
    replayed++;
    rc = 0;
out:
    if (rc != 0)
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
    if (file != NULL)
        fclose(file);
    free(data);
    return rc;
}

/* One of the corpus. What has been taken when it was stored, and is refused now, tests nothing any
 * more: it is of a format of the past, say. */
static int replay_stored(const char *path, const char *name)
{
    static const char to_refuse[] = "refused-";
    bool refused = strncmp(name, to_refuse, strlen(to_refuse)) == 0;
    unsigned long before = taken();
    int rc = replay_file(path);
    if (rc != 0 || (taken() == before) == refused)
        return rc;
    fprintf(stderr,
            refused ? "%s: it is taken, although its name says that it is to be refused\n"
                    : "%s: it is not taken; make it anew, remove it, or, if it is there to "
                      "be refused, call it refused-…\n",
            path);
    return -1;
}

static int replay_directory(const char *path, DIR *directory, bool stored)
{
    int rc = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char file[4096];
        struct stat st;
        int n = snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (n < 0 || (size_t)n >= sizeof file)
            rc = -1;
        else if (stat(file, &st) == 0 && S_ISREG(st.st_mode))
            rc |= stored ? replay_stored(file, entry->d_name) : replay_file(file);
    }
    return rc;
}

static int replay(const char *path, bool stored)
{
    DIR *directory = opendir(path);
    int rc = directory != NULL ? replay_directory(path, directory, stored) : replay_file(path);
    if (directory != NULL)
        closedir(directory);
    return rc;
}

/* ---- its own ---- */

static void replay_seed(const uint8_t *bytes, size_t size)
{
    uint8_t *data = malloc(size > 0 ? size : 1);
    if (data == NULL)
        abort();
    memcpy(data, bytes, size);
    LLVMFuzzerTestOneInput(data, size);
    replayed++;
    free(data);
}

static const char *seed_folder;
static size_t seeds;

static void write_seed(const uint8_t *bytes, size_t size)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/made-%zu", seed_folder, seeds++);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
}

/* Each kind has been taken. */
static int judge(void)
{
    int rc = 0;
    for (unsigned kind = 0; fuzz_kind(kind) != NULL; kind++) {
        if (fuzz_taken[kind] > 0)
            continue;
        fprintf(stderr, "of the kind \"%s\" no input is taken: nothing is tested\n",
                fuzz_kind(kind));
        rc = 1;
    }
    printf("replayed %zu inputs, of which %lu were taken\n", replayed, taken());
    return rc;
}

int main(int argc, char **argv)
{
    int rc = 0;
    if (argc == 3 && strcmp(argv[1], "--seeds") == 0) {
        seed_folder = argv[2];
        fuzz_seeds(write_seed);
        return 0;
    }
    for (int i = 1; rc == 0 && i < argc; i++)
        rc = replay(argv[i], false);
    if (argc > 1)
        return rc == 0 ? 0 : 1;
    struct stat st;
    fuzz_seeds(replay_seed);
    if (stat(CORPUS, &st) == 0)
        rc = replay(CORPUS, true);
    return judge() == 0 && rc == 0 ? 0 : 1;
}
