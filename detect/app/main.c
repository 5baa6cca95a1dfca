#include <stdio.h>

#include "detect/app/cli.h"
#include "detect/app/ingest.h"
#include "detect/app/live.h"
#include "detect/app/log.h"
#include "detect/app/replay.h"
#include "detect/app/run.h"
#include "detect/catalogue.h"
#include "dissect/appid.h"

static int lists_check(const struct cli *cli)
{
	int code = RUN_OK;
	for (size_t i = 0; i < cli->n_files; i++) {
		struct err err = {0};
		size_t rows = 0;
		if (catalogue_check_file(cli->files[i], &rows, &err)) {
			fprintf(stderr, "%s\n", err.text);
			code = RUN_USAGE;
		} else {
			printf("%s: %zu rows, all good\n", cli->files[i], rows);
		}
	}
	return code;
}

int main(int argc, char **argv)
{
	static struct cli cli;
	struct err err = {0};
	if (cli_parse(&cli, argc, argv, &err)) {
		log_error("%s", err.text);
		return RUN_USAGE;
	}
	log_init(cli.quiet ? LOG_LEVEL_WARN : cli.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	if (cli.test_config)
		return run_test(&cli);
	switch (cli.command) {
	case CLI_USAGE:
		fputs(cli_short_help(), stderr);
		return RUN_USAGE;
	case CLI_HELP:
		fputs(cli_help(), stdout);
		return RUN_OK;
	case CLI_VERSION:
		printf("leaktap %s, nDPI %s\n", LEAKTAP_VERSION, appid_version());
		return RUN_OK;
	case CLI_LISTS_CHECK:
		return lists_check(&cli);
	case CLI_LIVE:
		return live_main(&cli);
	case CLI_INGEST:
		return ingest_main(&cli);
	case CLI_HUNT:
	case CLI_REPLAY:
		break;
	}
	return replay_main(&cli);
}
