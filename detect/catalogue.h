/* catalogue: what a destination name means - service, role, account - by label-wise longest match over rows compiled at build time and
 * rows of the operator. Never a substring match.
 *
 * Patterns: ".example.com" = that name and every subdomain; "example.com" = exactly it; a leading "*." = one or more labels; any other
 * "*" = within one label. Exact beats pattern beats suffix, then most literal characters. Rows marked known are off unless enabled. */
#ifndef LEAKTAP_DETECT_CATALOGUE_H
#define LEAKTAP_DETECT_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/base/err.h"
#include "dissect/facts.h"

enum catalogue_role { CATALOGUE_UPLOAD, CATALOGUE_WEB, CATALOGUE_API, CATALOGUE_TELEMETRY, CATALOGUE_DOWNLOAD, CATALOGUE_INGRESS,
		      CATALOGUE_ROLE_COUNT };
extern const char *const catalogue_role_names[CATALOGUE_ROLE_COUNT]; /* "upload", ... */

/* Which of the labels that a pattern leaves open name an account, bucket or tenant. */
enum catalogue_account { CATALOGUE_NO_ACCOUNT, CATALOGUE_FIRST_LABEL, CATALOGUE_ALL_LABELS };

struct catalogue_row {
	const char *service;   /* machine word in records: "azure_blob", "dropbox" */
	const char *title;     /* "Azure Blob" in sentences */
	const char *category;
	const char *pattern;   /* as written; the record's "catalogue" */
	uint8_t role;          /* enum catalogue_role */
	const char *technique; /* "T1567.002", "" if none */
	const char *verified;  /* official, code, capture, rule, known, operator */
	const char *processes; /* the programs a telemetry row excuses: "werfault.exe wermgr.exe", "" = any; lower case */
	uint8_t account_in_name; /* enum catalogue_account */
	bool wildcard;         /* the pattern has a "*": names of this form can be had by anybody */
};

struct catalogue_match {
	const struct catalogue_row *row; /* borrowed, lives as long as the catalogue */
	char account[128];               /* "" if none; cut at the end if longer */
	bool sanctioned;                 /* the operator's list of own accounts and hosts has it */
};

struct catalogue;

struct catalogue_conf {
	bool enable_known;
	const char *const *files; /* the operator's rows, TSV: service pattern role [processes]; they beat equal patterns of ours */
	size_t n_files;
	const char *const *sanctioned; /* "service/account", "service/" followed by "*", a host pattern, or an address prefix */
	size_t n_sanctioned;
};

int catalogue_new(struct catalogue **ret_c, const struct catalogue_conf *conf, struct err *err);
void catalogue_free(struct catalogue *c);
/* name: normalised. false: no row. Any thread once built. */
bool catalogue_find(const struct catalogue *c, const char *name, struct catalogue_match *ret_match);
/* As catalogue_find, among rows that are not telemetry: what the name is when an unexpected process uses it. */
bool catalogue_find_parent(const struct catalogue *c, const char *name, struct catalogue_match *ret_match);
/* The operator's list has this host or, where name is NULL, this address. */
bool catalogue_sanctioned(const struct catalogue *c, const char *name, const struct facts_addr *addr);
/* process: a file name, any case, NULL = unknown. The row's processes have it; false where they are "". */
bool catalogue_expects(const struct catalogue_row *row, const char *process);
/* By address, the last rung: published prefixes of a service; longest prefix. NULL if none. */
const struct catalogue_row *catalogue_find_ip(const struct catalogue *c, const struct facts_addr *addr);
/* A name of row, sent by a client to addr: is addr elsewhere? In the published network of another service that has names of
 * its own; or outside the published network of row's, where row is one of the hosts that it is published for (role upload).
 * Services without a published network are everywhere. Where the operator's sanctioned prefixes hold addr: false. */
bool catalogue_elsewhere(const struct catalogue *c, const struct catalogue_row *row, const struct facts_addr *addr);
size_t catalogue_rows(const struct catalogue *c); /* rows that are on */
/* `leaktap lists check`, an operator's list or one of ours: 0, or LT_ECONF with file:line:column in err; *ret_rows counts good rows. */
int catalogue_check_file(const char *path, size_t *ret_rows, struct err *err);

#endif
