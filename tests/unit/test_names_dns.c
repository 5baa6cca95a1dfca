/* Names by DNS answers over TCP (RFC 7766) through the whole path: however the stream is cut, whatever else the
 * connection carries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dissect/assemble.h"
#include "tests/unit/hello_build.h"
#include "tests/unit/wire.h"

static struct wire *w;
static struct build questions, answers;

static int make(void **state)
{
	(void)state;
	w = wire_new((struct track_conf){.zone = 0});
	return 0;
}

static int drop(void **state)
{
	(void)state;
	wire_free(w);
	return 0;
}

static void put_name(struct build *b, unsigned k)
{
	build_put(b, "\x05" "files", 6);
	build_u8(b, 2);
	build_u8(b, 'a' + k / 26 % 26);
	build_u8(b, 'a' + k % 26);
	build_put(b, "\x04test", 6);
}

/* filler: bytes of a TXT record in front of the address 203.0.113.k. */
static void put_exchange(unsigned k, unsigned filler)
{
	size_t mark = build_open(&questions, 2);
	build_put(&questions, "\x12\x34\x01\0\0\x01\0\0\0\0\0\0", 12);
	put_name(&questions, k);
	build_put(&questions, "\0\x01\0\x01", 4);
	build_close(&questions, mark, 2);
	mark = build_open(&answers, 2);
	build_put(&answers, "\x12\x34\x81\x80\0\x01\0\x02\0\0\0\0", 12);
	put_name(&answers, k);
	build_put(&answers, "\0\x01\0\x01", 4);
	build_put(&answers, "\xc0\x0c\0\x10\0\x01\0\0\0\x3c", 10);
	build_u16(&answers, filler);
	build_zeros(&answers, filler);
	build_put(&answers, "\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xcb\0\x71", 15);
	build_u8(&answers, k);
	build_close(&answers, mark, 2);
}

static void say_cut(unsigned dir, const struct build *b, size_t step, bool back)
{
	const uint32_t base = w->at[dir];
	const size_t n = (b->n + step - 1) / step;
	for (size_t i = 0; i < n; i++) {
		size_t at = (back ? n - 1 - i : i) * step;
		wire_say_at(w, dir, base + (uint32_t)at, b->at + at, b->n - at < step ? b->n - at : step);
	}
}

/* What a nameless flow of the same client to 203.0.113.9 is called. */
static void expect(const char *want, const char *what, size_t step)
{
	const struct heard *h = wire_end(w);
	assert_non_null(h);
	if (strcmp(h->app_proto, "dns") != 0)
		fail_msg("%s, %zu: protocol '%s'", what, step, h->app_proto);
	wire_reset(w);
	wire_open(w);
	wire_say(w, 0, "\x01\x02\x03", 3);
	h = wire_end(w);
	assert_non_null(h);
	if (strcmp(h->name, want) != 0)
		fail_msg("%s, %zu: '%s'", what, step, h->name);
	assert_int_equal(h->source, *want ? FACTS_NAME_DNS_ANSWER : FACTS_NAME_NONE);
}

static void fresh(void)
{
	wire_free(w); /* and what it remembers */
	w = wire_new((struct track_conf){.zone = 0});
	w->sport = 53;
	questions.n = answers.n = 0;
	wire_open(w);
}

static void tcp__answer_cut_anywhere__names_a_later_flow(void **state)
{
	(void)state;
	static const size_t steps[] = {1, 2, 3, 13, 40, 536, 1400, 9000};
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
		for (unsigned filler = 0; filler < 4000; filler += 1999)
			for (int back = 0; back < 2; back++) {
				fresh();
				put_exchange(9, filler);
				say_cut(0, &questions, steps[i], back);
				say_cut(1, &answers, steps[i], back);
				expect("files.aj.test", back ? "backwards" : "in order", steps[i]);
			}
}

/* The ninth answer of a connection that stays open, with pauses; each answer may come in two segments. */
static void tcp__connection_stays_open__later_answers_count(void **state)
{
	(void)state;
	for (size_t step = 20; step < 100; step += 40) {
		fresh();
		for (unsigned k = 1; k < 10; k++) {
			questions.n = answers.n = 0;
			put_exchange(k, 0);
			say_cut(0, &questions, 9000, false);
			say_cut(1, &answers, step, false);
			w->ts_ns += UINT64_C(30000000000);
		}
		expect("files.aj.test", "ninth", step);
	}
}

/* Many at once: segments that end inside messages, more than is held of one connection. */
static void tcp__pipelined__every_answer_counts(void **state)
{
	(void)state;
	fresh();
	for (unsigned k = 0; k < 120; k++)
		put_exchange(k == 119 ? 9 : k % 9, 200);
	assert_true(answers.n < ASSEMBLE_MAX_BYTES);
	say_cut(0, &questions, 1400, false);
	say_cut(1, &answers, 1400, false);
	expect("files.aj.test", "pipelined", 1400);
}

/* Longer than what is held: given up, not followed wrongly; what lies whole in a segment still counts. */
static void tcp__longer_than_held__later_whole_segment_counts(void **state)
{
	(void)state;
	fresh();
	put_exchange(8, 40000);
	say_cut(0, &questions, 1400, false);
	say_cut(1, &answers, 1400, false);
	questions.n = answers.n = 0;
	put_exchange(9, 0);
	say_cut(0, &questions, 1400, false);
	say_cut(1, &answers, 1400, false);
	expect("files.aj.test", "behind", 1400);
}

/* A byte lost for good: nothing behind it may be taken for a message. */
static void tcp__hole_in_the_answers__no_name_from_behind(void **state)
{
	(void)state;
	fresh();
	put_exchange(9, 300);
	say_cut(0, &questions, 1400, false);
	wire_say_at(w, 1, 0, answers.at, 100);
	wire_say_at(w, 1, 101, answers.at + 101, answers.n - 101);
	expect("", "hole", 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tcp__answer_cut_anywhere__names_a_later_flow),
	    cmocka_unit_test(tcp__connection_stays_open__later_answers_count),
	    cmocka_unit_test(tcp__pipelined__every_answer_counts),
	    cmocka_unit_test(tcp__longer_than_held__later_whole_segment_counts),
	    cmocka_unit_test(tcp__hole_in_the_answers__no_name_from_behind),
	};
	return cmocka_run_group_tests(tests, make, drop);
}
