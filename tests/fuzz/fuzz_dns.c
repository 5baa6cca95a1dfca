/* fuzz_dns: one message; what it says goes through the cache and comes out again. */
#include <stdlib.h>
#include <string.h>

#include "dissect/dns.h"
#include "dissect/dnscache.h"
#include "dissect/hostname.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
	if (!ok)
		abort();
}

static void check_cache(const struct dns_message *m)
{
	struct dnscache *dc = dnscache_new(16, 0);
	check(dc != NULL);
	const struct facts_addr client = {.family = 4};
	dnscache_store(dc, 0, &client, m, 1);
	const char *name;
	size_t n = 0;
	if (m->n_answers)
		n = dnscache_find(dc, 0, &client, &m->answers[m->n_answers - 1].addr, 1, &name, 1);
	check(n == (m->n_answers && m->response && !m->rcode && m->query[0]));
	check(!n || !strcmp(name, m->query));
	dnscache_free(dc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_message m;
	if (!dns_parse(data, size, &m))
		return 0;
	check(m.n_answers <= DNS_MAX_ANSWERS);
	char again[HOSTNAME_SIZE];
	size_t n = strnlen(m.query, sizeof m.query);
	check(n <= FACTS_MAX_NAME);
	if (n && m.query[n - 1] != '.')
		check(hostname_normalise(m.query, n, again) == HOSTNAME_OK && !strcmp(again, m.query));
	check_cache(&m);
	return 0;
}
