/* cli: the command line, read into one struct. Contract: page "records and command line". */
#ifndef LEAKTAP_DETECT_APP_CLI_H
#define LEAKTAP_DETECT_APP_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/base/err.h"

enum cli_command { CLI_REPLAY, CLI_LIVE, CLI_HUNT, CLI_INGEST, CLI_LISTS_CHECK, CLI_HELP, CLI_USAGE, CLI_VERSION };

enum { CLI_MAX_INPUTS = 1024, CLI_MAX_IFACES = 16 };

/* Strings point into argv. */
struct cli {
	enum cli_command command;
	const char *captures[CLI_MAX_INPUTS];
	size_t n_captures;
	const char *ifaces[CLI_MAX_IFACES];
	size_t n_ifaces;
	const char *endpoints[CLI_MAX_INPUTS]; /* of ingest: its sources */
	size_t n_endpoints;
	const char *files[CLI_MAX_INPUTS]; /* lists check */
	size_t n_files;
	const char *config, *redis, *output, *format, *report, *zone;
	const char *device, *at, *window; /* hunt */
	char filter[4096];
	unsigned records;   /* enum sink_record */
	int fail_on;        /* 0 off, else the highest severity number that fails */
	bool join_all, join_given, verify_checksums, test_config, quiet, verbose, no_progress;
};

/* Fills cli (large: keep it static), also on failure. 0, or LT_EUSAGE with err telling what to do instead. */
int cli_parse(struct cli *cli, int argc, char **argv, struct err *err);
const char *cli_help(void);       /* the whole help */
const char *cli_short_help(void); /* six lines for no arguments at all */

#endif
