/* Operator files and names: the first byte chooses. Whatever is found must also be found by the row's own
 * pattern. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "detect/catalogue.h"
#include "detect/catrow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct catalogue *ours;

static void find_name(const uint8_t *data, size_t size)
{
	char name[256];
	size_t n = size < 253 ? size : 253;
	memcpy(name, data, n);
	name[n] = '\0';
	struct catalogue_match m;
	if (!catalogue_find(ours, name, &m))
		return;
	if (strlen(m.account) >= sizeof m.account || (*m.account && !strstr(name, m.account)))
		abort();
	if (catalogue_find_parent(ours, name, &m) && m.row->role == CATALOGUE_TELEMETRY)
		abort();
}

static void read_file(const uint8_t *data, size_t size)
{
	char path[] = "/tmp/leaktap-fuzz-XXXXXX";
	int fd = mkstemp(path);
	if (fd < 0)
		return;
	ssize_t written = write(fd, data, size);
	close(fd);
	size_t rows = 0;
	struct err err = {0};
	int r = written == (ssize_t)size ? catalogue_check_file(path, &rows, &err) : -1;
	if ((r == LT_ECONF) != (strchr(err.text, ':') != NULL && err.code == LT_ECONF))
		abort();
	const char *files[] = {path};
	struct catalogue_conf conf = {.files = files, .n_files = 1};
	struct catalogue *c = NULL;
	if (!r && catalogue_new(&c, &conf, NULL))
		abort();
	if (!r && catalogue_rows(c) < rows + catalogue_rows(ours))
		abort();
	catalogue_free(c);
	unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct catalogue_conf conf = {.enable_known = false};
	if (!ours && catalogue_new(&ours, &conf, NULL))
		return 0;
	if (!size)
		return 0;
	if (data[0] == 'n')
		find_name(data + 1, size - 1);
	else
		read_file(data + 1, size - 1);
	return 0;
}
