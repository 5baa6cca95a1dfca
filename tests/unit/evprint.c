/* evprint [-z ZONE] [-c CHUNK] FILE...: every event as one line of tab-separated fields, every refused row as
 * "#note"; for scripts that compare what evparse makes of a log with what they make of it themselves. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "dissect/evparse.h"

static void put_text(struct slice s)
{
	putchar('\t');
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] == 0x7f)
			printf("\\x%02x", (unsigned)s.p[i]);
		else
			putchar(s.p[i]);
}

static void put_addr(const struct facts_addr *a)
{
	char text[INET6_ADDRSTRLEN] = "";
	if (a->family)
		inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->ip, text, sizeof text);
	printf("\t%s\t%u", text, (unsigned)a->port);
}

static void on_event(void *ctx, const struct procevent *ev)
{
	if (*(const int *)ctx)
		return;
	printf("%" PRIu64 "\t%s\t%s\t%u\t%u\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64, ev->line,
	       procevent_kind_names[ev->kind], procevent_source_names[ev->source], (unsigned)ev->clock,
	       (unsigned)ev->flags, ev->time_ns, ev->time_logged_ns, ev->time_received_ns);
	put_text(ev->device_name);
	printf("\t%u", (unsigned)ev->proto);
	put_addr(&ev->local);
	put_addr(&ev->remote);
	put_text(ev->process.path);
	printf("\t%u", ev->process.pid);
	put_text(ev->process.uid);
	put_text(ev->user_domain);
	put_text(ev->user);
	put_text(ev->event_id);
	put_text(ev->process.command_line);
	put_text(ev->parent.path);
	printf("\t%u", ev->parent.pid);
	put_text(ev->file_path);
	put_text(ev->dns_query);
	putchar('\n');
}

static void on_note(void *ctx, enum evparse_reason why, const char *text)
{
	(void)ctx;
	printf("#note\t%s\t%s\n", evparse_reason_names[why], text);
}

static int read_file(struct evparse *ep, const char *path, size_t chunk, int quiet)
{
	struct err err = {0};
	FILE *f = fopen(path, "rb");
	char *buf = malloc(chunk);
	int r = f && buf ? evparse_begin(ep, path, &err) : -1;
	while (!r) {
		size_t n = fread(buf, 1, chunk, f);
		if (!n)
			break;
		r = evparse_feed(ep, buf, n, on_event, &quiet, &err);
	}
	if (!r)
		r = evparse_end(ep, on_event, &quiet, &err);
	if (r)
		printf("#error\t%d\t%s\n", r, err.text);
	free(buf);
	if (f)
		fclose(f);
	return r;
}

int main(int argc, char **argv)
{
	struct evparse_conf conf = {.note = on_note};
	size_t chunk = 65536;
	int quiet = 0, c;
	while ((c = getopt(argc, argv, "z:c:q")) != -1) {
		if (c == 'z')
			conf.zone = optarg;
		else if (c == 'c')
			chunk = strtoul(optarg, NULL, 10);
		else if (c == 'q')
			quiet = 1;
		else
			return 2;
	}
	struct err err;
	struct evparse *ep = chunk ? evparse_new(&conf, &err) : NULL;
	if (!ep)
		return 2;
	int failed = 0;
	for (int i = optind; i < argc; i++)
		failed |= read_file(ep, argv[i], chunk, quiet) != 0;
	printf("#rows\t%" PRIu64 "\n", evparse_stats(ep)->rows);
	for (int i = 0; i < PROCEVENT_KIND_COUNT; i++)
		printf("#accepted\t%s\t%" PRIu64 "\n", procevent_kind_names[i],
		       evparse_stats(ep)->accepted[i]);
	for (int i = 0; i < EVPARSE_REASON_COUNT; i++)
		if (evparse_stats(ep)->rejected[i])
			printf("#rejected\t%s\t%" PRIu64 "\n", evparse_reason_names[i],
			       evparse_stats(ep)->rejected[i]);
	evparse_free(ep);
	return failed;
}
