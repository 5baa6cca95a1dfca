#include "capture/evsource.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <zlib.h>

#include <cmocka.h>

#include "tests/unit/capfile.h"

static struct capdir dir;

static int enter(void **state)
{
	(void)state;
	capfile_enter(&dir);
	return 0;
}

static int leave(void **state)
{
	(void)state;
	capfile_leave(&dir);
	return 0;
}

static const char *save_gzip(const char *name, const char *text, size_t cut)
{
	uint8_t out[512];
	z_stream z = {0};
	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (uint8_t *)(uintptr_t)text;
	z.avail_in = (unsigned)strlen(text);
	z.next_out = out;
	z.avail_out = sizeof out;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	size_t n = z.total_out;
	deflateEnd(&z);
	return capfile_save(&dir, name, out, n - cut);
}

/* Everything polled, as "[origin:text]" per file and "!code" per error. */
static void transcribe(struct evsource *es, char *out, size_t room)
{
	size_t n = 0;
	for (;;) {
		struct evchunk c;
		struct err err;
		int r = evsource_poll(es, &c, &err);
		if (r == -ENODATA)
			break;
		if (r < 0) {
			n += (size_t)snprintf(out + n, room - n, "!%d", r);
			continue;
		}
		assert_int_equal(r, 1);
		const char *slash = strrchr(c.origin, '/');
		if (c.begins)
			n += (size_t)snprintf(out + n, room - n, "[%s:", slash ? slash + 1 : c.origin);
		n += (size_t)snprintf(out + n, room - n, "%.*s", (int)c.n, c.bytes);
		if (c.ends)
			n += (size_t)snprintf(out + n, room - n, "]");
	}
}

static void poll__directory_of_plain_and_gzip__files_in_order(void **state)
{
	(void)state;
	struct evsource *es;
	struct evsource_stats st;
	struct err err;
	char out[512];
	capfile_save(&dir, "2.json", "two\n", 4);
	save_gzip("1.json.gz", "one\n", 0);
	capfile_save(&dir, "3.json", "", 0);
	assert_int_equal(evsource_open(&es, (const char *[]){dir.path}, 1, &err), 0);
	transcribe(es, out, sizeof out);
	assert_string_equal(out, "[1.json.gz:one\n][2.json:two\n][3.json:]");
	evsource_stats(es, &st);
	assert_int_equal(st.files, 3);
	assert_int_equal(st.bytes, 8);
	assert_int_equal(st.unreadable, 0);
	assert_true(st.size_bytes > 4);
	assert_int_equal(st.offset_bytes, st.size_bytes);
	evsource_close(es);
}

static void poll__damaged_and_vanished_among_good__others_go_on(void **state)
{
	(void)state;
	struct evsource *es;
	struct evsource_stats st;
	struct err err;
	char out[512], expected[512];
	const char *a = save_gzip("a", "alpha", 6), *b = capfile_save(&dir, "b", "beta", 4);
	const char *c = capfile_save(&dir, "c", "gamma", 5);
	assert_int_equal(evsource_open(&es, (const char *[]){a, b, c}, 3, &err), 0);
	unlink(b);
	transcribe(es, out, sizeof out);
	snprintf(expected, sizeof expected, "[a:alpha!%d]!%d[b:][c:gamma]", LT_ETRUNCATED, -ENOENT);
	assert_string_equal(out, expected);
	evsource_stats(es, &st);
	assert_int_equal(st.unreadable, 2);
	assert_int_equal(st.files, 1);
	evsource_close(es);
}

static void poll__large_file__chunks_join_to_the_file(void **state)
{
	(void)state;
	struct evsource *es;
	struct evchunk c;
	struct err err;
	size_t size = 1000 * 1000, n = 0;
	uint8_t *text = malloc(size);
	for (size_t i = 0; i < size; i++)
		text[i] = (uint8_t)(i * 7 / 3);
	const char *path = capfile_save(&dir, "big", text, size);
	assert_int_equal(evsource_open(&es, &path, 1, &err), 0);
	int begins = 0, ends = 0;
	while (evsource_poll(es, &c, &err) == 1) {
		assert_true(n + c.n <= size);
		assert_memory_equal(c.bytes, text + n, c.n);
		assert_string_equal(c.origin, path);
		n += c.n;
		begins += c.begins;
		ends += c.ends;
	}
	assert_int_equal(n, size);
	assert_int_equal(begins, 1);
	assert_int_equal(ends, 1);
	evsource_close(es);
	free(text);
}

static void open__empty_directory__error(void **state)
{
	(void)state;
	struct evsource *es = NULL;
	struct err err;
	assert_int_equal(evsource_open(&es, (const char *[]){dir.path}, 1, &err), -ENOENT);
	assert_null(es);
	assert_non_null(strstr(err.text, dir.path));
}

static void *break_soon(void *arg)
{
	usleep(50000);
	evsource_break(arg);
	return NULL;
}

static void break__waiting_for_pipe__ends(void **state)
{
	(void)state;
	struct evsource *es;
	struct evchunk c;
	struct err err;
	pthread_t t;
	const char *path = capfile_path(&dir, "pipe");
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(evsource_open(&es, &path, 1, &err), 0);
	assert_int_equal(pthread_create(&t, NULL, break_soon, es), 0);
	assert_int_equal(evsource_poll(es, &c, &err), -ENODATA);
	pthread_join(t, NULL);
	evsource_close(es);
}

static void poll__standard_input__origin_is_dash(void **state)
{
	(void)state;
	struct evsource *es;
	struct evsource_stats st;
	struct err err;
	char out[64];
	int ends[2], saved = dup(STDIN_FILENO);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "hello", 5), 5);
	close(ends[1]);
	dup2(ends[0], STDIN_FILENO);
	close(ends[0]);
	assert_int_equal(evsource_open(&es, (const char *[]){"-"}, 1, &err), 0);
	transcribe(es, out, sizeof out);
	evsource_stats(es, &st);
	evsource_close(es);
	dup2(saved, STDIN_FILENO);
	close(saved);
	assert_string_equal(out, "[-:hello]");
	assert_int_equal(st.size_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(poll__directory_of_plain_and_gzip__files_in_order, enter, leave),
	    cmocka_unit_test_setup_teardown(poll__damaged_and_vanished_among_good__others_go_on, enter,
					    leave),
	    cmocka_unit_test_setup_teardown(poll__large_file__chunks_join_to_the_file, enter, leave),
	    cmocka_unit_test_setup_teardown(open__empty_directory__error, enter, leave),
	    cmocka_unit_test_setup_teardown(break__waiting_for_pipe__ends, enter, leave),
	    cmocka_unit_test_setup_teardown(poll__standard_input__origin_is_dash, enter, leave),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
