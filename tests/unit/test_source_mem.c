#include "capture/source.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void poll__more_than_a_burst__all_in_order_then_end(void **state)
{
	(void)state;
	static const uint8_t bytes[4] = {1, 2, 3, 4};
	enum { COUNT = SOURCE_BURST * 2 + 5 };
	static struct packet frames[COUNT];
	for (uint32_t i = 0; i < COUNT; i++)
		frames[i] = (struct packet){
		    .ts_ns = i, .data = bytes, .caplen = 4, .len = i == 3 ? 2 : 100, .link = PACKET_LINK_RAW};
	struct source *src;
	struct source_stats st;
	struct packet pkts[SOURCE_BURST];
	struct err err;
	struct source_conf conf = {.frames = frames, .n_frames = COUNT, .input = 4};
	assert_int_equal(source_open(&src, &conf, &err), 0);
	uint32_t at = 0;
	int n;
	while ((n = source_poll(src, pkts, &err)) > 0)
		for (int i = 0; i < n; i++, at++) {
			assert_int_equal(pkts[i].ts_ns, at);
			assert_int_equal(pkts[i].number, at + 1);
			assert_int_equal(pkts[i].input, 4);
			assert_int_equal(pkts[i].len, at == 3 ? 4 : 100); /* never below what was captured */
			assert_ptr_equal(pkts[i].data, bytes);
		}
	assert_int_equal(n, -ENODATA);
	assert_int_equal(at, COUNT);
	source_stats(src, &st);
	assert_int_equal(st.packets, COUNT);
	assert_int_equal(st.bytes, (COUNT - 1) * 100 + 4);
	assert_string_equal(source_input_name(src, 4), "memory");
	source_close(src);
}

static void break__before_the_end__no_data(void **state)
{
	(void)state;
	struct packet frames[1] = {{.ts_ns = 1}}, pkts[SOURCE_BURST];
	struct source *src;
	struct err err;
	assert_int_equal(source_open(&src, &(struct source_conf){.frames = frames, .n_frames = 1}, &err), 0);
	source_break(src);
	assert_int_equal(source_poll(src, pkts, &err), -ENODATA);
	source_close(src);
}

static void open__filter__refused(void **state)
{
	(void)state;
	struct packet frames[1] = {{.ts_ns = 1}};
	struct source *src;
	struct err err;
	struct source_conf conf = {.frames = frames, .n_frames = 1, .filter = "tcp"};
	assert_int_equal(source_open(&src, &conf, &err), LT_EUNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(poll__more_than_a_burst__all_in_order_then_end),
	    cmocka_unit_test(break__before_the_end__no_data),
	    cmocka_unit_test(open__filter__refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
