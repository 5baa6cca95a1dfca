/* sink_hunt: what one device did around one moment, as a table and an answer. Kind "hunt".
 *
 * The answer "no upload observed" is given only when it holds: the capture covers the whole window, nothing was dropped, filtered out or unreadable, no bytes of
 * the device went to a destination without a name, and no flow carried bytes up that a direction of the whole flow hides: much both ways, or the requests of
 * a download from a host that takes uploads, where a connection is often used again. Otherwise it says what is missing and how many bytes are unexplained. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "detect/sinks/escape.h"
#include "detect/sinks/jsonout.h"
#include "detect/sinks/record.h"
#include "detect/sinks/sinks.h"

enum { FLOWS_MAX = 20000, ADDRESSES_MAX = 64 };
enum { BOTH_MIN_BYTES = 256, MIXED_MIN_BYTES = 1000 }; /* less of it goes up in requests alone */

struct hunt_flow {
	uint64_t start_ns, end_ns, up_bytes, down_bytes, app_up_bytes, app_down_bytes;
	struct facts_addr src, dst_addr;
	char dst[46], name[128], service[48], process[48], device[64];
	uint32_t pid;
	uint16_t dst_port;
	char grade;
	uint8_t name_source, direction;
	bool app_known;
	bool owned;     /* the initiator's process is known */
	bool telemetry, takes_uploads; /* the destination's role */
	char dst_device[64], dst_process[48]; /* the responder's, where known */
	uint32_t dst_pid;
	char dst_grade;
};

struct sink {
	const char *device;
	uint64_t from_ns, to_ns;
	uint64_t first_ns, last_ns; /* of all flows: what the capture covers */
	struct hunt_flow *flows;
	size_t n, size;
	uint64_t left_out;
	struct sink_stats stats;
};

static int hunt_open(struct sink **ret_s, const struct sink_conf *conf, struct err *err)
{
	struct sink *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(err, -ENOMEM, "no memory for the hunt");
	s->device = conf->hunt_device;
	s->from_ns = conf->hunt_from_ns;
	s->to_ns = conf->hunt_to_ns;
	s->first_ns = UINT64_MAX;
	*ret_s = s;
	return 0;
}

static void copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

static struct hunt_flow *next_flow(struct sink *s)
{
	if (s->n == s->size) {
		size_t size = s->size ? s->size * 2 : 256;
		struct hunt_flow *grown = size > 2 * FLOWS_MAX ? NULL : realloc(s->flows, size * sizeof *grown);
		if (!grown)
			return NULL;
		s->flows = grown;
		s->size = size;
	}
	struct hunt_flow *h = &s->flows[s->n++];
	memset(h, 0, sizeof *h);
	return h;
}

static int hunt_flow(struct sink *s, const struct verdict *v)
{
	const struct flow_facts *f = v->facts;
	s->first_ns = f->start_ns < s->first_ns ? f->start_ns : s->first_ns;
	s->last_ns = f->end_ns > s->last_ns ? f->end_ns : s->last_ns;
	if (f->end_ns < s->from_ns || f->start_ns > s->to_ns)
		return 0;
	struct hunt_flow *h = next_flow(s);
	if (!h) {
		s->left_out++;
		return 0;
	}
	h->start_ns = f->start_ns;
	h->end_ns = f->end_ns;
	h->up_bytes = f->up.bytes;
	h->down_bytes = f->down.bytes;
	h->app_known = f->app_known;
	h->app_up_bytes = f->up.app_bytes;
	h->app_down_bytes = f->down.app_bytes;
	h->src = f->src;
	h->dst_addr = f->dst;
	h->owned = v->initiator.outcome == OWNER_ATTRIBUTED;
	h->dst_grade = v->has_responder ? v->responder.grade : 'U';
	if (v->has_responder && v->responder.outcome == OWNER_ATTRIBUTED) {
		copy(h->dst_device, sizeof h->dst_device, v->responder.process.device);
		copy(h->dst_process, sizeof h->dst_process, v->responder.process.name);
		h->dst_pid = v->responder.process.pid;
	}
	h->dst_port = f->dst.port;
	h->grade = v->initiator.grade;
	h->direction = v->direction;
	h->name_source = f->name_source;
	h->telemetry = v->has_destination && v->destination.row->role == CATALOGUE_TELEMETRY;
	h->takes_uploads = v->has_destination && v->destination.row->role == CATALOGUE_UPLOAD;
	record_address(h->dst, &f->dst);
	copy(h->name, sizeof h->name, f->name);
	copy(h->service, sizeof h->service, v->has_destination ? v->destination.row->title : "");
	if (v->initiator.outcome != OWNER_ATTRIBUTED)
		return 0;
	copy(h->process, sizeof h->process, v->initiator.process.name);
	copy(h->device, sizeof h->device, v->initiator.process.device);
	h->pid = v->initiator.process.pid;
	return 0;
}

static int hunt_stats(struct sink *s, const struct sink_stats *st)
{
	s->stats = *st;
	return 0;
}

/* A bare name stands for the first label of a full one. */
static bool same_device(const char *a, const char *b)
{
	size_t na = strlen(a), nb = strlen(b), n = na < nb ? na : nb;
	return n && !strncasecmp(a, b, n) && (na == nb || (na > nb ? a : b)[n] == '.');
}

static bool has_address(const struct facts_addr *list, size_t n, const struct facts_addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].family == a->family && !memcmp(list[i].ip, a->ip, 16))
			return true;
	return false;
}

static size_t add_address(const struct sink *s, struct facts_addr *list, size_t n, const struct facts_addr *a, const char *device)
{
	char ip[46];
	record_address(ip, a);
	if ((strcmp(ip, s->device) && !same_device(device, s->device)) || n == ADDRESSES_MAX || has_address(list, n, a))
		return n;
	list[n] = *a;
	return n + 1;
}

/* Addresses of the device: the one that was asked for, or those of flows whose process, at either end, runs on it. */
static size_t find_addresses(const struct sink *s, struct facts_addr list[ADDRESSES_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < s->n; i++) {
		n = add_address(s, list, n, &s->flows[i].src, s->flows[i].device);
		n = add_address(s, list, n, &s->flows[i].dst_addr, s->flows[i].dst_device);
	}
	return n;
}

static int by_start(const void *a, const void *b)
{
	const struct hunt_flow *x = a, *y = b;
	if (x->start_ns != y->start_ns)
		return x->start_ns < y->start_ns ? -1 : 1;
	return x->src.port < y->src.port ? -1 : x->src.port > y->src.port;
}

static void put_cell(const char *text, int width)
{
	char safe[1024];
	size_t n = escape_terminal(safe, sizeof safe - 1, text, strlen(text));
	safe[n < sizeof safe ? n : sizeof safe - 1] = '\0';
	printf("%-*.*s ", width, width, safe);
}

/* The process at the device's end: the responder's where the device answered. */
static void put_flow(const struct hunt_flow *h, bool answered)
{
	char t[33], owner[64];
	const char *process = answered ? h->dst_process : h->process;
	jsonout_time_text(t, h->start_ns);
	printf("%.12s ", t + 11);
	snprintf(owner, sizeof owner, "%s %u", process, answered ? h->dst_pid : h->pid);
	put_cell(*process ? owner : "-", 24);
	printf("%c ", answered ? h->dst_grade : h->grade);
	put_cell(*h->name ? h->name : h->dst, 44);
	put_cell(*h->service ? h->service : "-", 20);
	printf("%12" PRIu64 " %12" PRIu64 " %s %s\n", h->app_known ? h->app_up_bytes : h->up_bytes,
	       h->app_known ? h->app_down_bytes : h->down_bytes, h->app_known ? "app" : "pay", verdict_direction_names[h->direction]);
}

struct hunt_sum {
	size_t flows, uploads;
	uint64_t upload_bytes, unexplained_bytes;
	bool nameless, hidden; /* why bytes are unexplained */
	size_t ownerless; /* flows of others or nobody that carried much out and that no device could be named for */
};

/* Bytes that left the device: up where it initiated, down where it answered. */
static uint64_t left_bytes(const struct hunt_flow *h, bool answered)
{
	uint64_t app = answered ? h->app_down_bytes : h->app_up_bytes, payload = answered ? h->down_bytes : h->up_bytes;
	return h->app_known ? app : payload;
}

/* An upload may lie in the flow although the flow as a whole is none. */
static bool may_hide_upload(const struct hunt_flow *h, bool answered)
{
	uint64_t bytes = left_bytes(h, answered);
	if (h->direction == VERDICT_BOTH)
		return !h->telemetry && bytes >= BOTH_MIN_BYTES;
	return !answered && h->direction == VERDICT_DOWNLOAD && h->takes_uploads && bytes >= MIXED_MIN_BYTES;
}

static void sum_flow(struct hunt_sum *sum, const struct hunt_flow *h, bool answered)
{
	sum->flows++;
	if (h->direction == (answered ? VERDICT_DOWNLOAD : VERDICT_UPLOAD)) {
		sum->uploads++;
		sum->upload_bytes += left_bytes(h, answered);
	}
	bool nameless = !answered && (h->name_source == FACTS_NAME_NONE || h->name_source == FACTS_NAME_ECH_OUTER) && h->up_bytes;
	bool hidden = may_hide_upload(h, answered);
	sum->nameless |= nameless;
	sum->hidden |= hidden;
	if (nameless)
		sum->unexplained_bytes += h->up_bytes;
	else if (hidden)
		sum->unexplained_bytes += left_bytes(h, answered);
}

static struct hunt_sum put_flows(struct sink *s)
{
	struct facts_addr addresses[ADDRESSES_MAX];
	struct hunt_sum sum = {0};
	size_t n = find_addresses(s, addresses);
	if (s->n)
		qsort(s->flows, s->n, sizeof *s->flows, by_start);
	for (size_t i = 0; i < s->n; i++) {
		const struct hunt_flow *h = &s->flows[i];
		bool sent = has_address(addresses, n, &h->src), answered = !sent && has_address(addresses, n, &h->dst_addr);
		if (!sent && !answered) {
			sum.ownerless += !h->owned && (h->direction == VERDICT_UPLOAD || h->direction == VERDICT_BOTH);
			continue;
		}
		put_flow(h, answered);
		sum_flow(&sum, h, answered);
	}
	return sum;
}

static void put_unmet(const char *why, unsigned *unmet)
{
	printf("%s%s", (*unmet)++ ? "; " : "not established: ", why);
}

static void put_answer(const struct sink *s, const struct hunt_sum *sum)
{
	const struct source_stats *in = &s->stats.source;
	unsigned unmet = 0;
	if (sum->uploads) {
		printf("%zu upload%s, %" PRIu64 " bytes\n", sum->uploads, sum->uploads == 1 ? "" : "s", sum->upload_bytes);
		return;
	}
	if (!sum->flows)
		put_unmet("no flow in the window is known to be of this device", &unmet);
	if (s->first_ns > s->from_ns || s->last_ns < s->to_ns)
		put_unmet("the capture does not cover the whole window", &unmet);
	if (in->kernel_drops + in->iface_drops)
		put_unmet("packets were dropped before capture", &unmet);
	if (in->filtered)
		put_unmet("the packet filter left packets out", &unmet);
	if (s->stats.partial || in->bad_records || in->undecoded)
		put_unmet("part of the input could not be read", &unmet);
	if (s->left_out)
		put_unmet("more flows than are kept", &unmet);
	if (sum->ownerless)
		put_unmet("uploads of the window have no known device", &unmet);
	if (sum->nameless)
		put_unmet("bytes went to destinations without a name", &unmet);
	if (sum->hidden)
		put_unmet("connections that are no upload as a whole carried bytes up", &unmet);
	if (!unmet)
		printf("no_upload_observed\n");
	else
		printf("; at most %" PRIu64 " unexplained bytes went up in what was seen\n", sum->unexplained_bytes);
}

static int hunt_close(struct sink *s, struct err *err)
{
	if (!s->stats.last) { /* the run ended before anything could be answered */
		free(s->flows);
		free(s);
		return 0;
	}
	printf("%-12s %-24s %s %-44s %-20s %12s %12s     %s\n", "UTC", "process", "g", "destination", "service", "bytes up", "bytes down", "way");
	struct hunt_sum sum = put_flows(s);
	put_answer(s, &sum);
	int r = fflush(stdout) ? err_set(err, -errno, "standard output: %s", strerror(errno)) : 0;
	free(s->flows);
	free(s);
	return r;
}

const struct sink_ops sink_hunt = {
	.kind = "hunt",
	.open = hunt_open,
	.flow = hunt_flow,
	.stats = hunt_stats,
	.close = hunt_close,
};
