/* Numbers, addresses and times as words: see detect/sentence.h. */
#include "detect/sentence.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const char *sentence_count(char buf[SENTENCE_WORD], uint64_t n)
{
	char digits[24];
	int len = snprintf(digits, sizeof digits, "%" PRIu64, n), k = 0;
	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			buf[k++] = ',';
		buf[k++] = digits[i];
	}
	buf[k] = '\0';
	return buf;
}

const char *sentence_address(char buf[SENTENCE_WORD], const struct facts_addr *a, bool with_port)
{
	char ip[INET6_ADDRSTRLEN] = "?";
	bool v6 = a->family == 6;
	inet_ntop(v6 ? AF_INET6 : AF_INET, a->ip, ip, sizeof ip);
	if (!with_port)
		snprintf(buf, SENTENCE_WORD, "%s", ip);
	else
		snprintf(buf, SENTENCE_WORD, v6 ? "[%s]:%u" : "%s:%u", ip, a->port);
	return buf;
}

const char *sentence_time(char buf[SENTENCE_WORD], uint64_t t_ns, bool with_date)
{
	time_t t = (time_t)(t_ns / UINT64_C(1000000000));
	struct tm tm;
	if (!gmtime_r(&t, &tm) ||
	    !strftime(buf, SENTENCE_WORD, with_date ? "%Y-%m-%dT%H:%M:%SZ" : "%H:%M:%SZ", &tm))
		snprintf(buf, SENTENCE_WORD, "an unknown time");
	return buf;
}
