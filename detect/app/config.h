/* config: the YAML file, checked against a schema, as one struct with every default filled in. Unknown keys are errors. */
#ifndef LEAKTAP_DETECT_APP_CONFIG_H
#define LEAKTAP_DETECT_APP_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/base/err.h"
#include "detect/judge.h"
#include "detect/prefix.h"

/* Strings are owned by the config. Every value is set, by the file or by default. */
struct config {
	const char *sensor; /* name in every record */
	uint32_t zone;      /* address space this sensor sees; 0..255 */
	const char *timezone; /* of endpoint exports without one; NULL */

	uint32_t update_s;  /* live: interval of flow and stats records */
	uint32_t idle_tcp_s, idle_udp_s, closed_s;
	uint32_t max_flows;
	bool vlan_in_key, mdns;
	uint32_t ring_mib;

	uint64_t join_floor_bytes;
	uint32_t grace_s, cell_ttl_s;
	struct prefixes pools; /* NAT, proxies, VPN */

	bool catalogue_known;
	const char *const *catalogue_files;
	uint32_t n_catalogue_files;
	const char *const *sanctioned;
	uint32_t n_sanctioned;
	struct judge_limits limits;

	bool nat_one_side;  /* table and report sum one flow of a suspected translator pair */

	const char *feed_stream, *feed_list, *feed_channel;
	uint64_t feed_maxlen;

	void *tree; /* what the YAML library allocated */
};

/* path NULL: defaults only. 0, or LT_ECONF / negative errno with err naming file, line and key. */
int config_load(struct config *ret_config, const char *path, struct err *err);
bool config_is_pool(const void *config, const struct facts_addr *addr); /* one of pools? */
void config_done(struct config *config);

#endif
