/* onefile: replays files or folders of files through a fuzz target, without libFuzzer. Fails when there is nothing to replay. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f) {
		perror(path);
		return -1;
	}
	fseek(f, 0, SEEK_END);
	long n = ftell(f);
	rewind(f);
	uint8_t *bytes = malloc(n > 0 ? (size_t)n : 1);
	if (!bytes || n < 0 || fread(bytes, 1, (size_t)n, f) != (size_t)n) {
		perror(path);
		free(bytes);
		fclose(f);
		return -1;
	}
	fclose(f);
	/* An exact-size heap copy: a read past the end is caught by ASan. */
	LLVMFuzzerTestOneInput(bytes, (size_t)n);
	free(bytes);
	return 1;
}

static int replay_folder(const char *path)
{
	DIR *dir = opendir(path);
	if (!dir) {
		perror(path);
		return -1;
	}
	int done = 0;
	for (struct dirent *e; (e = readdir(dir));) {
		if (e->d_name[0] == '.')
			continue;
		char name[1024];
		snprintf(name, sizeof name, "%s/%s", path, e->d_name);
		int r = replay_file(name);
		if (r < 0) {
			closedir(dir);
			return -1;
		}
		done += r;
	}
	closedir(dir);
	return done;
}

int main(int argc, char **argv)
{
	int done = 0;
	for (int i = 1; i < argc; i++) {
		struct stat st;
		if (stat(argv[i], &st)) {
			perror(argv[i]);
			return 1;
		}
		int r = S_ISDIR(st.st_mode) ? replay_folder(argv[i]) : replay_file(argv[i]);
		if (r < 0)
			return 1;
		done += r;
	}
	printf("%d inputs replayed\n", done);
	return done ? 0 : 1;
}
