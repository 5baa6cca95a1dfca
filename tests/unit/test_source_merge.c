#include "capture/source.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/capfile.h"

static struct capdir dir;

struct failure {
	uint16_t input;
	int code;
};

static struct {
	struct failure failures[512];
	size_t n_failures;
	uint64_t *ts; /* of every packet, in order; first byte of the frame beside it */
	uint8_t *first;
	uint16_t *input;
	uint32_t *number;
	size_t n;
	int code;
	struct err err;
	struct source_stats stats;
} got;

static int enter(void **state)
{
	(void)state;
	memset(&got, 0, sizeof got);
	capfile_enter(&dir);
	return 0;
}

static void drop(void)
{
	free(got.ts);
	free(got.first);
	free(got.input);
	free(got.number);
	memset(&got, 0, sizeof got);
}

static int leave(void **state)
{
	(void)state;
	drop();
	capfile_leave(&dir);
	return 0;
}

static void note_failure(void *ctx, uint16_t input, const char *path, const struct err *err)
{
	assert_ptr_equal(ctx, &got);
	assert_non_null(strstr(err->text, path));
	got.failures[got.n_failures++] = (struct failure){input, err->code};
}

static void drain(const char *const *paths, size_t n_paths, const char *filter)
{
	enum { ROOM = 100000 };
	struct source *src;
	struct packet pkts[SOURCE_BURST];
	drop();
	got.ts = calloc(ROOM, sizeof *got.ts);
	got.first = calloc(ROOM, sizeof *got.first);
	got.input = calloc(ROOM, sizeof *got.input);
	got.number = calloc(ROOM, sizeof *got.number);
	struct source_conf conf = {.paths = paths,
				   .n_paths = n_paths,
				   .filter = filter,
				   .input = 100,
				   .failed = note_failure,
				   .failed_ctx = &got};
	got.code = source_open(&src, &conf, &got.err);
	if (got.code)
		return;
	while ((got.code = source_poll(src, pkts, &got.err)) >= 0)
		for (int i = 0; i < got.code; i++, got.n++) {
			assert_true(got.n < ROOM);
			got.ts[got.n] = pkts[i].ts_ns;
			got.first[got.n] = pkts[i].caplen ? pkts[i].data[0] : 0;
			got.input[got.n] = pkts[i].input;
			got.number[got.n] = pkts[i].number;
			/* the whole view must still be this packet's */
			for (uint32_t k = 0; k < pkts[i].caplen; k++)
				if (pkts[i].data[k] != (uint8_t)(pkts[i].data[0] + k))
					fail_msg("a view of packet %zu was overwritten", got.n);
		}
	assert_int_equal(source_poll(src, pkts, NULL), got.code);
	source_stats(src, &got.stats);
	for (size_t i = 0; i < n_paths; i++)
		assert_string_equal(source_input_name(src, (uint16_t)(100 + i)), paths[i]);
	assert_null(source_input_name(src, (uint16_t)(100 + n_paths)));
	source_close(src);
}

/* n packets at start, start + step, ... seconds */
static const char *save(const char *name, uint32_t start, uint32_t step, uint32_t n, uint32_t caplen)
{
	struct capfile c = {0};
	capfile_header(&c, 0xa1b2c3d4, 1);
	for (uint32_t i = 0; i < n; i++)
		capfile_record(&c, start + i * step, 0, caplen, caplen, (uint8_t)i);
	const char *path = capfile_save(&dir, name, c.p, c.n);
	free(c.p);
	return path;
}

static void assert_in_time_order(void)
{
	for (size_t i = 1; i < got.n; i++)
		if (got.ts[i - 1] > got.ts[i])
			fail_msg("packet %zu goes back in time", i);
}

static void poll__rotated_files_given_out_of_order__time_order(void **state)
{
	(void)state;
	const char *paths[] = {save("c", 200, 1, 100, 60), save("a", 0, 1, 100, 60),
			       save("b", 100, 1, 100, 60)};
	drain(paths, 3, NULL);
	assert_int_equal(got.code, -ENODATA);
	assert_int_equal(got.n, 300);
	for (size_t i = 0; i < 300; i++) {
		assert_int_equal(got.ts[i], i * UINT64_C(1000000000));
		assert_int_equal(got.input[i], i < 100 ? 101 : i < 200 ? 102 : 100);
		assert_int_equal(got.number[i], i % 100 + 1);
	}
	assert_int_equal(got.stats.packets, 300);
	assert_int_equal(got.stats.bytes, 300 * 60);
	assert_int_equal(got.stats.offset_bytes, got.stats.size_bytes);
	assert_int_equal(got.stats.size_bytes, 3 * (24 + 100 * 76));
	assert_int_equal(got.stats.merge_late, 0);
}

static void poll__overlapping_files__interleaved_and_views_valid(void **state)
{
	(void)state;
	/* frames large enough that every file reads many chunks while others are in the burst */
	const char *paths[] = {save("a", 0, 3, 3000, 1400), save("b", 1, 3, 3000, 1400),
			       save("c", 2, 3, 3000, 1400), save("d", 4000, 1, 50, 60)};
	drain(paths, 4, NULL);
	assert_int_equal(got.n, 9050);
	assert_in_time_order();
	for (size_t i = 0; i < 3000; i++)
		assert_int_equal(got.input[i], 100 + i % 3);
}

static void poll__equal_times__by_number_of_the_file(void **state)
{
	(void)state;
	const char *paths[] = {save("b", 5, 0, 40, 60), save("a", 5, 0, 40, 60)};
	drain(paths, 2, NULL);
	assert_int_equal(got.n, 80);
	for (size_t i = 0; i < 80; i++)
		assert_int_equal(got.input[i], i < 40 ? 100 : 101);
}

static void poll__disorder_inside_a_file__its_own_order_kept(void **state)
{
	(void)state;
	struct capfile c = {0};
	const uint32_t times[] = {10, 12, 11, 13};
	capfile_header(&c, 0xa1b2c3d4, 1);
	for (uint8_t i = 0; i < 4; i++)
		capfile_record(&c, times[i], 0, 10, 10, i);
	const char *paths[] = {capfile_save(&dir, "a", c.p, c.n), save("b", 100, 1, 2, 10)};
	free(c.p);
	drain(paths, 2, NULL);
	assert_int_equal(got.n, 6);
	for (uint8_t i = 0; i < 4; i++)
		assert_int_equal(got.first[i], i);
}

/* B06 */
static void poll__bad_files_among_a_hundred__the_others_read_and_each_told(void **state)
{
	(void)state;
	const char *paths[100];
	char(*store)[160] = calloc(100, sizeof *store);
	for (uint32_t i = 0; i < 100; i++) {
		char name[16];
		snprintf(name, sizeof name, "f%02u", i);
		snprintf(store[i], sizeof store[i], "%s", save(name, i * 10, 1, 10, 60));
		paths[i] = store[i];
	}
	capfile_save(&dir, "f07", "not a capture at all, sorry", 27);
	capfile_save(&dir, "f08", "", 0);
	assert_int_equal(truncate(paths[50], 24 + 76 * 4 + 33), 0);
	unlink(paths[60]);
	drain(paths, 100, NULL);
	assert_int_equal(got.code, -ENODATA);
	assert_int_equal(got.n, 96 * 10 + 4);
	assert_in_time_order();
	assert_int_equal(got.n_failures, 4);
	const struct failure expected[] = {
	    {107, LT_EFORMAT}, {108, LT_EFORMAT}, {160, -ENOENT}, {150, LT_ETRUNCATED}};
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(got.failures[i].input, expected[i].input);
		assert_int_equal(got.failures[i].code, expected[i].code);
	}
	assert_int_equal(got.stats.files_failed, 4);
	free(store);
}

static void open__every_file_bad__error_of_the_first(void **state)
{
	(void)state;
	const char *paths[] = {capfile_save(&dir, "a", "nope, nothing here", 18),
			       capfile_save(&dir, "b", "", 0)};
	drain(paths, 2, NULL);
	assert_int_equal(got.code, LT_EFORMAT);
	assert_int_equal(got.n_failures, 2);
	assert_non_null(strstr(got.err.text, "none of 2 files"));
}

static void open__files_without_packets__clean_end(void **state)
{
	(void)state;
	const char *paths[] = {save("a", 0, 1, 0, 0), save("b", 0, 1, 0, 0)};
	drain(paths, 2, NULL);
	assert_int_equal(got.code, -ENODATA);
	assert_int_equal(got.n, 0);
	assert_int_equal(got.n_failures, 0);
}

static void open__one_path_in_the_list__a_plain_file(void **state)
{
	(void)state;
	const char *paths[] = {save("a", 0, 1, 10, 60)};
	assert_int_equal(truncate(paths[0], 24 + 76 * 3 + 1), 0);
	drain(paths, 1, NULL);
	assert_int_equal(got.n, 3);
	assert_int_equal(got.code, LT_ETRUNCATED); /* a lone file's error is poll's */
	assert_int_equal(got.n_failures, 0);
	assert_int_equal(got.input[0], 100);
}

static void poll__filter__applied_and_mistakes_found_at_open(void **state)
{
	(void)state;
	const char *paths[] = {save("a", 0, 2, 60, 60), save("b", 1, 2, 60, 60)};
	drain(paths, 2, "ether[0] >= 50");
	assert_int_equal(got.n, 20);
	assert_in_time_order();
	assert_int_equal(got.stats.filtered, 100);
	drain(paths, 2, "ether[");
	assert_int_equal(got.code, LT_EFILTER);
	assert_int_equal(got.n_failures, 0);
}

static void poll__more_overlap_than_may_be_open__all_read_and_late_counted(void **state)
{
	(void)state;
	enum { COUNT = 300 }; /* 256 may be open */
	const char *paths[COUNT];
	char(*store)[160] = calloc(COUNT, sizeof *store);
	for (uint32_t i = 0; i < COUNT; i++) {
		char name[16];
		snprintf(name, sizeof name, "f%03u", i);
		snprintf(store[i], sizeof store[i], "%s", save(name, i, 1000, 50, 10));
		paths[i] = store[i];
	}
	drain(paths, COUNT, NULL);
	assert_int_equal(got.code, -ENODATA);
	assert_int_equal(got.n, COUNT * 50);
	assert_int_equal(got.n_failures, 0);
	assert_int_equal(got.stats.merge_late, COUNT - 256);
	free(store);
}

static void poll__standard_input_among_files__merged(void **state)
{
	(void)state;
	struct capfile c = {0};
	int ends[2], saved = dup(STDIN_FILENO);
	capfile_header(&c, 0xa1b2c3d4, 1);
	for (uint32_t i = 0; i < 5; i++)
		capfile_record(&c, i * 10 + 5, 0, 10, 10, (uint8_t)i);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], c.p, c.n), c.n);
	close(ends[1]);
	free(c.p);
	dup2(ends[0], STDIN_FILENO);
	close(ends[0]);
	const char *paths[] = {save("a", 0, 10, 5, 10), "-"};
	drain(paths, 2, NULL);
	dup2(saved, STDIN_FILENO);
	close(saved);
	assert_int_equal(got.n, 10);
	assert_in_time_order();
	assert_int_equal(got.stats.size_bytes, 0);
}

static void break__while_merging__ends(void **state)
{
	(void)state;
	struct source *src;
	struct packet pkts[SOURCE_BURST];
	struct err err;
	const char *paths[] = {save("a", 0, 1, 100, 60), save("b", 0, 1, 100, 60)};
	assert_int_equal(source_open(&src, &(struct source_conf){.paths = paths, .n_paths = 2}, &err), 0);
	assert_true(source_poll(src, pkts, &err) > 0);
	source_break(src);
	assert_int_equal(source_poll(src, pkts, &err), -ENODATA);
	source_close(src);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(poll__rotated_files_given_out_of_order__time_order),
	    TEST(poll__overlapping_files__interleaved_and_views_valid),
	    TEST(poll__equal_times__by_number_of_the_file),
	    TEST(poll__disorder_inside_a_file__its_own_order_kept),
	    TEST(poll__bad_files_among_a_hundred__the_others_read_and_each_told),
	    TEST(open__every_file_bad__error_of_the_first),
	    TEST(open__files_without_packets__clean_end),
	    TEST(open__one_path_in_the_list__a_plain_file),
	    TEST(poll__filter__applied_and_mistakes_found_at_open),
	    TEST(poll__more_overlap_than_may_be_open__all_read_and_late_counted),
	    TEST(poll__standard_input_among_files__merged),
	    TEST(break__while_merging__ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
