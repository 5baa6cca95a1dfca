#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "dissect/dns.h"
#include "tests/unit/frames.h"

static struct frame f;
static struct dns_message m;

static bool parse(void)
{
	uint8_t *copy = malloc(f.n ? f.n : 1);
	assert_non_null(copy);
	memcpy(copy, f.bytes, f.n);
	memset(&m, 0xa5, sizeof m);
	bool ok = dns_parse(copy, f.n, &m);
	free(copy);
	return ok;
}

static void header(uint32_t flags, uint32_t questions, uint32_t answers)
{
	frame_start(&f);
	frame_u16(&f, 0x1234);
	frame_u16(&f, flags);
	frame_u16(&f, questions);
	frame_u16(&f, answers);
	frame_u32(&f, 0);
}

/* Dotted text as labels, with the root. */
static void name(const char *text)
{
	while (*text) {
		size_t n = strcspn(text, ".");
		frame_u8(&f, (uint32_t)n);
		frame_bytes(&f, text, n);
		text += n + (text[n] == '.');
	}
	frame_u8(&f, 0);
}

static void question(const char *text, uint32_t type)
{
	name(text);
	frame_u16(&f, type);
	frame_u16(&f, 1);
}

static void record_head(uint32_t type, uint32_t class, uint32_t ttl_s, uint32_t n)
{
	frame_u16(&f, type);
	frame_u16(&f, class);
	frame_u32(&f, ttl_s);
	frame_u16(&f, n);
}

static void a_record(const char *owner, uint32_t ttl_s, uint32_t addr)
{
	name(owner);
	record_head(1, 1, ttl_s, 4);
	frame_u32(&f, addr);
}

static void cname_record(const char *owner, uint32_t ttl_s, const char *target)
{
	name(owner);
	record_head(5, 1, ttl_s, (uint32_t)strlen(target) + 2);
	name(target);
}

static void parse__query__name_and_type(void **state)
{
	(void)state;
	header(0x0100, 1, 0);
	question("Acct.Blob.core.Windows.NET", 28);
	assert_true(parse());
	assert_false(m.response);
	assert_int_equal(m.id, 0x1234);
	assert_int_equal(m.qtype, 28);
	assert_string_equal(m.query, "acct.blob.core.windows.net");
	assert_int_equal(m.n_answers, 0);
}

/* A response as servers send it: every later name is compressed. */
static void parse__compressed_chain__query_name_smallest_ttl(void **state)
{
	(void)state;
	header(0x8180, 1, 4);
	question("acct.blob.core.windows.net", 1); /* at 12; "windows" at 27 */
	frame_u16(&f, 0xc00c);
	record_head(5, 1, 300, 10);
	frame_bytes(&f, "\x05store\xc0\x1b", 8); /* store.windows.net */
	f.bytes[f.n - 9] = 8;
	size_t store = f.n - 8;
	frame_u16(&f, 0xc000 | (uint32_t)store);
	record_head(1, 1, 60, 4);
	frame_u32(&f, 0xc0000201);
	frame_u16(&f, 0xc000 | (uint32_t)store);
	record_head(1, 1, 600, 4);
	frame_u32(&f, 0xc0000202);
	frame_u16(&f, 0xc000 | (uint32_t)store);
	record_head(28, 1, 600, 16);
	frame_fill(&f, 0x20, 16);
	assert_true(parse());
	assert_true(m.response);
	assert_string_equal(m.query, "acct.blob.core.windows.net");
	assert_int_equal(m.n_answers, 3);
	assert_int_equal(m.answers[0].ttl_s, 60);
	assert_int_equal(m.answers[1].ttl_s, 300);
	assert_int_equal(m.answers[0].addr.family, 4);
	static const uint8_t ip[16] = {192, 0, 2, 1};
	assert_memory_equal(m.answers[0].addr.ip, ip, 16);
	assert_int_equal(m.answers[2].addr.family, 6);
	assert_int_equal(m.answers[2].addr.ip[15], 0x20);
	assert_int_equal(m.answers[2].addr.port, 0);
}

static void parse__chain_out_of_order_or_foreign__only_what_is_reached(void **state)
{
	(void)state;
	header(0x8180, 1, 5);
	question("a.example", 1);
	a_record("C.example", 50, 3);
	cname_record("b.example", 40, "c.example");
	a_record("evil.example", 50, 4);
	cname_record("A.EXAMPLE", 70, "B.example");
	cname_record("evil.example", 70, "a.example");
	assert_true(parse());
	assert_int_equal(m.n_answers, 1);
	assert_int_equal(m.answers[0].addr.ip[3], 3);
	assert_int_equal(m.answers[0].ttl_s, 40);
}

static void parse__cname_loops__end(void **state)
{
	(void)state;
	header(0x8180, 1, 3);
	question("a.example", 1);
	cname_record("a.example", 40, "b.example");
	cname_record("b.example", 40, "a.example");
	a_record("b.example", 50, 3);
	assert_true(parse());
	assert_int_equal(m.n_answers, 1);
	header(0x8180, 1, 1);
	question("a.example", 1);
	cname_record("a.example", 40, "a.example");
	assert_true(parse());
	assert_int_equal(m.n_answers, 0);
}

static void chain_of(int n)
{
	header(0x8180, 1, (uint32_t)n + 1);
	question("n0.example", 1);
	char from[32], to[32] = "n0.example";
	for (int i = 0; i < n; i++) {
		snprintf(from, sizeof from, "n%d.example", i);
		snprintf(to, sizeof to, "n%d.example", i + 1);
		cname_record(from, 40, to);
	}
	a_record(to, 50, 3);
}

static void parse__chain_length__limit_after_16(void **state)
{
	(void)state;
	chain_of(16);
	assert_true(parse());
	assert_int_equal(m.n_answers, 1);
	chain_of(17);
	assert_true(parse());
	assert_int_equal(m.n_answers, 0);
}

static void parse__many_answers__64_kept(void **state)
{
	(void)state;
	for (uint32_t n = 64; n <= 200; n += 68) {
		header(0x8180, 1, n);
		question("a.example", 1);
		for (uint32_t i = 0; i < n; i++)
			a_record("a.example", 1, i);
		assert_true(parse());
		assert_int_equal(m.n_answers, 64);
		assert_int_equal(m.answers[63].addr.ip[3], 63);
	}
}

static void parse__other_types_classes_ttls__judged(void **state)
{
	(void)state;
	header(0x8180, 1, 4);
	question("a.example", 255);
	name("a.example");
	record_head(16, 1, 5, 3);
	frame_fill(&f, 0xff, 3);
	name("a.example");
	record_head(1, 3, 5, 4); /* CHAOS */
	frame_u32(&f, 9);
	a_record("a.example", 0xffffffff, 1);
	name("a.example");
	record_head(1, 0x8001, 77, 4); /* mDNS cache flush */
	frame_u32(&f, 2);
	assert_true(parse());
	assert_int_equal(m.n_answers, 2);
	assert_int_equal(m.answers[0].ttl_s, 0);
	assert_int_equal(m.answers[1].ttl_s, 77);
}

static void parse__mdns_without_question__owner_is_the_name(void **state)
{
	(void)state;
	header(0x8400, 0, 2);
	name("Printer.local");
	record_head(1, 0x8001, 120, 4);
	frame_u32(&f, 2);
	a_record("other.local", 120, 3);
	assert_true(parse());
	assert_string_equal(m.query, "printer.local");
	assert_int_equal(m.n_answers, 1);
	assert_int_equal(m.answers[0].addr.ip[3], 2);
}

static void parse__names_that_are_no_host_names__empty(void **state)
{
	(void)state;
	static const char *const labels[] = {"\x03" "a.b", "\x03" "a b", "\x02\xc3\xa4", "\x00"};
	static const size_t lengths[] = {4, 4, 3, 0};
	for (int i = 0; i < 4; i++) {
		header(0x0100, 1, 0);
		frame_bytes(&f, labels[i], lengths[i]);
		frame_u8(&f, 0);
		frame_u32(&f, 0x00010001);
		assert_true(parse());
		assert_string_equal(m.query, "");
		assert_int_equal(m.qtype, 1);
	}
	header(0x0100, 1, 0);
	question("10.0.0.1", 1);
	assert_true(parse());
	assert_string_equal(m.query, "");
}

static void parse__every_cut__malformed_or_tc(void **state)
{
	(void)state;
	for (int tc = 0; tc < 2; tc++) {
		header(tc ? 0x8380 : 0x8180, 1, 2);
		question("a.example", 1);
		size_t questions = f.n;
		a_record("a.example", 1, 1);
		size_t first = f.n;
		a_record("a.example", 1, 2);
		size_t n = f.n;
		for (f.n = 0; f.n < n; f.n++) {
			assert_int_equal(parse(), tc && f.n >= questions);
			if (tc && f.n >= questions)
				assert_int_equal(m.n_answers, f.n >= first);
		}
		assert_true(parse());
	}
}

/* A question that is only this pointer, at 12; 16 bytes of type, class and rest follow. */
static bool pointer_question(uint32_t pointer)
{
	header(0x0100, 1, 0);
	frame_u16(&f, pointer);
	frame_fill(&f, 0, 16);
	return parse();
}

static void parse__pointers__only_backwards_and_not_into_the_header(void **state)
{
	(void)state;
	assert_false(pointer_question(0xc00c)); /* itself */
	assert_false(pointer_question(0xc010)); /* forward */
	assert_false(pointer_question(0xc00b)); /* header */
	assert_false(pointer_question(0xffff)); /* beyond */
	assert_false(pointer_question(0x800c)); /* reserved label types */
	assert_false(pointer_question(0x400c));
	/* A label, then a pointer back to that label: goes round if only the pointer's own place is compared. */
	header(0x0100, 1, 0);
	frame_bytes(&f, "\x01" "a\xc0\x0c", 4);
	frame_u32(&f, 0x00010001);
	assert_false(parse());
}

static void parse__name_length__255_on_the_wire(void **state)
{
	(void)state;
	for (uint32_t last = 61; last <= 62; last++) {
		header(0x0100, 1, 0);
		for (int i = 0; i < 3; i++) {
			frame_u8(&f, 63);
			frame_fill(&f, 'a', 63);
		}
		frame_u8(&f, last);
		frame_fill(&f, 'a', last);
		frame_u8(&f, 0);
		frame_u32(&f, 0x00010001);
		assert_int_equal(parse(), last == 61);
		if (last == 61)
			assert_int_equal(strlen(m.query), 253);
	}
}

static void parse__bad_rdata__malformed(void **state)
{
	(void)state;
	header(0x8180, 1, 1);
	question("a.example", 1);
	name("a.example");
	record_head(1, 1, 5, 5);
	frame_fill(&f, 1, 5);
	assert_false(parse());
	header(0x8180, 1, 1);
	question("a.example", 1);
	name("a.example");
	record_head(5, 1, 5, 12);
	name("b.example"); /* 11 bytes */
	frame_u8(&f, 0);
	assert_false(parse());
}

static void parse__other_opcode__nothing(void **state)
{
	(void)state;
	header(0xa800, 1, 1); /* update */
	assert_true(parse());
	assert_true(m.response);
	assert_int_equal(m.n_answers, 0);
	assert_string_equal(m.query, "");
}

static double cpu_ms(void)
{
	return (double)clock() * 1000 / CLOCKS_PER_SEC;
}

/* The packet that hangs nDPI 4.2, and a message of nothing but pointers to pointers: both are done at once. */
static void parse__hostile_64_kib__linear(void **state)
{
	(void)state;
	double start = cpu_ms();
	for (int c = 0x3f; c <= 0x7f; c += 0x40) {
		for (int flags = 0; flags <= 0x8000; flags += 0x8000) {
			header((uint32_t)flags, 0xffff, 0xffff);
			frame_fill(&f, (uint8_t)c, 65521);
			assert_false(parse());
		}
	}
	header(0x8180, 1, 0xffff);
	frame_u8(&f, 0);
	frame_u32(&f, 0x00010001);
	frame_u8(&f, 0); /* opaque record that holds a ladder of pointers */
	record_head(99, 1, 1, 12000);
	size_t ladder = f.n;
	frame_u16(&f, 0xc00c);
	for (size_t at = ladder; at + 4 <= ladder + 12000; at += 2)
		frame_u16(&f, 0xc000 | (uint32_t)at);
	while (f.n + 16 <= 65535) {
		frame_u16(&f, 0xc000 | (uint32_t)(ladder + 11998));
		record_head(1, 1, 1, 4);
		frame_u32(&f, 7);
	}
	assert_false(parse()); /* more jumps than a name has room for labels */
	assert_true(cpu_ms() - start < 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse__query__name_and_type),
		cmocka_unit_test(parse__compressed_chain__query_name_smallest_ttl),
		cmocka_unit_test(parse__chain_out_of_order_or_foreign__only_what_is_reached),
		cmocka_unit_test(parse__cname_loops__end),
		cmocka_unit_test(parse__chain_length__limit_after_16),
		cmocka_unit_test(parse__many_answers__64_kept),
		cmocka_unit_test(parse__other_types_classes_ttls__judged),
		cmocka_unit_test(parse__mdns_without_question__owner_is_the_name),
		cmocka_unit_test(parse__names_that_are_no_host_names__empty),
		cmocka_unit_test(parse__every_cut__malformed_or_tc),
		cmocka_unit_test(parse__pointers__only_backwards_and_not_into_the_header),
		cmocka_unit_test(parse__name_length__255_on_the_wire),
		cmocka_unit_test(parse__bad_rdata__malformed),
		cmocka_unit_test(parse__other_opcode__nothing),
		cmocka_unit_test(parse__hostile_64_kib__linear),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
