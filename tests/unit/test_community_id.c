/* community_id against the specification's published vectors and against tshark's own computation (tshark --enable-protocol communityid). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "detect/sinks/community_id.h"

static struct facts_addr address(const char *text, uint16_t port)
{
	struct facts_addr a = {.port = port, .family = strchr(text, ':') ? 6 : 4};
	assert_int_equal(inet_pton(a.family == 6 ? AF_INET6 : AF_INET, text, a.ip), 1);
	return a;
}

static const struct vector {
	const char *src;
	uint16_t sport;
	const char *dst;
	uint16_t dport;
	uint8_t proto;
	const char *id;
} vectors[] = {
	{"128.232.110.120", 34855, "66.35.250.204", 80, 6, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="}, /* published */
	{"192.168.1.52", 54585, "8.8.8.8", 53, 17, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},         /* published */
	{"10.1.24.4", 0, "198.51.100.9", 0, 47, "1:HeZYPF4am3gjKSADQ79KFUnHbLM="},
	{"2001:db8::1", 5353, "2001:db8::1", 53, 17, "1:45ffAxVx6X1qj7iAJougK7IotEw="},
	{"2001:db8:ffff::9", 443, "2001:db8::1", 50000, 6, "1:CefXzMk8LqCm2xd8rAhqzjbQzOU="},
	{"255.255.255.255", 1, "0.0.0.1", 65535, 17, "1:kKTZ3WhEC7xP7TIncrlHLkVYG5k="}, /* bytes compare unsigned */
	{"10.0.0.1", 443, "10.0.0.1", 80, 6, "1:ha3Gdb1ffmoH0pMumBteoAOl/+U="},         /* ports break the tie */
};

static void community_id__vectors__both_ways_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		const struct vector *v = &vectors[i];
		struct facts_addr src = address(v->src, v->sport), dst = address(v->dst, v->dport);
		char id[COMMUNITY_ID_SIZE];
		community_id(id, &src, &dst, v->proto);
		assert_string_equal(id, v->id);
		community_id(id, &dst, &src, v->proto);
		assert_string_equal(id, v->id);
	}
}

static void community_id__icmp_and_sctp__none_rather_than_a_wrong_one(void **state)
{
	(void)state;
	static const uint8_t protos[] = {1, 58, 132};
	struct facts_addr src = address("192.168.170.8", 0), dst = address("192.168.170.56", 0);
	for (size_t i = 0; i < sizeof protos; i++) {
		char id[COMMUNITY_ID_SIZE] = "?";
		community_id(id, &src, &dst, protos[i]);
		assert_string_equal(id, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(community_id__vectors__both_ways_the_same),
		cmocka_unit_test(community_id__icmp_and_sctp__none_rather_than_a_wrong_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
