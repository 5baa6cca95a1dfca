#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dissect/rowbuf.h"

static void close__inside_one_chunk__lent_not_copied(void **state)
{
	struct rowbuf rb = {.max = 10};
	const char *chunk = "xx0123456789yy";
	struct slice s;
	(void)state;
	rowbuf_open(&rb, chunk + 2, 7);
	assert_int_equal(rowbuf_close(&rb, chunk + 12, &s), 0);
	assert_ptr_equal(s.p, chunk + 2);
	assert_int_equal(s.n, 10);
	assert_null(rb.kept);
	assert_false(rb.over);
	assert_int_equal(rb.line, 7);
}

static void close__across_chunks__whole(void **state)
{
	struct rowbuf rb = {.max = 10};
	const char *chunks[] = {"xx01", "234", "", "56789y"};
	struct slice s;
	(void)state;
	rowbuf_open(&rb, chunks[0] + 2, 1);
	assert_int_equal(rowbuf_spill(&rb, chunks[0] + 4), 0);
	for (int i = 1; i < 3; i++) {
		rowbuf_resume(&rb, chunks[i]);
		assert_int_equal(rowbuf_spill(&rb, chunks[i] + strlen(chunks[i])), 0);
	}
	rowbuf_resume(&rb, chunks[3]);
	assert_int_equal(rowbuf_length(&rb, chunks[3] + 5), 10);
	assert_int_equal(rowbuf_close(&rb, chunks[3] + 5, &s), 0);
	assert_int_equal(s.n, 10);
	assert_memory_equal(s.p, "0123456789", 10);
	rowbuf_free(&rb);
}

static void over__one_byte_more_than_max__nothing_kept(void **state)
{
	struct rowbuf rb = {.max = 10};
	struct slice s;
	(void)state;
	rowbuf_open(&rb, "01234567", 1);
	assert_int_equal(rowbuf_spill(&rb, rb.at + 8), 0);
	rowbuf_resume(&rb, "890");
	assert_false(rowbuf_is_over(&rb, rb.at + 2));
	assert_true(rowbuf_is_over(&rb, rb.at + 3));
	assert_int_equal(rowbuf_spill(&rb, rb.at + 3), 0);
	assert_true(rb.over);
	rowbuf_resume(&rb, "more");
	assert_null(rb.at);
	assert_int_equal(rowbuf_spill(&rb, NULL), 0);
	assert_int_equal(rowbuf_close(&rb, NULL, &s), 0);
	assert_true(rb.over);
	assert_int_equal(s.n, 0);
	assert_true(rb.size <= 10);
	rowbuf_free(&rb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(close__inside_one_chunk__lent_not_copied),
	    cmocka_unit_test(close__across_chunks__whole),
	    cmocka_unit_test(over__one_byte_more_than_max__nothing_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
