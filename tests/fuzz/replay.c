/* A fuzz target without a fuzzer: runs it over the files that are named, or over its corpus. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fuzz.h"

#define PATH_MAX_BYTES 1024

static void replay(const char *path)
{
    struct stat info;
    FILE *file = fopen(path, "rb");
    char *data;
    size_t size;
    CHECK(file && fstat(fileno(file), &info) == 0);
    size = (size_t)info.st_size;
    data = malloc(size + 1);
    CHECK(data && fread(data, 1, size, file) == size);
    (void)fclose(file);
    printf("[ RUN      ] %s\n", path);
    (void)fflush(stdout);
    (void)LLVMFuzzerTestOneInput((const uint8_t *)data, size);
    printf("[       OK ] %s\n", path);
    free(data);
}

static int replay_folder(const char *folder)
{
    struct dirent **entries;
    char path[PATH_MAX_BYTES];
    int count = scandir(folder, &entries, NULL, alphasort), replayed = 0;
    CHECK(count >= 0);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') {
            CHECK(snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name) < (int)sizeof(path));
            replay(path);
            replayed++;
        }
        free(entries[i]);
    }
    free(entries);
    return replayed;
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/');
    char folder[PATH_MAX_BYTES];
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    if (argc > 1)
        return 0;
    CHECK(snprintf(folder, sizeof(folder), "tests/fuzz/corpus/%s", slash ? slash + 1 : argv[0]) <
          (int)sizeof(folder));
    return replay_folder(folder) > 0 ? 0 : 1;
}
