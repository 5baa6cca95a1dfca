#include "detect/app/config.h"

#include <cyaml/cyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/base/clock.h"

/* The file as libcyaml builds it: every scalar is a pointer, NULL where the file is silent. */
struct tree_live {
	uint32_t *update_s, *idle_tcp_s, *idle_udp_s, *closed_s, *max_flows, *ring_mib;
	bool *vlan_in_key, *mdns;
};
struct tree_join {
	uint64_t *floor_bytes;
	uint32_t *grace_s, *cell_ttl_s;
	char **pools;
	uint32_t n_pools;
};
struct tree_catalogue {
	bool *known;
	char **files;
	uint32_t n_files;
	char **sanctioned;
	uint32_t n_sanctioned;
};
struct tree_rules {
	uint64_t *volume_short_bytes, *volume_long_bytes, *script_app_bytes, *archive_app_bytes, *unknown_bytes, *drip_bytes, *protocol_bytes;
	uint32_t *volume_short_s, *volume_long_s, *archive_window_s, *unknown_s, *drip_s, *drip_gap_s, *drip_uploads, *episode_gap_s;
};
struct tree_report {
	bool *nat_one_side;
};
struct tree_feed {
	char *stream, *list, *channel;
	uint64_t *maxlen;
};
struct tree {
	char *sensor, *timezone;
	uint32_t *zone;
	struct tree_live *live;
	struct tree_join *join;
	struct tree_catalogue *catalogue;
	struct tree_rules *rules;
	struct tree_report *report;
	struct tree_feed *feed;
};

#define OPT_PTR (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
#define UINT(type, member) CYAML_FIELD_UINT_PTR(#member, OPT_PTR, type, member)
#define BOOL(type, member) CYAML_FIELD_BOOL_PTR(#member, OPT_PTR, type, member)
#define TEXT(type, member) CYAML_FIELD_STRING_PTR(#member, OPT_PTR, type, member, 1, 1024)

static const cyaml_schema_value_t text_entry = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 1024)};

static const cyaml_schema_field_t live_fields[] = {
	UINT(struct tree_live, update_s), UINT(struct tree_live, idle_tcp_s), UINT(struct tree_live, idle_udp_s),
	UINT(struct tree_live, closed_s), UINT(struct tree_live, max_flows), UINT(struct tree_live, ring_mib),
	BOOL(struct tree_live, vlan_in_key), BOOL(struct tree_live, mdns), CYAML_FIELD_END,
};
static const cyaml_schema_field_t join_fields[] = {
	UINT(struct tree_join, floor_bytes), UINT(struct tree_join, grace_s), UINT(struct tree_join, cell_ttl_s),
	CYAML_FIELD_SEQUENCE_COUNT("pools", OPT_PTR, struct tree_join, pools, n_pools, &text_entry, 0, 65536),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t catalogue_fields[] = {
	BOOL(struct tree_catalogue, known),
	CYAML_FIELD_SEQUENCE_COUNT("files", OPT_PTR, struct tree_catalogue, files, n_files, &text_entry, 0, 64),
	CYAML_FIELD_SEQUENCE_COUNT("sanctioned", OPT_PTR, struct tree_catalogue, sanctioned, n_sanctioned, &text_entry, 0,
				   65536),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t rules_fields[] = {
	UINT(struct tree_rules, volume_short_bytes), UINT(struct tree_rules, volume_short_s),
	UINT(struct tree_rules, volume_long_bytes), UINT(struct tree_rules, volume_long_s),
	UINT(struct tree_rules, script_app_bytes), UINT(struct tree_rules, archive_app_bytes),
	UINT(struct tree_rules, archive_window_s), UINT(struct tree_rules, unknown_bytes),
	UINT(struct tree_rules, unknown_s), UINT(struct tree_rules, drip_bytes), UINT(struct tree_rules, drip_s),
	UINT(struct tree_rules, drip_gap_s), UINT(struct tree_rules, drip_uploads), UINT(struct tree_rules, protocol_bytes),
	UINT(struct tree_rules, episode_gap_s), CYAML_FIELD_END,
};
static const cyaml_schema_field_t report_fields[] = {BOOL(struct tree_report, nat_one_side), CYAML_FIELD_END};
static const cyaml_schema_field_t feed_fields[] = {
	TEXT(struct tree_feed, stream), TEXT(struct tree_feed, list), TEXT(struct tree_feed, channel),
	UINT(struct tree_feed, maxlen), CYAML_FIELD_END,
};
#define SECTION(member, fields) CYAML_FIELD_MAPPING_PTR(#member, OPT_PTR, struct tree, member, fields)
static const cyaml_schema_field_t tree_fields[] = {
	TEXT(struct tree, sensor), TEXT(struct tree, timezone), UINT(struct tree, zone),
	SECTION(live, live_fields), SECTION(join, join_fields), SECTION(catalogue, catalogue_fields),
	SECTION(rules, rules_fields), SECTION(report, report_fields), SECTION(feed, feed_fields), CYAML_FIELD_END,
};
static const cyaml_schema_value_t tree_schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct tree, tree_fields)};

/* libcyaml tells what is wrong, "Load: ...", and then a backtrace of where, innermost first, one line a call:
 * "  in mapping field 'live' (line: 3, column: 3)". The first of each is kept. */
struct complaint {
	char what[240], where[160];
	unsigned line, column; /* 0: unknown */
};

__attribute__((format(printf, 3, 0))) static void collect(cyaml_log_t level, void *ctx, const char *fmt, va_list ap)
{
	static const char prefix[] = "Load: ";
	struct complaint *c = ctx;
	char text[400];
	if (level < CYAML_LOG_ERROR)
		return;
	vsnprintf(text, sizeof text, fmt, ap);
	text[strcspn(text, "\n")] = '\0';
	const char *told = strncmp(text, prefix, sizeof prefix - 1) ? text : text + sizeof prefix - 1;
	const char *place = strstr(told, " (line: ");
	if (place && !c->line && sscanf(place, " (line: %u, column: %u)", &c->line, &c->column) == 2)
		snprintf(c->where, sizeof c->where, ", %.*s", (int)(place - told - 2), told + 2);
	else if (!place && !c->what[0])
		snprintf(c->what, sizeof c->what, "%.230s", told);
}

static int refuse(const char *path, const struct complaint *c, cyaml_err_t ce, struct err *err)
{
	const char *what = c->what[0] ? c->what : cyaml_strerror(ce);
	if (!c->line)
		return err_set(err, LT_ECONF, "%s: %s", path, what);
	return err_set(err, LT_ECONF, "%s:%u:%u: %s%s", path, c->line, c->column, what, c->where);
}

static cyaml_config_t yaml_config(struct complaint *c)
{
	return (cyaml_config_t){.log_fn = collect, .log_ctx = c, .mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR,
				.flags = CYAML_CFG_DEFAULT};
}

static void set_defaults(struct config *cf)
{
	static char host[65];
	if (gethostname(host, sizeof host - 1) || !*host)
		snprintf(host, sizeof host, "leaktap");
	*cf = (struct config){.sensor = host, .update_s = 60, .idle_tcp_s = 3600, .idle_udp_s = 180, .closed_s = 5,
			      .ring_mib = 64, .join_floor_bytes = 65536, .grace_s = 900, .cell_ttl_s = 7200,
			      .feed_stream = "leaktap:feed", .feed_maxlen = 100000, .limits = judge_defaults};
}

#define TAKE(to, from)                                                                                         \
	do {                                                                                                   \
		if (from)                                                                                      \
			(to) = *(from);                                                                        \
	} while (0)
#define TAKE_S(to_ns, from)                                                                                    \
	do {                                                                                                   \
		if (from)                                                                                      \
			(to_ns) = *(from) * CLOCK_NS_PER_S;                                                    \
	} while (0)

static void take_live(struct config *cf, const struct tree_live *t)
{
	TAKE(cf->update_s, t->update_s);
	TAKE(cf->idle_tcp_s, t->idle_tcp_s);
	TAKE(cf->idle_udp_s, t->idle_udp_s);
	TAKE(cf->closed_s, t->closed_s);
	TAKE(cf->max_flows, t->max_flows);
	TAKE(cf->ring_mib, t->ring_mib);
	TAKE(cf->vlan_in_key, t->vlan_in_key);
	TAKE(cf->mdns, t->mdns);
}

static void take_rules(struct judge_limits *l, const struct tree_rules *t)
{
	TAKE(l->volume_short_bytes, t->volume_short_bytes);
	TAKE_S(l->volume_short_ns, t->volume_short_s);
	TAKE(l->volume_long_bytes, t->volume_long_bytes);
	TAKE_S(l->volume_long_ns, t->volume_long_s);
	TAKE(l->lol_min_app_bytes, t->script_app_bytes);
	TAKE(l->archive_min_app_bytes, t->archive_app_bytes);
	TAKE_S(l->archive_window_ns, t->archive_window_s);
	TAKE(l->unknown_bytes, t->unknown_bytes);
	TAKE_S(l->unknown_ns, t->unknown_s);
	TAKE(l->drip_bytes, t->drip_bytes);
	TAKE_S(l->drip_ns, t->drip_s);
	TAKE_S(l->drip_gap_ns, t->drip_gap_s);
	TAKE(l->drip_uploads, t->drip_uploads);
	TAKE(l->protocol_bytes, t->protocol_bytes);
	TAKE_S(l->episode_gap_ns, t->episode_gap_s);
}

static void take_tree(struct config *cf, const struct tree *t)
{
	if (t->sensor)
		cf->sensor = t->sensor;
	cf->timezone = t->timezone;
	TAKE(cf->zone, t->zone);
	if (t->live)
		take_live(cf, t->live);
	if (t->join) {
		TAKE(cf->join_floor_bytes, t->join->floor_bytes);
		TAKE(cf->grace_s, t->join->grace_s);
		TAKE(cf->cell_ttl_s, t->join->cell_ttl_s);
	}
	if (t->catalogue) {
		TAKE(cf->catalogue_known, t->catalogue->known);
		cf->catalogue_files = (const char *const *)t->catalogue->files;
		cf->n_catalogue_files = t->catalogue->n_files;
		cf->sanctioned = (const char *const *)t->catalogue->sanctioned;
		cf->n_sanctioned = t->catalogue->n_sanctioned;
	}
	if (t->report)
		TAKE(cf->nat_one_side, t->report->nat_one_side);
	if (t->rules)
		take_rules(&cf->limits, t->rules);
	if (t->feed) {
		if (t->feed->stream)
			cf->feed_stream = t->feed->stream;
		cf->feed_list = t->feed->list;
		cf->feed_channel = t->feed->channel;
		TAKE(cf->feed_maxlen, t->feed->maxlen);
	}
}

static int take_pools(struct config *cf, const struct tree_join *t, const char *path, struct err *err)
{
	for (uint32_t i = 0; i < t->n_pools; i++) {
		struct prefix p = {0};
		if (!prefix_parse(&p, t->pools[i]))
			return err_set(err, LT_ECONF, "%s: join.pools: \"%.60s\" is no address and no prefix", path, t->pools[i]);
		p.value = 0;
		int r = prefixes_add(&cf->pools, &p);
		if (r)
			return err_set(err, r, "%s: out of memory", path);
	}
	prefixes_seal(&cf->pools);
	return 0;
}

bool config_is_pool(const void *config, const struct facts_addr *addr)
{
	const struct config *cf = config;
	uint32_t value;
	return cf->pools.n && prefixes_find(&cf->pools, addr, &value);
}

static int check(const struct config *cf, const char *path, struct err *err)
{
	if (cf->zone > 255)
		return err_set(err, LT_ECONF, "%s: zone: %u is not in 0..255", path, cf->zone);
	if (cf->update_s < 1 || cf->update_s > 3600)
		return err_set(err, LT_ECONF, "%s: live.update_s: %u is not in 1..3600", path, cf->update_s);
	if (cf->ring_mib < 1 || cf->ring_mib > 2047)
		return err_set(err, LT_ECONF, "%s: live.ring_mib: %u is not in 1..2047", path, cf->ring_mib);
	if (cf->cell_ttl_s < 3600 || cf->cell_ttl_s > 86400)
		return err_set(err, LT_ECONF, "%s: join.cell_ttl_s: %u is not in 3600..86400", path, cf->cell_ttl_s);
	if (!cf->feed_maxlen)
		return err_set(err, LT_ECONF, "%s: feed.maxlen: 0 would keep nothing", path);
	return 0;
}

int config_load(struct config *ret_config, const char *path, struct err *err)
{
	struct config cf;
	set_defaults(&cf);
	if (path) {
		struct complaint c = {0};
		cyaml_config_t yc = yaml_config(&c);
		struct tree *tree = NULL;
		cyaml_err_t ce = cyaml_load_file(path, &yc, &tree_schema, (cyaml_data_t **)&tree, NULL);
		if (ce != CYAML_OK)
			return refuse(path, &c, ce, err);
		cf.tree = tree;
		if (tree) /* an empty file has none */
			take_tree(&cf, tree);
		int r = check(&cf, path, err);
		if (!r && tree && tree->join)
			r = take_pools(&cf, tree->join, path, err);
		if (r) {
			config_done(&cf);
			return r;
		}
	}
	*ret_config = cf;
	return 0;
}

void config_done(struct config *config)
{
	struct complaint c = {0};
	cyaml_config_t yc = yaml_config(&c);
	if (config->tree)
		cyaml_free(&yc, &tree_schema, config->tree, 0);
	config->tree = NULL;
	prefixes_free(&config->pools);
}
